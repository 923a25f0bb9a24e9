"""The second look: lines are cut out, levelled, and read in both directions."""

import numpy as np
import pytest

from models.geometry import turn
from models.orientation.line_reader import LineReader, text_lines
from models.orientation.predictor import OrientationPredictor
from tests.test_deskew import text_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reader(precision):
    return LineReader(precision=precision)


@pytest.mark.parametrize("tilt", [-2.0, 0.0, 1.5])
def test_lines_are_cut_and_levelled(tilt):
    lines = text_lines(turn(text_page(), tilt))
    assert len(lines) == 6
    for line in lines:
        assert 10 <= line.shape[0] <= 45
        rows = (line < 128).mean(axis=1)
        assert rows[len(rows) // 2] > 0.1 > max(rows[0], rows[-1])


@pytest.mark.parametrize("tilt", [-1.5, 0.0])
def test_upright_and_upside_down_lines_are_distinguished(reader, tilt):
    page = turn(text_page(), tilt)
    assert reader.read(page).upright is True
    assert reader.read(np.rot90(page, 2)).upright is False
    assert reader.read(page).confidence > 0.7


@pytest.mark.parametrize("page", [np.full((200, 300), 255, np.uint8), np.zeros((1, 1), np.uint8)])
def test_pages_without_lines_have_no_say(reader, page):
    assert reader.read(page) is None
    assert text_lines(page) == []


def test_marks_that_are_no_letters_have_no_say(reader):
    page = np.full((400, 400), 255, np.uint8)
    page[50:350:40, 40:360] = 0
    page[:, 200:203] = 0
    assert reader.read(page) is None


class DoubtfulNetwork:
    """Likes every class about equally: the given one a little more, in whatever the tiles show."""

    def __init__(self, favourite):
        self.favourite = favourite

    def __call__(self, tiles):
        evidence = np.zeros((len(tiles), 4), np.float32)
        evidence[:, self.favourite] = 0.3
        return {"evidence": evidence, "weight": np.zeros(len(tiles), np.float32)}


@pytest.mark.parametrize("favourite", [0, 1, 2])
@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
def test_reading_decides_when_the_network_doubts(reader, favourite, quarter):
    predictor = OrientationPredictor(reader=reader)
    predictor.network = DoubtfulNetwork(favourite)
    (answer,) = predictor([turn(text_page(), quarter)])
    assert answer.degrees == quarter


def test_without_lines_a_bias_of_the_network_cancels_out(reader):
    predictor = OrientationPredictor(reader=reader)
    predictor.network = DoubtfulNetwork(2)
    page = np.full((300, 300), 255, np.uint8)
    page[20:280:30, 20:280] = 0
    (answer,) = predictor([page])
    assert answer.confidence == pytest.approx(0.25)  # without the second look it would favour one class
