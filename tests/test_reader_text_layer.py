"""Pages of PDFs as the documents reader takes them: from their text, from their pixels, or from both."""

import numpy as np
import pytest
from PIL import Image

from common.config import ConfigError
from models.geometry import turn
from pipelines.documents import Limits, decode_page
from pipelines.page import Page, Upright
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.stages.base import run_stages
from tests.pdf_text import PAGE, draw_picture, show, text_pdf

LINES = [
    "Annual report of the district", "All pumps and valves were inspected", "The readings are listed below",
    "Invoice number 4471", "Total amount due 12,500", "Payment within thirty days",
]  # fmt: skip


def page_of(lines: list[str], mode: int = 0) -> bytes:
    return b"".join(show(line, 50, 420 - 30 * number, 14, mode) for number, line in enumerate(lines))


def scan(lines: list[str], degrees: float = 0) -> Image.Image:
    """Return the picture of a page with these lines, as a scanner turned it."""
    image = decode_page(text_pdf(page_of(lines)), "a.pdf", 1, Limits(pdf_dpi=150)).image
    return Image.fromarray(turn(image, degrees))


def read(*contents: bytes, reader: DocumentsReader | None = None, upright: Upright | None = None) -> list[PageRecord]:
    stages = [(spec.build(), spec.batch_size) for spec in (reader or load_reader("documents")).stages()]
    pages = [
        Page(
            PageRecord(page_id=f"{number:016x}", document_uri=f"{number}.pdf", page_number=1, page_count=1),
            content=content,
            upright=upright,
        )
        for number, content in enumerate(contents)
    ]
    records = [page.record for page in run_stages(stages, pages)]
    assert [record.error for record in records] == [None] * len(records)
    return records


def texts(record: PageRecord) -> list[str]:
    return [line.text for line in record.lines]


WRONG = [
    "Anmual rap0rt af tbe d1strict", "AI1 purnps amd va1ves vvere", "Tbe readimgs ore 1isted", "lnvo1ce nurnber 44",
    "T0tol omount", "Poyment",
]  # fmt: skip


@pytest.fixture(scope="module")
def records() -> dict[str, PageRecord]:
    """Return the records of a page of each kind; they are read together, as in a job."""
    whole = draw_picture(0, 0, *PAGE)
    stamp = scan(["PAID 2026"]).crop((90, 125, 270, 185))
    contents = {
        "born digital": text_pdf(page_of(LINES)),
        "on its side": text_pdf(page_of(LINES), Rotate=90),
        "scan": text_pdf(whole, picture=scan(LINES)),
        "sound OCR": text_pdf(whole + page_of(LINES, mode=3), picture=scan(LINES)),
        "wrong OCR": text_pdf(whole + page_of(WRONG, mode=3), picture=scan(LINES)),
        "no spaces": text_pdf(page_of([line.replace(" ", "") for line in LINES])),
        "stamped": text_pdf(page_of(LINES) + draw_picture(200, 60, 120, 40), picture=stamp),
        "numbered scan": text_pdf(whole + show("Exhibit 0042", 300, 15), picture=scan(LINES)),
        "number on a turned scan": text_pdf(whole + show("Exhibit 0042", 300, 15), picture=scan(LINES, 180)),
    }
    return dict(zip(contents, read(*contents.values()), strict=True))


def test_a_born_digital_page_is_its_text(records):
    record = records["born digital"]
    assert texts(record) == LINES and record.source == "text_layer" and record.text_layer_problem is None
    assert {line.source for line in record.lines} == {"text_layer"} and all(line.words for line in record.lines)
    assert {line.language for line in record.lines} == {"en"} and {line.confidence for line in record.lines} == {1.0}
    assert (record.skew_degrees, record.orientation_degrees, record.dpi) == (0, 0, 200)
    assert record.models == {} and record.text.split("\n")[0] == LINES[0]


def test_a_page_whose_text_runs_down_is_known_to_be_turned(records):
    record = records["on its side"]
    assert record.turned_degrees == 270 and texts(record) == LINES and record.source == "text_layer"


def test_a_scan_is_read_from_its_pixels(records):
    record = records["scan"]
    assert texts(record) == LINES and record.source == "pixels" and record.text_layer_problem is None
    assert record.dpi == pytest.approx(150, abs=1)


def test_an_earlier_ocr_that_agrees_with_the_picture_is_kept(records):
    record = records["sound OCR"]
    assert texts(record) == LINES and record.source == "text_layer" and record.text_layer_problem is None


def test_an_earlier_ocr_that_disagrees_is_read_anew(records):
    record = records["wrong OCR"]
    assert texts(record) == LINES and record.source == "pixels"
    assert record.text_layer_problem is not None and "lines read from the picture" in record.text_layer_problem


def test_text_that_cannot_be_right_is_read_from_pixels(records):
    record = records["no spaces"]
    assert record.source == "pixels" and record.text_layer_problem == "its words are not separated"
    assert len(record.lines) == len(LINES)


def test_text_and_pictures_are_read_together(records):
    record = records["stamped"]
    assert texts(record) == [*LINES, "PAID 2026"] and record.source == "both"
    stamp = record.lines[-1]
    assert stamp.source == "pixels"
    left, top = np.array(stamp.polygon).min(axis=0)
    assert 200 * 200 / 72 - 5 < left < 320 * 200 / 72 and (PAGE[1] - 100) * 200 / 72 - 5 < top < PAGE[1] * 200 / 72


@pytest.mark.parametrize("kind", ["numbered scan", "number on a turned scan"])
def test_a_scan_with_a_number_printed_on_it_is_read_from_both(records, kind):
    record = records[kind]
    assert record.source == "both" and sorted(texts(record)) == sorted([*LINES, "Exhibit 0042"])
    assert [line.text for line in record.lines if line.source == "text_layer"] == ["Exhibit 0042"]
    assert record.turned_degrees == pytest.approx(180 if "turned" in kind else 0, abs=0.2)


def test_the_use_of_text_layers_can_be_chosen():
    reader = load_reader("documents")
    assert isinstance(reader, DocumentsReader)
    content = text_pdf(draw_picture(0, 0, *PAGE) + page_of(WRONG, mode=3), picture=scan(LINES))
    (never,) = read(content, reader=reader.with_text_layer("never"))
    (always,) = read(content, reader=reader.with_text_layer("always"))
    assert (texts(never), never.source, never.text_layer_problem) == (LINES, "pixels", None)
    assert (texts(always), always.source) == (WRONG, "text_layer")


def test_pixels_are_there_for_who_wants_the_page_upright():
    page = Page(
        PageRecord(page_id="0" * 16, document_uri="a.pdf", page_number=1, page_count=1),
        content=text_pdf(page_of(LINES)),
        upright=Upright("image/png", 500),
    )
    decode = load_reader("documents").stages()[0].build()
    decode([page])
    assert page.image is not None and page.layer is not None


def test_meters_are_read_from_pixels_alone():
    with pytest.raises(ConfigError, match="reads pixels alone; leave out text-layer always"):
        load_reader("meters").with_text_layer("always")
