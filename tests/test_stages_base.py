import cv2
import numpy as np
import pytest

from pipelines.documents import EncryptedDocument, LayerLine, TextLayer
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.stages.base import run_stages


class Upper:
    """Writes the text, fails on pages called bad, and notes the sizes of its calls."""

    name = "upper"

    def __init__(self):
        self.calls = []

    def __call__(self, pages):
        self.calls.append(len(pages))
        for page in pages:
            if "bad" in page.record.document_uri:
                raise ValueError(f"{page.record.document_uri} is bad")
            page.record.text = page.record.document_uri.upper()


class Last(Upper):
    name = "last"


def pages(*names: str) -> list[Page]:
    return [Page(PageRecord(page_id=n, document_uri=n, page_number=1, page_count=1)) for n in names]


def test_only_the_page_at_fault_becomes_an_error_row():
    stage, last = Upper(), Last()
    done = list(run_stages([(stage, 4), (last, 4)], pages("a", "bad", "c")))
    assert [page.record.status for page in done] == ["ok", "error", "ok"]
    assert [page.record.text for page in done] == ["A", "", "C"]
    error = done[1].record.error
    assert (error.stage, error.type, error.message) == ("upper", "ValueError", "bad is bad")
    assert last.calls == [2], "a failed page does not reach later stages"
    assert set(done[0].record.timings_ms) == {"upper", "last"}


@pytest.mark.parametrize(("batch_size", "calls"), [(1, [1] * 5), (2, [2, 2, 1]), (8, [5])])
def test_batches(batch_size, calls):
    stage = Upper()
    done = list(run_stages([(stage, batch_size)], pages(*"abcde")))
    assert stage.calls == calls
    assert [page.record.document_uri for page in done] == list("abcde")


def test_a_stream_is_read_only_as_far_as_the_stages_have_room():
    taken = []

    def source():
        for page in pages(*"abcdef"):
            taken.append(page.record.document_uri)
            yield page

    stream = run_stages([(Upper(), 1), (Last(), 2)], source())
    next(stream)
    assert taken == ["a", "b"]


def raised_by_opencv() -> Exception:
    try:
        cv2.resize(np.zeros((0, 0), np.uint8), (5, 5))
    except cv2.error as error:
        return error


def out_of_memory_in_opencv() -> Exception:
    error = cv2.error("OpenCV: Failed to allocate 58184272896 bytes in function 'OutOfMemoryError'")
    error.code = -4
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised_by_opencv(), "ReadingFailed"),
        (out_of_memory_in_opencv(), "PageTooLarge"),
        (MemoryError(), "PageTooLarge"),
        (RuntimeError("Exception from src/inference: std::bad_alloc"), "PageTooLarge"),
        (EncryptedDocument("locked"), "EncryptedDocument"),
        (ValueError("bad"), "ValueError"),
    ],
)
def test_a_library_s_error_becomes_a_documented_one(error, kind):
    page = Page(PageRecord(page_id="x", document_uri="x", page_number=1, page_count=1))
    page.fail("text_detection", error)
    assert page.record.error.type == kind
    if kind in ("ReadingFailed", "PageTooLarge"):
        assert page.record.error.message.startswith("text_detection ")


def test_failing_releases_pixels():
    (page,) = pages("bad")
    page.image = np.zeros((4, 4, 3), np.uint8)
    list(run_stages([(Upper(), 1)], [page]))
    assert page.image is None


def test_a_page_survives_the_way_between_pools():
    (page,) = pages("a")
    page.image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    page.polygons = [np.arange(8, dtype=np.float32).reshape(4, 2)]
    page.blocks = [[[0]]]
    page.crops = [np.zeros((2, 3, 3), np.uint8)]
    page.layer = TextLayer([LayerLine("a b", [[0, 0], [9, 0], [9, 2], [0, 2]], [[0, 0.4], [0.6, 1]])], 9, 9, 200.0)
    page.layer_lines, page.samples = [0], {0: page.crops[0]}
    again = Page.from_row(page.to_row(), PageRecord)
    assert again.layer == page.layer and again.layer_line(0) == page.layer.lines[0]
    np.testing.assert_array_equal(again.samples[0], page.crops[0])
    assert again.record == page.record
    np.testing.assert_array_equal(again.image, page.image)
    np.testing.assert_array_equal(again.polygons, page.polygons)
    np.testing.assert_array_equal(again.crops[0], page.crops[0])
    assert again.blocks == [[[0]]] and again.view is None
