"""The searchable copy of a PDF: everything in it stays, and its pages are given the text that was read."""

import io

import cv2
import numpy as np
import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image

from common.storage import Storage
from models.geometry import transform_points, turn_matrix
from pipelines.documents import decode_page
from pipelines.exports.export import export
from pipelines.exports.writer import ExportOptions
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import Line, PageRecord
from tests.documents_made import encoded

TEXT = "합계 12,500원"
BAR = (60.0, 300.0, 260.0, 330.0)  # in the page's own units: left, bottom, right, top
SIZE = (400, 500)


def bar_page(pdf: pikepdf.Pdf, **entries) -> pikepdf.Page:
    """Add a page with a dark bar in it, where its text stands."""
    page = pdf.add_blank_page(page_size=SIZE)
    left, bottom, right, top = BAR
    page.Contents = pdf.make_stream(b"0 g %g %g %g %g re f" % (left, bottom, right - left, top - bottom))
    for name, value in entries.items():
        page.obj[Name(f"/{name}")] = value
    return page


def saved(pdf: pikepdf.Pdf, **options) -> bytes:
    buffer = io.BytesIO()
    pdf.save(buffer, **options)
    return buffer.getvalue()


def read(content: bytes, number: int = 1, count: int = 1) -> PageRecord:
    """Return the record that a reader would make: the line is where the bar is seen."""
    page = decode_page(content, "page", number)
    _, _, components, _ = cv2.connectedComponentsWithStats((page.image < 100).all(axis=2).astype(np.uint8))
    left, top, width, height, _ = max(components[1:].tolist(), key=lambda component: component[-1])
    right, bottom = left + width, top + height
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)
    turned = 0
    if bottom - top > right - left:  # text that runs up
        corners, turned = np.roll(corners, 1, axis=0), 90
    return PageRecord(
        page_id=f"{number:016x}", document_uri="/in/계약.pdf", page_number=number, page_count=count, dpi=page.dpi,
        width=page.image.shape[1], height=page.image.shape[0], skew_degrees=0, orientation_degrees=turned, text=TEXT,
        lines=[Line(text=TEXT, confidence=0.9, polygon=corners.tolist(), language="ko")],
    )  # fmt: skip


def exported(folder, content: bytes, *records: PageRecord, **options) -> pikepdf.Pdf:
    Ledger(Storage(str(folder))).commit("part.parquet", records or [read(content)])
    how = ExportOptions(**options)
    export(str(folder), ["pdf"], load_page=no_pixels, load_original=lambda record: content, options=how)
    (path,) = folder.glob("exports/pdf/*.pdf")
    return pikepdf.open(path)


def no_pixels(record):
    raise AssertionError("the pages of a PDF are kept, not drawn")


def check_text_over_bar(pdf: pikepdf.Pdf, index: int = 0) -> None:
    """Check that the text of a page lies over its bar, in the page's own units."""
    document = pypdfium2.PdfDocument(saved(pdf))
    text_page = document[index].get_textpage()
    text = text_page.get_text_range()
    assert text.count("12,500원") == 1
    boxes = np.array([text_page.get_charbox(i, loose=True) for i in range(len(text)) if text[i].strip()])
    found = [boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max()]
    assert found == pytest.approx(BAR, abs=3.5)
    document.close()


def ink(pdf: pikepdf.Pdf, index: int = 0) -> np.ndarray:
    return decode_page(saved(pdf), "page", index + 1).image


