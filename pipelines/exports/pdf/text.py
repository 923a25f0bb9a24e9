"""The text of a page as a PDF holds it: invisible, each word over its place.

The text is in a glyphless font, as Tesseract's and OCRmyPDF's is: a TrueType font of 1 KB with one blank glyph, in
which every UTF-16 code unit is a character code and ToUnicode is the identity. So any script is searchable and can be
copied without a real font being embedded. `glyphless.ttf` was made with fontTools: 1000 units per em, two empty glyphs
500 units wide.
"""

from importlib.resources import files

import numpy as np
import pikepdf
from pikepdf import Array, Dictionary, Name, Operator

from models.geometry import transform_points
from pipelines.exports.tree import Page, Word, baseline

_ADVANCE = 0.5  # em, of every glyph
INVISIBLE = 3  # a text rendering mode

Instructions = list[tuple[list, Operator]]


def glyphless_font(pdf: pikepdf.Pdf) -> pikepdf.Object:
    """Return the invisible text's font in `pdf`: composite (Type 0), codes are UTF-16BE units (PDF 32000-1, 9.7)."""
    program = files("pipelines.exports.pdf").joinpath("glyphless.ttf").read_bytes()
    descriptor = pdf.make_indirect(
        Dictionary(
            Type=Name.FontDescriptor, FontName=Name.Glyphless, Flags=5, FontBBox=Array([0, -200, 500, 800]),
            ItalicAngle=0, Ascent=800, Descent=-200, CapHeight=800, StemV=80,
            FontFile2=pdf.make_stream(program, Length1=len(program)),
        )
    )  # fmt: skip
    descendant = pdf.make_indirect(
        Dictionary(
            Type=Name.Font, Subtype=Name.CIDFontType2, BaseFont=Name.Glyphless, FontDescriptor=descriptor,
            CIDSystemInfo=Dictionary(Registry="Adobe", Ordering="Identity", Supplement=0),
            CIDToGIDMap=pdf.make_stream(b"\x00\x01" * 0x10000), DW=int(_ADVANCE * 1000),
        )
    )  # fmt: skip
    return pdf.make_indirect(
        Dictionary(
            Type=Name.Font, Subtype=Name.Type0, BaseFont=Name.Glyphless, Encoding=Name("/Identity-H"),
            DescendantFonts=Array([descendant]), ToUnicode=pdf.make_stream(_identity_cmap()),
        )
    )  # fmt: skip


def text_layer(page: Page, matrix: np.ndarray, font: Name) -> Instructions:
    """Return the instructions that show each word, and the space behind it, over its place.

    Args:
        matrix: 2 x 3, from the page's original pixels to the space that is drawn in, whose y points up.
        font: the name of `glyphless_font` in the resources.
    """
    content: Instructions = [([], Operator("BT")), ([INVISIBLE], Operator("Tr"))]
    for block in page.blocks:
        for line in block.lines:
            for number, word in enumerate(line.words):
                following = line.words[number + 1] if number + 1 < len(line.words) else None
                content += _word(word, following, matrix, font)
    content.append(([], Operator("ET")))
    return content


def numbers(*values: float) -> list[float]:
    """Return the numbers as a content stream takes them."""
    return [round(float(value), 4) for value in values]


def pdf_matrix(matrix: np.ndarray) -> list[float]:
    """Return the six numbers of a 2 x 3 affine map, in PDF's order."""
    (a, c, e), (b, d, f) = np.asarray(matrix, float).tolist()
    return numbers(a, b, c, d, e, f)


def _identity_cmap() -> bytes:
    """ToUnicode that maps every two-byte code to itself; a range may not cross a high byte, and 100 make a block."""
    ranges = [f"<{high:02X}00> <{high:02X}FF> <{high:02X}00>" for high in range(256)]
    blocks = [ranges[start : start + 100] for start in range(0, 256, 100)]
    body = "\n".join(f"{len(block)} beginbfrange\n" + "\n".join(block) + "\nendbfrange" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        f"{body}\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()


def _word(word: Word, following: Word | None, matrix: np.ndarray, font: Name) -> Instructions:
    polygon = transform_points(matrix, word.polygon).astype(float)
    start, end = baseline(polygon)
    size = float(np.linalg.norm(polygon[[3, 2]] - polygon[[0, 1]], axis=1).mean())
    length = float(np.linalg.norm(end - start))
    if size <= 0 or length <= 0:
        return []
    cos, sin = (end - start) / length
    code = word.text.encode("utf-16-be")
    content = [
        ([font, *numbers(size)], Operator("Tf")),
        ([*numbers(cos, sin, -sin, cos, *start)], Operator("Tm")),
        ([*numbers(100 * length / (len(code) / 2 * _ADVANCE * size))], Operator("Tz")),
        ([pikepdf.String(code)], Operator("Tj")),
    ]
    if following is not None:
        next_start = transform_points(matrix, following.polygon).astype(float)[3]
        gap = max(0.01, float(np.linalg.norm(next_start - polygon[2])))
        content += [
            ([*numbers(100 * gap / (_ADVANCE * size))], Operator("Tz")),
            ([pikepdf.String(" ".encode("utf-16-be"))], Operator("Tj")),
        ]
    return content
