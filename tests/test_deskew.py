"""The skew predictor with the packaged weights, its preprocessing and its decoding."""

import cv2
import numpy as np
import pytest

from models.bundle import BundleError
from models.deskew import preprocess
from models.deskew.predictor import DeskewPredictor, can_stand, decode
from models.geometry import turn

WORDS = ("Invoice number", "Payment due within", "thirty days", "Total amount", "Delivery address", "Reference")


def text_page(height=900, width=680, seed=0):
    """Return a grey page of level lines of text."""
    rng = np.random.default_rng(seed)
    page = np.full((height, width), 250, np.uint8)
    for y in range(60, height - 40, 34):
        line = " ".join(rng.choice(WORDS, 4))[: int(rng.integers(20, 48))]
        cv2.putText(page, line, (50, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 20, 1, cv2.LINE_AA)
    return page


@pytest.fixture(scope="module")
def predictor():
    return DeskewPredictor("deskew@1")


@pytest.mark.parametrize("degrees", [-88.3, -61.7, -45.0, -30.2, -10.4, -0.3, 0.0, 0.25, 7.7, 29.9, 45.1, 72.6, 89.4])
def test_a_turned_page_is_found_within_half_a_degree(predictor, degrees):
    (skew,) = predictor([turn(text_page(), degrees)])
    assert abs((skew.degrees - degrees + 90) % 180 - 90) <= 0.5
    assert skew.confidence > 0.5


def test_colour_and_grey_give_the_same_answer(predictor):
    page = turn(text_page(), 12.0)
    grey, colour = predictor([page, np.repeat(page[..., None], 3, axis=2)])
    assert abs(grey.degrees - colour.degrees) < 0.01


def test_a_batch_gives_what_single_pages_give(predictor):
    pages = [turn(text_page(seed=seed), 9.0 * seed) for seed in range(3)]
    together = predictor(pages)
    for page, answer in zip(pages, together, strict=True):
        (alone,) = predictor([page])
        assert abs(alone.degrees - answer.degrees) < 1e-3


def test_a_page_of_twenty_times_its_width_is_read_in_sections(predictor):
    page = turn(text_page(height=600, width=500), 2.0)
    (skew,) = predictor([np.concatenate([page] * 15)])
    assert abs(skew.degrees - 2.0) <= 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 5, 3), (40, 30), (300, 200, 3)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pages_have_no_skew(predictor, shape, level):
    (skew,) = predictor([np.full(shape, level, np.uint8)])
    assert (skew.degrees, skew.confidence) == (0.0, 0.0)


def test_blank_and_printed_pages_keep_their_places(predictor):
    blank = np.full((200, 200), 255, np.uint8)
    first, second, third = predictor([blank, turn(text_page(), 20.0), blank])
    assert first.confidence == third.confidence == 0.0
    assert abs(second.degrees - 20) <= 0.5
    assert predictor([]) == []


NOT_PAGES = [np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8)]


@pytest.mark.parametrize("image", NOT_PAGES)
def test_no_page_is_an_error(predictor, image):
    with pytest.raises(ValueError, match="a page must"):
        predictor([image])


def test_another_task_s_bundle_is_refused():
    with pytest.raises(BundleError, match="deskew"):
        DeskewPredictor("orientation@1")


def test_half_power_is_the_fourier_transform_s():
    ink = np.random.default_rng(0).normal(size=(301, 503)).astype(np.float32)
    padded = np.zeros((preprocess.SIDE, preprocess.SIDE))
    padded[:301, :503] = ink
    expected = np.abs(np.roll(np.fft.rfft2(padded), preprocess.SIDE // 2, axis=0)) ** 2
    np.testing.assert_allclose(preprocess._half_power(ink), expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("degrees", [-60.0, 0.0, 25.0])
def test_a_turn_shifts_the_spectrum(degrees):
    level, turned = (preprocess.polar_spectrum(turn(text_page(), angle)) for angle in (3.0, 3.0 + degrees))
    agreement = [(turned * np.roll(level, bins, axis=0)).sum() for bins in range(preprocess.ANGLES)]
    found = np.argmax(agreement) * 180 / preprocess.ANGLES
    assert abs((found - degrees + 90) % 180 - 90) <= 0.25


def peaked_logits(degrees):
    distance = (preprocess.bin_centres() - degrees + 90) % 180 - 90
    return -0.5 * (distance / 0.3) ** 2


@pytest.mark.parametrize(
    ("range_degrees", "degrees", "expected"),
    [
        (90, 0.0, 0.0),
        (90, 0.1, 0.1),
        (90, -89.9, -89.9),
        (90, 89.95, 89.95),
        (89, 88.9, 88.9),
        (89, -30.0, -30.0),
        (45, 30.0, 30.0),
        (45, -60.0, 30.0),
        (45, 89.0, -1.0),
        (45, 44.9, 44.9),
        (45, 45.2, -44.8),
    ],
)
def test_decoding_has_no_bias(range_degrees, degrees, expected):
    found, confidence = decode(peaked_logits(degrees)[None], range_degrees)
    assert found[0] == pytest.approx(expected, abs=0.01)
    assert confidence[0] > 0.99


def test_decoding_stays_in_the_range():
    found, _ = decode(np.stack([peaked_logits(angle) for angle in np.arange(-90, 90, 0.7)]), 89)
    assert np.abs(found).max() <= 89


@pytest.mark.parametrize(
    ("degrees", "size", "expected"),
    [
        (-54.0, (1000, 1400), True),
        (-9.8, (14_000, 80), False),
        (0.4, (14_000, 80), True),
        (89.8, (80, 14_000), True),
        (-89.9, (14_000, 80), True),
        (-45.0, (20_000, 12), False),
        (3.0, (780, 9000), True),
        (-30.0, (780, 9000), False),
    ],
)
def test_in_a_strip_text_runs_along_or_across(degrees, size, expected):
    assert can_stand(degrees, *size) is expected
    assert can_stand(degrees, *size[::-1]) is expected


def test_a_strip_of_noise_is_not_turned_by_a_free_angle(predictor):
    noise = np.random.default_rng(0).integers(0, 256, (12, 5000), np.uint8)
    (skew,) = predictor([noise])
    assert min(abs(skew.degrees), 90 - abs(skew.degrees)) < 1


def test_a_digit_alone_is_level(predictor):
    for digit in "2457":
        crop = np.full((37, 32), 255, np.uint8)
        cv2.putText(crop, digit, (5, 31), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 20, 2, cv2.LINE_AA)
        (skew,) = predictor([crop])
        assert abs(skew.degrees) < 3
