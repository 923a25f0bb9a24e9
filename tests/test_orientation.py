"""The orientation predictor with the packaged weights, and its preprocessing."""

import numpy as np
import pytest

from models.bundle import BundleError
from models.geometry import turn
from models.orientation.predictor import OrientationPredictor
from models.orientation.preprocess import OrientationInput, crop_to_content, grid, page_tiles
from tests.test_deskew import text_page


@pytest.fixture(scope="module")
def predictor(precision):
    return OrientationPredictor("orientation@1", precision=precision)


@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
@pytest.mark.parametrize("residual", [-1.5, 0.0, 2.0])
def test_quarter_turns_are_found(predictor, quarter, residual):
    (answer,) = predictor([turn(text_page(), quarter + residual)])
    assert answer.degrees == quarter
    assert answer.confidence > 0.5


@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
@pytest.mark.parametrize("light, dark", [(255, 0), (230, 60)])
def test_print_may_be_light_on_dark(predictor, quarter, light, dark):
    page = text_page().astype(np.float32) / 255
    negative = (light - page * (light - dark)).astype(np.uint8)
    (answer,) = predictor([turn(negative, quarter)])
    assert answer.degrees == quarter
    assert answer.confidence > 0.5


def test_a_dark_half_of_a_page_does_not_outvote_the_rest(predictor):
    both = np.concatenate([text_page(), 255 - text_page(seed=1)])
    assert [answer.degrees for answer in predictor([both, turn(both, 180)])] == [0, 180]


def test_wide_empty_borders_do_not_matter(predictor):
    page = np.full((2400, 2400), 250, np.uint8)
    page[900:1500, 800:1400] = turn(text_page(600, 600), 180)
    (answer,) = predictor([page])
    assert answer.degrees == 180


def test_a_very_long_page_is_read_in_sections(predictor):
    (answer,) = predictor([turn(np.concatenate([text_page(700, 500)] * 12), 180)])
    assert answer.degrees == 180


def test_batches_keep_their_order_and_blank_pages_their_place(predictor):
    blank = np.full((300, 200, 3), 255, np.uint8)
    answers = predictor([blank, turn(text_page(), 90), text_page(), blank, turn(text_page(), 270)])
    assert [answer.degrees for answer in answers] == [0, 90, 0, 0, 270]
    assert answers[0].confidence == answers[3].confidence == 0.0
    assert predictor([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 5, 3), (40, 30)])
def test_blank_pages_of_any_size(predictor, shape):
    (answer,) = predictor([np.full(shape, 255, np.uint8)])
    assert (answer.degrees, answer.confidence) == (0, 0.0)


def test_no_page_is_an_error(predictor):
    with pytest.raises(ValueError, match="a page must"):
        predictor([np.zeros((4, 4), np.float32)])


def test_another_task_s_bundle_is_refused():
    with pytest.raises(BundleError, match="orientation"):
        OrientationPredictor("deskew@1")


def test_the_grid_covers_everything():
    ink = np.arange(500 * 700, dtype=np.float32).reshape(500, 700)
    tiles = grid(ink, 384)
    assert {tile.shape for tile in tiles} == {(384, 384)}
    assert set(np.concatenate([tile.ravel() for tile in tiles])) == set(ink.ravel())


def test_tiles_with_most_ink_come_first():
    page = np.full((800, 800), 250, np.uint8)
    page[400:] = text_page(400, 800)
    tiles = page_tiles(page, OrientationInput(long_side=800, tile=256, max_tiles=3))
    assert tiles.shape == (3, 256, 256)
    ink = (tiles > 1).mean(axis=(1, 2))
    assert list(ink) == sorted(ink, reverse=True)


def test_cropping_keeps_the_ink():
    page = np.full((1000, 1000), 250, np.uint8)
    page[300:700, 200:800] = text_page(400, 600)
    cropped = crop_to_content(page)
    assert cropped.shape[0] < 480 and cropped.shape[1] < 680
    assert (cropped < 100).sum() > 0.98 * (page < 100).sum()
