"""The tiny reader that other tests rely on: every page it draws is read as it says."""

import numpy as np
import pytest

from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from tests.tiny_documents import CHARACTERS, draw_tiny_page, tiny_text


@pytest.fixture(scope="module")
def stages(tiny_reader):
    return [spec.stage(**spec.kwargs) for spec in tiny_reader.stages()[1:]]


def read(stages, image: np.ndarray) -> PageRecord:
    page = Page(PageRecord(page_id="0" * 16, document_uri="made", page_number=1, page_count=1))
    page.image = page.view = image
    for stage in stages:
        stage([page])
    return page.record


@pytest.mark.parametrize(
    "text", [CHARACTERS[:20], CHARACTERS[20:], "AA  00--", "7", *(tiny_text(number) for number in range(12))]
)
def test_what_is_drawn_is_read(stages, text):
    record = read(stages, draw_tiny_page(text.splitlines()))
    assert record.text.strip() == text.strip()
    assert (record.skew_degrees, record.orientation_degrees) == (0, 0)
    assert all(line.confidence > 0.99 for line in record.lines)


def test_lines_are_where_they_were_drawn(stages):
    record = read(stages, draw_tiny_page(["ONE", "LINE TWO"]))
    first, second = (np.array(line.polygon) for line in record.lines)
    assert np.abs(first.min(axis=0) - (32, 32)).max() <= 1 and np.abs(first.max(axis=0) - (97, 56)).max() <= 1
    assert np.abs(second.min(axis=0) - (32, 72)).max() <= 1 and np.abs(second.max(axis=0) - (197, 96)).max() <= 1


def test_an_empty_page_says_nothing(stages):
    assert read(stages, draw_tiny_page([])).text == ""
