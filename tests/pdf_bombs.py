"""Small PDF files whose page takes for ever, or all memory, to draw."""

from io import BytesIO

import pikepdf
from pikepdf import Array, Dictionary, Name


def endless_pattern(step: float = 1) -> bytes:
    """Return a page painted with a tile of 400 × 400 points that is repeated every `step` points. At 5 it takes
    seconds, at 1 more than anyone waits."""
    document, page = _one_page(500)
    tile = document.make_stream(
        b"1 0 0 rg 0 0 1 1 re f 0 1 0 rg 1 1 2 2 re f",
        Type=Name.Pattern,
        PatternType=1,
        PaintType=1,
        TilingType=1,
        BBox=Array([0, 0, 400, 400]),
        XStep=step,
        YStep=step,
        Resources=Dictionary(),
    )
    page.Resources = Dictionary(Pattern=Dictionary(Tile=tile))
    page.Contents = document.make_stream(b"/Pattern cs /Tile scn 0 0 500 500 re f")
    return _saved(document)


def nested_forms(levels: int = 8, copies: int = 20) -> bytes:
    """Return a page that draws a form `copies` times, which draws the next one as often, `levels` deep: memory grows
    while it is drawn."""
    document, page = _one_page(300)
    inner, drawn = Dictionary(), b"0 0 300 300 re f\n"
    for _ in range(levels):
        form = document.make_stream(
            drawn * copies, Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 300, 300]), Resources=inner
        )
        inner, drawn = Dictionary(XObject=Dictionary(Inner=form)), b"/Inner Do\n"
    page.Resources, page.Contents = inner, document.make_stream(drawn * copies)
    return _saved(document)


def _one_page(points: int) -> tuple[pikepdf.Pdf, pikepdf.Page]:
    document = pikepdf.new()
    document.add_blank_page(page_size=(points, points))
    return document, document.pages[0]


def _saved(document: pikepdf.Pdf) -> bytes:
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()