def test_everything_in_a_pdf_stays(tmp_path):
    pdf = pikepdf.new()
    for _ in range(3):
        bar_page(pdf)
    with pdf.open_outline() as outline:
        outline.root += [pikepdf.OutlineItem(f"Part {n + 1}", n) for n in range(3)]
    pdf.Root.PageLabels = Dictionary(Nums=Array([0, Dictionary(S=Name.r)]))
    pdf.attachments["note.txt"] = b"attached"
    with pdf.open_metadata() as metadata:
        metadata["dc:title"], metadata["dc:creator"] = "Contract", ["An Author"]
    link = Dictionary(
        Type=Name.Annot, Subtype=Name.Link, Rect=Array([10, 10, 60, 30]), A=Dictionary(S=Name.URI, URI="https://x.kr")
    )
    field = Dictionary(
        Type=Name.Annot, Subtype=Name.Widget, FT=Name.Tx, T="name", V="typed", Rect=Array([10, 40, 90, 60])
    )
    pdf.pages[0].Annots = Array([pdf.make_indirect(link), pdf.make_indirect(field)])
    pdf.Root.AcroForm = Dictionary(Fields=Array([pdf.pages[0].Annots[1]]))
    pdf.pages[1].obj.UserUnit = 2
    pdf.pages[2].obj.CropBox = Array([20, 30, 380, 480])
    content = saved(pdf)

    made = exported(tmp_path, content, *(read(content, n, 3) for n in (1, 2, 3)))
    source = pikepdf.open(io.BytesIO(content))
    with made.open_outline() as outline:
        assert [item.title for item in outline.root] == ["Part 1", "Part 2", "Part 3"]
    assert [page.label for page in made.pages] == ["i", "ii", "iii"]
    assert made.attachments["note.txt"].get_file().read_bytes() == b"attached"
    assert bytes(made.Root.Metadata.read_bytes()) == bytes(source.Root.Metadata.read_bytes())
    assert str(made.pages[0].Annots[0].A.URI) == "https://x.kr" and str(made.Root.AcroForm.Fields[0].V) == "typed"
    assert made.pages[1].obj.UserUnit == 2
    for index, (page, before) in enumerate(zip(made.pages, source.pages, strict=True)):
        assert page.mediabox == before.mediabox and page.cropbox == before.cropbox
        np.testing.assert_array_equal(ink(made, index), ink(source, index))
        check_text_over_bar(made, index)
    assert not made.check_pdf_syntax()
    assert (tmp_path / "exports/pdf").glob("*.pdf").__next__().stat().st_size < 1.1 * len(content) + 20_000


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, -90, 450])
@pytest.mark.parametrize("box", [None, (30, 200, 390, 470), (390, 470, 30, 200)])
def test_text_lies_over_its_place_whatever_the_page_is_turned_or_cropped_by(tmp_path, rotation, box):
    pdf = pikepdf.new()
    page = bar_page(pdf, Rotate=rotation)
    if box is not None:
        page.obj.CropBox = Array(box)
    content = saved(pdf)
    record = read(content)
    if rotation % 360 == 180:  # its text is upside down
        record.orientation_degrees = 180
        record.lines[0].polygon = record.lines[0].polygon[2:] + record.lines[0].polygon[:2]
    if rotation % 360 == 90:  # its text runs down
        record.orientation_degrees = 270
        record.lines[0].polygon = record.lines[0].polygon[2:] + record.lines[0].polygon[:2]
    made = exported(tmp_path, content, record)
    assert made.pages[0].rotation % 360 == rotation % 360
    check_text_over_bar(made)


def test_a_page_that_inherits_its_boxes_rotation_and_resources(tmp_path):
    pdf = pikepdf.new()
    for _ in range(2):
        page = bar_page(pdf)
        del page.obj["/MediaBox"], page.obj["/Resources"]
    tree = pdf.Root.Pages
    tree.MediaBox, tree.Rotate = Array([0, 0, *SIZE]), 270
    tree.Resources = Dictionary(ExtGState=Dictionary(G0=Dictionary(CA=1)))
    content = saved(pdf)
    made = exported(tmp_path, content, read(content, 1, 2))
    check_text_over_bar(made, 0)
    assert "/G0" in made.pages[0].resources.ExtGState
    assert "/XObject" not in made.pages[1].resources  # what pages share is left alone


def test_a_page_that_leaves_its_state_behind_is_overlaid_all_the_same(tmp_path):
    pdf = pikepdf.new()
    page = bar_page(pdf)
    page.Contents = pdf.make_stream(page.Contents.read_bytes() + b" q 0.1 0 0 0.1 99 99 cm 0 0 1 1 re W n")
    made = exported(tmp_path, saved(pdf))
    check_text_over_bar(made)


