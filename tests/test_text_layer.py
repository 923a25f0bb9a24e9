"""The text layer of PDF pages: lines, their places, and what is not in them."""

import io

import numpy as np
import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image

from pipelines.documents import Limits, decode_page, read_page
from pipelines.documents.text_layer import TextLayer, read_text_layer
from tests.pdf_text import PAGE, draw_picture, font_resources, saved, show, text_pdf

DPI = 200
LINES = ["Annual report of the district", "Pumps, valves and meters", "Total 12,500"]


def page_of(lines: list[str]) -> bytes:
    return b"".join(show(line, 50, 400 - 40 * number) for number, line in enumerate(lines))


def layer_of(content: bytes, number: int = 1) -> TextLayer:
    return read_text_layer(content, "a.pdf", number, Limits())


def texts(layer: TextLayer) -> list[str]:
    return [line.text for line in layer.lines]


def ink(image: np.ndarray, polygon) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of the dark pixels in the box of a polygon."""
    points = np.array(polygon)
    (left, top), (right, bottom) = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    dark = (image[max(0, top) : bottom, max(0, left) : right] < 128).all(axis=2)
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    return left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1


def test_lines_stand_where_they_are_drawn():
    content = text_pdf(page_of(LINES))
    layer = layer_of(content)
    assert texts(layer) == LINES and layer.turned == 0 and (layer.problem, layer.doubt) == ("", "")
    page = decode_page(content, "a.pdf")
    assert (layer.height, layer.width) == page.image.shape[:2] and layer.dpi == page.dpi == DPI
    for line in layer.lines:
        left, top, right, bottom = ink(page.image, line.polygon)
        box = [*line.polygon[0], *line.polygon[2]]
        assert box[0] == pytest.approx(left, abs=5) and box[2] == pytest.approx(right, abs=5)
        assert box[1] <= top + 1 and box[3] >= bottom - 1 and box[3] - box[1] < 12 * 1.2 * DPI / 72


def test_words_stand_where_they_are_drawn():
    content = text_pdf(page_of(["ill wide MMM i"]))
    page = decode_page(content, "a.pdf").image
    (line,) = layer_of(content).lines
    left, width = line.polygon[0][0], line.polygon[1][0] - line.polygon[0][0]
    for word, (start, end) in zip(line.text.split(), line.words, strict=True):
        polygon = [[left + share * width, y] for share, y in ((start, line.polygon[0][1]), (end, line.polygon[2][1]))]
        found = ink(page, polygon)
        assert polygon[0][0] == pytest.approx(found[0], abs=4), word
        assert polygon[1][0] == pytest.approx(found[2], abs=4), word


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("box", [None, [30, 40, 390, 470]])
def test_pages_that_are_turned_and_cropped(rotation, box):
    entries = {"Rotate": rotation} | ({"CropBox": Array(box)} if box else {})
    content = text_pdf(page_of(LINES), **entries)
    layer = layer_of(content)
    assert sorted(texts(layer)) == sorted(LINES) and layer.turned == -rotation % 360
    page = decode_page(content, "a.pdf").image
    assert layer.height == page.shape[0]
    for line in layer.lines:
        left, top, right, bottom = ink(page, line.polygon)
        points = np.array(line.polygon)
        assert [*points.min(axis=0), *points.max(axis=0)] == pytest.approx([left, top, right, bottom], abs=14)
    start = {0: "left", 90: "top", 180: "right", 270: "bottom"}[rotation]
    (x0, y0), (x1, y1) = layer.lines[0].polygon[:2]
    assert {"left": x1 > x0, "right": x1 < x0, "top": y1 > y0, "bottom": y1 < y0}[start]


def turned(text: str, degrees: float) -> bytes:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return f"BT /F1 12 Tf {cos:f} {sin:f} {-sin:f} {cos:f} 200 200 Tm ({text}) Tj ET\n".encode()


@pytest.mark.parametrize("degrees", [90, -90, 180, 45, 10, -3])
def test_text_that_runs_in_other_directions_is_a_line_too(degrees):
    content = text_pdf(page_of(LINES) + turned("margin note 2026", degrees))
    layer = layer_of(content)
    assert sorted(texts(layer)) == sorted([*LINES, "margin note 2026"]) and layer.turned == 0
    (line,) = [line for line in layer.lines if line.text.startswith("margin")]
    (x0, y0), (x1, y1) = line.polygon[:2]
    assert np.degrees(np.arctan2(y0 - y1, x1 - x0)) == pytest.approx(degrees if degrees > -180 else 180, abs=0.5)


def test_columns_are_lines_of_their_own_and_words_in_other_fonts_are_not():
    content = text_pdf(
        show("Name", 50, 400) + show("Amount", 200, 400) + show("Total", 50, 360) + show("due:", 81, 360, 14)
        + show("H", 50, 320) + show("2", 59, 316, 7) + show("O is water", 64, 320)
    )  # fmt: skip
    assert texts(layer_of(content)) == ["Name", "Amount", "Total due:", "H2O is water"]


def test_parts_of_a_line_that_are_drawn_in_another_order():
    content = text_pdf(show("district", 130, 400) + show("of", 115, 400) + show("Report", 75, 400) + show("x", 50, 300))
    assert texts(layer_of(content)) == ["Report of district", "x"]


def test_text_that_nobody_sees_is_left_out():
    hidden = b"1 1 1 rg " + show("white on white", 50, 200) + b"0 0 0 rg "
    pdf = pikepdf.open(io.BytesIO(text_pdf(page_of(LINES) + hidden)))
    group = pdf.make_indirect(Dictionary(Type=Name.OCG, Name="hidden"))
    pdf.Root.OCProperties = Dictionary(OCGs=Array([group]), D=Dictionary(OFF=Array([group]), Order=Array([group])))
    page = pdf.pages[0]
    page.obj.Resources.Properties = Dictionary(MC0=group)
    page.contents_add(b"/OC /MC0 BDC " + show("switched off", 50, 150) + b" EMC")
    assert texts(layer_of(saved(pdf))) == LINES


def test_white_text_on_a_dark_ground_is_seen():
    content = text_pdf(b"0 g 40 190 200 40 re f 1 g " + show("Light print", 50, 200))
    assert texts(layer_of(content)) == ["Light print"]


def test_text_beyond_the_page_is_left_out():
    assert texts(layer_of(text_pdf(page_of(LINES) + show("far away", 50, -300)))) == LINES


def test_a_page_without_text():
    layer = layer_of(text_pdf(b"0 g 10 10 50 50 re f"))
    assert layer.lines == [] and layer.problem == "" and layer.look == "nothing"


def test_an_invisible_layer_is_in_doubt():
    layer = layer_of(text_pdf(b"".join(show(line, 50, 400 - 40 * n, mode=3) for n, line in enumerate(LINES))))
    assert texts(layer) == LINES and "earlier OCR" in layer.doubt and layer.look == "page"


PICTURE = Image.effect_noise((80, 40), 60)


@pytest.mark.parametrize(
    ("place", "look"),
    [
        ((50, 50, 100, 60), "places"),
        ((0, 0, 400, 300), "page"),
        ((50, 50, 6, 6), "nothing"),
        ((900, 900, 50, 50), "nothing"),
    ],
)
def test_pictures_are_not_in_the_text(place, look):
    layer = layer_of(text_pdf(page_of(LINES) + draw_picture(*place), picture=PICTURE))
    assert layer.look == look
    if look == "places":
        (box,) = layer.unread
        left, bottom, width, height = place
        wanted = np.array([left, PAGE[1] - bottom - height, left + width, PAGE[1] - bottom]) * DPI / 72
        assert box == pytest.approx(wanted, abs=1)


def test_a_picture_in_a_form_within_a_form():
    pdf = pikepdf.open(io.BytesIO(text_pdf(page_of(LINES), picture=PICTURE)))
    page = pdf.pages[0]
    form = page.obj.Resources.XObject.Im0
    for name, content in (("Im0", draw_picture(0, 0, 100, 60)), ("Fm1", b"q 0.5 0 0 0.5 20 10 cm /Fm1 Do Q")):
        form = pdf.make_stream(
            content, Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 999, 999]),
            Resources=Dictionary(XObject=Dictionary({f"/{name}": form})),
        )  # fmt: skip
    page.obj.Resources.XObject = Dictionary(Fm2=form)
    page.contents_add(b"q 2 0 0 2 10 20 cm /Fm2 Do Q")
    (box,) = layer_of(saved(pdf)).unread
    wanted = np.array([10 + 2 * 20, PAGE[1] - (20 + 2 * 40), 10 + 2 * 70, PAGE[1] - (20 + 2 * 10)]) * DPI / 72
    assert box == pytest.approx(wanted, abs=1)


def test_letters_drawn_as_outlines_are_not_in_the_text():
    letter = "{0} 100 m {1} 110 l {2} 104 l {1} 102 l {0} 112 l {3} 108 l {0} 104 l f\n"
    drawn = "".join(letter.format(x, x + 4, x + 8, x + 2) for x in range(50, 350, 10)).encode()
    layer = layer_of(text_pdf(page_of(LINES) + drawn))
    assert layer.look == "places"
    rules = b"".join(b"50 %d 300 0.5 re f\n" % y for y in range(50, 350, 10))
    assert layer_of(text_pdf(page_of(LINES) + rules)).look == "nothing"


@pytest.mark.parametrize(
    ("subtype", "appearance", "look"),
    [
        ("Widget", b"BT /F1 12 Tf (typed) Tj ET", "places"),
        ("FreeText", b"BT /F1 12 Tf (typed) Tj ET", "places"),
        ("Widget", b"/Tx BMC EMC", "nothing"),
        ("Text", b"BT /F1 12 Tf (icon) Tj ET", "nothing"),
        ("Link", b"", "nothing"),
    ],
)
def test_what_is_typed_into_a_page_is_not_in_its_text(subtype, appearance, look):
    pdf = pikepdf.open(io.BytesIO(text_pdf(page_of(LINES))))
    form = pdf.make_stream(
        appearance, Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 100, 20]), Resources=font_resources()
    )
    note = Dictionary(
        Type=Name.Annot, Subtype=Name(f"/{subtype}"), Rect=Array([50, 100, 150, 120]), AP=Dictionary(N=form)
    )
    pdf.pages[0].obj.Annots = Array([pdf.make_indirect(note)])
    assert layer_of(saved(pdf)).look == look


def test_what_is_read_of_a_page():
    sound, scan = text_pdf(page_of(LINES)), text_pdf(draw_picture(0, 0, *PAGE), picture=PICTURE)
    both = text_pdf(page_of(LINES) + draw_picture(50, 50, 100, 60), picture=PICTURE)
    broken = text_pdf(page_of(["Annualreportofthedistrictandmore"] * 3))

    def read(content, use, **more):
        page = read_page(content, "a.pdf", 1, Limits(), use, **more)
        return page.image is not None, page.layer is not None, page.problem

    assert read(sound, "auto") == (False, True, "") and read(sound, "never") == (True, False, "")
    assert read(sound, "auto", with_pixels=True) == (True, True, "")
    assert read(scan, "auto") == read(scan, "always") == (True, False, "")
    assert read(both, "auto") == (True, True, "")
    assert read(broken, "auto") == (True, False, "its words are not separated")
    assert read(broken, "always") == (False, True, "")


@pytest.mark.parametrize(("pixels", "dpi"), [(800, 150), (1667, 300), (4000, 400)])
def test_scans_are_rendered_at_their_own_resolution(pixels, dpi):
    scan = Image.new("L", (pixels, pixels * 5 // 4), 255)
    page = decode_page(text_pdf(draw_picture(0, 0, *PAGE), picture=scan), "scan.pdf")
    assert page.dpi == pytest.approx(dpi, abs=0.5) and page.image.shape[1] == pytest.approx(PAGE[0] * dpi / 72, abs=1)
    turned_page = decode_page(text_pdf(draw_picture(0, 0, *PAGE), picture=scan, Rotate=90), "scan.pdf")
    assert turned_page.dpi == page.dpi


def test_a_full_page():
    content = text_pdf(b"".join(show("word " * 14, 30, 20 + 9 * row, 8) for row in range(50)))
    document = pypdfium2.PdfDocument(content)
    assert document[0].get_textpage().count_chars() > 3000
    assert len(layer_of(content).lines) == 50


def test_more_text_than_a_page_can_show_is_not_used():
    layer = layer_of(text_pdf(b"BT /F1 1 Tf 10 10 Td " + b"(0123456789) Tj " * 11_000 + b"ET"))
    assert layer.lines == [] and layer.problem == "it has 110,000 characters, more than a page can show"
