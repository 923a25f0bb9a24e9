"""The tree behind all exports, and the store it is built from."""

import numpy as np
import pytest

from common.storage import Storage
from models.geometry import transform_points, turn_matrix
from pipelines.exports.publish import document_stem
from pipelines.exports.store import RecordStore
from pipelines.exports.tree import Page, build_page
from pipelines.exports.upright import upright_turn, upright_view
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import Block as BlockRecord
from pipelines.readers.documents.record import Line, PageRecord
from pipelines.records import PageError


def line(text: str, left: float, top: float, width: float, height: float = 20, degrees: float = 0) -> Line:
    box = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    matrix, _ = turn_matrix(1, 1, degrees)
    polygon = box @ matrix[:, :2].T + [left, top]
    return Line(text=text, confidence=0.9, polygon=polygon.tolist(), language="korean")


def record(lines: list[Line], text: str, **changes) -> PageRecord:
    values = {
        "page_id": "0" * 16, "document_uri": "/a/scan.png", "page_number": 1, "page_count": 1, "width": 400,
        "height": 300, "text": text, "lines": lines, "skew_degrees": 0.0, "orientation_degrees": 0,
    }  # fmt: skip
    return PageRecord(**values | changes)


def test_words_stand_where_the_record_says():
    told = line("한국어 abc", 10, 20, 100).model_copy(update={"words": [[0.0, 0.25], [0.5, 1.0]]})
    (block,) = build_page(record([told], "한국어 abc")).blocks
    first, second = block.lines[0].words
    assert first.polygon[1].tolist() == [35, 20] and second.polygon[0].tolist() == [60, 20]


def test_words_share_the_line_by_the_width_of_their_characters():
    (block,) = build_page(record([line("한국어 abc", 10, 20, 100)], "한국어 abc")).blocks
    first, second = block.lines[0].words
    assert (first.text, second.text) == ("한국어", "abc")
    assert first.polygon[0].tolist() == [10, 20]
    assert second.polygon[2].tolist() == pytest.approx([110, 40])
    assert np.ptp(first.polygon[:, 0]) > 1.5 * np.ptp(second.polygon[:, 0])  # Hangul is wide
    assert first.polygon[1, 0] < second.polygon[0, 0]


@pytest.mark.parametrize("degrees", [0, 37, 90, 180, -120])
def test_angle_height_and_baseline_follow_the_polygon(degrees):
    (block,) = build_page(record([line("abc def", 200, 150, 100, 20, degrees)], "abc def")).blocks
    (tree_line,) = block.lines
    assert (tree_line.angle - degrees) % 360 == pytest.approx(0, abs=1e-3)
    assert tree_line.height == pytest.approx(20, abs=1e-4)
    start, end = tree_line.baseline
    assert np.linalg.norm(end - start) == pytest.approx(100, abs=1e-3)
    assert np.linalg.norm(start - tree_line.polygon[3]) == pytest.approx(4, abs=1e-3)  # a fifth above the lower edge


def test_blocks_are_those_of_the_record():
    lines = [line(text, 0, 30 * i, 100) for i, text in enumerate(["a", "b", "a", "c"])]
    for number, entry in enumerate(lines):
        entry.block, entry.row = number // 2, number % 2
    page = build_page(record(lines, "a\nb\n\na\nc", blocks=[BlockRecord(kind="title", level=1), BlockRecord()]))
    assert [[entry.text for entry in block.lines] for block in page.blocks] == [["a", "b"], ["a", "c"]]
    assert [(block.kind, block.number) for block in page.blocks] == [("title", 0), ("text", 1)]
    assert [entry.row for entry in page.blocks[1].lines] == [0, 1]


def test_text_that_no_file_can_hold_is_left_out():
    page = build_page(record([line("a\x00b\x0b c", 0, 0, 50), line("  ", 0, 30, 50)], "a\x00b\x0b c\n  "))
    assert [word.text for word in page.blocks[0].lines[0].words] == ["ab", "c"]
    assert len(page.blocks[0].lines) == 1


def test_a_failed_page_has_an_error_and_no_blocks():
    error = PageError(stage="decode", type="ValueError", message="bad")
    page = build_page(record([], "", status="error", error=error))
    assert page.error == "decode: ValueError: bad" and page.blocks == ()


@pytest.mark.parametrize("degrees", [0, 5, 37, 90, 150, 180, 270])
def test_the_upright_view_puts_text_level_and_within_its_canvas(degrees):
    matrix, (width, height) = turn_matrix(600, 800, degrees)
    upright = np.array([[60, 90], [560, 90], [560, 110], [60, 110]])
    polygon = transform_points(matrix, upright)
    quarter = 90 * round(degrees / 90)
    source = record(
        [Line(text="text", confidence=1, polygon=polygon.tolist(), language="x")], "text", width=width, height=height,
        orientation_degrees=quarter % 360, skew_degrees=float(degrees - quarter),
    )  # fmt: skip
    page = build_page(source)
    view, size = upright_view(page)
    points = transform_points(view, polygon)
    assert np.allclose(points[0, 1], points[1, 1], atol=0.1) and points[1, 0] > points[0, 0]
    assert (points >= 0).all() and (points <= size).all()
    assert np.linalg.norm(points[1] - points[0]) == pytest.approx(500, abs=0.1)


def test_a_skew_too_small_to_see_is_not_turned():
    page = Page(record([], "", skew_degrees=0.06, orientation_degrees=180), ())
    assert upright_turn(page) == 180
    assert upright_turn(Page(record([], "", skew_degrees=2.0), ())) == -2


def test_file_names_keep_hangul_and_do_not_collide():
    assert document_stem("/a/영수증 1.png").startswith("영수증_1-")
    assert document_stem("/a/scan.png") != document_stem("/b/scan.png")
    assert document_stem("/a/scan.png") == document_stem("/a/scan.png")
    assert document_stem("/a/pages.parquet#row=17").startswith("pages_row17-")
    assert "/" not in document_stem("s3://bucket/a:b*?.tif") and len(document_stem("/" + "한" * 300).encode()) < 255


def test_documents_are_whole_and_in_order_however_parts_lie(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.exports.store.KEPT_ROW_GROUPS", 1)
    ledger = Ledger(Storage(str(tmp_path)))
    pages = [
        record([], f"{uri} {number}", page_id=f"{ord(uri):08x}{number:08x}", document_uri=uri, page_number=number)
        for uri in "ab" for number in range(1, 8)
    ]  # fmt: skip
    mixed = pages[::2] + pages[1::2]
    for start in range(0, len(mixed), 3):
        ledger.commit(f"part-{99 - start:02}.parquet", mixed[start : start + 3])
    store = RecordStore(str(tmp_path), PageRecord)
    texts = {stored.uri: [page.text for page in store.records(stored)] for stored in store.documents()}
    assert texts == {uri: [f"{uri} {number}" for number in range(1, 8)] for uri in "ab"}
    assert len(store._tables) == 1


def test_an_output_without_pages_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no committed pages"):
        RecordStore(str(tmp_path), PageRecord)