def test_pages_that_were_not_read_stay_as_they_are(tmp_path):
    pdf = pikepdf.new()
    for _ in range(3):
        bar_page(pdf)
    content = saved(pdf)
    failed = read(content, 1, 3).model_copy(update={"status": "error", "lines": [], "text": ""})
    made = exported(tmp_path, content, failed, read(content, 2, 3))
    assert len(made.pages) == 3
    assert [b"Do" in page.obj.get("/Contents").read_bytes() if not isinstance(page.Contents, Array) else True
            for page in made.pages] == [False, True, False]  # fmt: skip


def invisible(pdf: pikepdf.Pdf, page: pikepdf.Page, text: bytes = b"12,500 wrong") -> bytes:
    page.obj.Resources = Dictionary(
        Font=Dictionary(F1=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
    )
    return b" q BT 3 Tr /F1 12 Tf 60 305 Td (%s) Tj ET Q " % text


def text_of(pdf: pikepdf.Pdf) -> str:
    (page,) = pypdfium2.PdfDocument(saved(pdf))
    return page.get_textpage().get_text_range()


def test_the_layer_of_an_earlier_ocr_is_replaced(tmp_path):
    pdf = pikepdf.new()
    page = bar_page(pdf)
    seen = b" BT /F1 12 Tf 60 20 Td (footer) Tj ET"
    page.Contents = pdf.make_stream(invisible(pdf, page) + page.Contents.read_bytes() + seen)
    made = exported(tmp_path, saved(pdf))
    assert "wrong" not in text_of(made) and "footer" in text_of(made) and "12,500원" in text_of(made)


def test_the_layer_is_replaced_where_it_is_a_form_that_pages_share(tmp_path):
    pdf = pikepdf.new()
    page, other = bar_page(pdf), bar_page(pdf)
    layer = invisible(pdf, page)
    form = pdf.make_stream(
        layer, Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, *SIZE]), Resources=page.obj.Resources
    )
    shared = pdf.make_indirect(Dictionary(XObject=Dictionary(OCR=form)))
    for each in (page, other):
        each.obj.Resources = shared
        each.Contents = pdf.make_stream(each.Contents.read_bytes() + b" /OCR Do")
    content = saved(pdf)
    made = exported(tmp_path, content, read(content, 1, 2))
    document = pypdfium2.PdfDocument(saved(made))
    texts = [page.get_textpage().get_text_range() for page in document]
    assert "wrong" not in texts[0] and "12,500원" in texts[0] and "wrong" in texts[1]


def test_text_that_is_seen_stays_beside_text_that_is_not(tmp_path):
    pdf = pikepdf.new()
    page = bar_page(pdf)
    mixed = invisible(pdf, page).replace(b" ET Q", b" 0 Tr (shown) Tj ET Q")
    page.Contents = pdf.make_stream(page.Contents.read_bytes() + mixed)
    before = saved(pdf)
    made = exported(tmp_path, before)
    np.testing.assert_array_equal(ink(made), decode_page(before, "page").image)
    assert "shown" in text_of(made)


def test_text_that_a_page_has_is_not_added_again(tmp_path):
    pdf = pikepdf.new()
    page = bar_page(pdf)
    page.Contents = pdf.make_stream(invisible(pdf, page, b"its own text") + page.Contents.read_bytes())
    content = saved(pdf)
    own = Line(
        text="its own text", confidence=1, polygon=[[0, 0], [9, 0], [9, 9], [0, 9]], language="en", source="text_layer"
    )
    both = read(content).model_copy(update={"source": "both"})
    both.lines.append(own)
    both.text = f"{TEXT}\n\nits own text"
    made = text_of(exported(tmp_path / "both", content, both))
    assert made.count("12,500원") == 1 and made.count("its own text") == 1
    alone = both.model_copy(update={"source": "text_layer", "lines": [own], "text": own.text})
    assert text_of(exported(tmp_path / "alone", content, alone)) == "its own text"


