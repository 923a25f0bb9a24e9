"""Pages are turned only on sure answers: what has no legible lines is left as it is, and the record says so."""

import cv2
import numpy as np
import pytest

from common.config import ConfigError
from models.geometry import turn
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from tests.test_deskew import text_page

SIZE = (1200, 900)


def straightened(image: np.ndarray, turn_below: float | None = None) -> PageRecord:
    """Read the angles of a grey page with the packaged networks."""
    reader = load_reader("documents")
    if turn_below is not None:
        reader = reader.with_turn_below(turn_below)
    page = Page(PageRecord(page_id="0", document_uri="page.png", page_number=1, page_count=1))
    page.view = image
    for spec in reader.stages()[1:3]:
        spec.build()([page])
    return page.record


def triangle() -> np.ndarray:
    page = np.full(SIZE, 250, np.uint8)
    cv2.polylines(page, [np.array([[150, 900], [760, 750], [400, 200]])], True, 20, 4, cv2.LINE_AA)
    return page


def scratches() -> np.ndarray:
    rng = np.random.default_rng(5)
    page = np.full(SIZE, 250, np.uint8)
    for x, y, dx, dy in rng.integers((0, 0, -300, -300), (900, 1200, 300, 300), (25, 4)):
        cv2.line(page, (int(x), int(y)), (int(x + dx), int(y + dy)), int(rng.integers(140)), 2, cv2.LINE_AA)
    return page


def noise() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, SIZE).astype(np.uint8)


def blobs() -> np.ndarray:
    small = np.random.default_rng(7).integers(0, 256, (9, 7)).astype(np.uint8)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


def word() -> np.ndarray:
    page = np.full(SIZE, 250, np.uint8)
    cv2.putText(page, "PART II", (200, 400), cv2.FONT_HERSHEY_SIMPLEX, 4, 10, 8, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("drawn", [triangle, scratches, noise, blobs, word])
@pytest.mark.parametrize("light_on_dark", [False, True])
def test_a_page_without_legible_lines_is_left_as_it_is(drawn, light_on_dark):
    image = drawn()
    record = straightened(255 - image if light_on_dark else image)
    assert (record.skew_degrees, record.orientation_degrees) == (0.0, 0)
    assert record.orientation_confidence is not None and record.orientation_confidence < 0.7


def test_the_record_says_what_was_withheld():
    sure = straightened(triangle(), turn_below=0)
    assert sure.turned_degrees != 0 and sure.withheld_degrees is None
    unsure = straightened(triangle())
    assert unsure.withheld_degrees == pytest.approx((sure.turned_degrees + 180) % 360 - 180)
    assert (unsure.skew_confidence, unsure.orientation_confidence) == (
        sure.skew_confidence,
        sure.orientation_confidence,
    )


@pytest.mark.parametrize("degrees", [-170.0, -91.5, -3.0, 0.0, 44.0, 120.0])
def test_a_page_of_text_is_turned_whatever_its_angle(degrees):
    record = straightened(turn(text_page(), degrees))
    assert abs((record.turned_degrees - degrees + 180) % 360 - 180) < 0.5
    assert record.withheld_degrees is None


def test_a_page_that_is_level_is_not_said_to_be_withheld():
    record = straightened(np.full(SIZE, 250, np.uint8))
    assert record.turned_degrees == 0 and record.withheld_degrees is None


def test_meters_are_not_turned():
    with pytest.raises(ConfigError, match="turns no pages; leave out turn-below"):
        load_reader("meters").with_turn_below(0.5)
