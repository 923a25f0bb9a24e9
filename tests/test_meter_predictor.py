from collections.abc import Callable

import numpy as np
import pytest

from models.meter.predictor import MeterPredictor, MeterReading
from models.meter_digits.predictor import DigitReader, StripDigit
from tests.meter_bundles import DISPLAY, digits_bundle, draw_meter, screen_bundle

READING = "012345"


class Looks(DigitReader):
    """A reader that says at each look what it is told to: a text, and the confidence of its last place."""

    def __init__(self, bundle, *looks: tuple[str, float]):
        super().__init__(bundle, precision="f32")
        self.looks = list(looks)
        self.strips: list[np.ndarray] = []

    def __call__(self, strips: list[np.ndarray]) -> list[list[StripDigit]]:
        self.strips += strips
        text, confidence = self.looks.pop(0)
        top, bottom = (self.input.height - self.input.display) / 2, (self.input.height + self.input.display) / 2
        first, width = self.input.margin, (strips[0].shape[1] - 2 * self.input.margin) / len(text)
        return [
            [
                StripDigit(
                    character,
                    confidence if place == len(text) - 1 else 0.99,
                    0.0,
                    float(character),
                    1.0,
                    (first + place * width, top, first + (place + 1) * width, bottom),
                )
                for place, character in enumerate(text)
            ]
            for _ in strips
        ]


@pytest.fixture
def look(tmp_path) -> Callable[..., tuple[MeterReading, list[np.ndarray]]]:
    """Return the reading of a drawn meter whose looks say so, and the strips that were looked at."""
    digits = digits_bundle(tmp_path / "digits")
    predictor = MeterPredictor(screen_bundle(tmp_path / "screen"), digits, precision="f32")

    def read(*looks: tuple[str, float]) -> tuple[MeterReading, list[np.ndarray]]:
        predictor.reader = Looks(digits, *looks)
        (reading,) = predictor([draw_meter(READING)])
        assert not predictor.reader.looks, "fewer looks than expected"
        return reading, predictor.reader.strips

    return read


def test_a_sure_reading_needs_one_look(look):
    reading, _ = look((READING, 0.97))
    assert reading.success and reading.reading == READING and reading.confidence == 0.97


def test_a_second_look_that_agrees_adds_no_trust(look):
    reading, _ = look((READING, 0.6), (READING, 0.9))
    assert reading.reading == READING and reading.confidence == pytest.approx(0.75)
    assert not reading.success and reading.reason == "not sure of place 6 of 6"


def test_of_two_looks_that_differ_the_surer_one_is_reported(look):
    reading, _ = look(("012349", 0.6), (READING, 0.95))
    assert reading.reading == READING and reading.confidence == pytest.approx(0.95 / 2)
    assert not reading.success and reading.reason == "two looks at the display differ: the other says 012349"
    reading, _ = look((READING, 0.65), ("012349", 0.55))
    assert reading.reading == READING and reading.reason == "not sure of place 6 of 6"


def test_the_second_look_is_tighter_and_boxes_are_of_the_photo(look):
    reading, (first, second) = look(("012349", 0.6), (READING, 0.95))
    assert second.shape[1] > first.shape[1]  # lower, so longer at the strip's height
    left, top, width, height = DISPLAY
    corners = np.concatenate([digit.box for digit in reading.digits])
    assert left <= corners[:, 0].min() and corners[:, 0].max() <= left + width
    assert top <= corners[:, 1].min() and corners[:, 1].max() <= top + height
    assert np.allclose(reading.corners.min(axis=0), (left, top), atol=1)