def test_a_scan_keeps_its_picture(tmp_path):
    bits = Image.fromarray((np.random.default_rng(0).random((700, 500)) > 0.02).astype(np.uint8) * 255).convert("1")
    content = encoded(bits, "PDF", resolution=100)
    with pikepdf.open(io.BytesIO(content)) as source:
        before = next(iter(source.pages[0].images.values())).read_raw_bytes()
        assert source.pages[0].images
    record = read(saved(_one_bar())).model_copy(update={"width": 1000, "height": 1400, "dpi": 200.0})
    made = exported(tmp_path, content, record)
    assert next(iter(made.pages[0].images.values())).read_raw_bytes() == before
    assert len(saved(made)) < 1.1 * len(content) + 20_000


def _one_bar() -> pikepdf.Pdf:
    pdf = pikepdf.new()
    bar_page(pdf)
    return pdf


@pytest.mark.parametrize(("user", "owner"), [("", "owner"), ("secret", "owner")])
def test_an_encrypted_pdf(tmp_path, user, owner):
    pdf = pikepdf.new()
    bar_page(pdf)
    content = saved(pdf, encryption=pikepdf.Encryption(user=user, owner=owner))
    if user:  # it was not read: its place is kept by an empty page
        record = PageRecord(page_id="0" * 16, document_uri="/in/a.pdf", page_number=1, page_count=0, status="error")
        assert len(exported(tmp_path, content, record).pages) == 1
    else:
        made = exported(tmp_path, content)
        assert made.is_encrypted and "12,500원" in text_of(made)


@pytest.mark.parametrize("degrees", [90, 180, 270, 4.0, 87.0])
def test_pages_are_turned_back_on_request_without_resampling(tmp_path, degrees):
    """A page whose text is turned, as its content says."""
    pdf = pikepdf.new()
    page = bar_page(pdf)
    upright = ink(pdf)
    quarter = 90 * round(degrees / 90)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = np.array(SIZE) / 2
    shift = middle - np.array([[cos, -sin], [sin, cos]]) @ middle
    page.Contents = pdf.make_stream(
        b"%f %f %f %f %f %f cm " % (cos, sin, -sin, cos, *shift) + page.Contents.read_bytes()
    )
    content = saved(pdf)
    matrix, _ = turn_matrix(upright.shape[1], upright.shape[0], degrees)
    dark = np.argwhere((upright < 100).all(axis=2))[:, ::-1]
    low, high = dark.min(axis=0), dark.max(axis=0) + 1
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]], float)
    centre = (np.array(upright.shape[1::-1]) - 1) / 2
    linear = matrix[:, :2]
    record = read(saved(_one_bar())).model_copy(
        update={"orientation_degrees": quarter % 360, "skew_degrees": degrees - quarter}
    )
    record.lines[0].polygon = transform_points(np.column_stack([linear, centre - linear @ centre]), corners).tolist()

    made = exported(tmp_path, content, record, pdf_pages="upright")
    assert made.pages[0].rotation % 360 == -quarter % 360 or made.pages[0].rotation % 360 == quarter % 360
    shown = ink(made)
    near, far = (np.argwhere((image < 100).all(axis=2)) for image in (shown, upright))
    assert len(near) == pytest.approx(len(far), rel=0.02)
    size = near.max(axis=0) - near.min(axis=0)
    assert size == pytest.approx(far.max(axis=0) - far.min(axis=0), abs=3)  # level, and lying
    kept = exported(tmp_path / "kept", content, record)
    assert kept.pages[0].rotation == 0
    np.testing.assert_array_equal(ink(kept), decode_page(content, "page").image)


def test_a_pdf_that_cannot_be_taken_apart_is_drawn(tmp_path, caplog):
    pdf = pikepdf.new()
    bar_page(pdf)
    record = read(saved(pdf))
    Ledger(Storage(str(tmp_path))).commit("part.parquet", [record])
    picture = np.full((record.height, record.width, 3), 200, np.uint8)
    export(str(tmp_path), ["pdf"], load_page=lambda record: picture, load_original=lambda record: b"%PDF-1.7 broken")
    assert "its pages are drawn as pictures" in caplog.text
    (path,) = tmp_path.glob("exports/pdf/*.pdf")
    assert "12,500원" in text_of(pikepdf.open(path))
