"""What the digit network learns of a strip: its label, or all it may have, and the truth of single columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.meter_digits.predictor import LABELS, STEP, UNREADABLE
from trainers.data.meter_sample import MeterDigit

UNTAUGHT = -1
# A display whose zeros were dropped has at most so many places, and at most so many behind the point.
MOST_PLACES, MOST_FRACTION_PLACES = 9, 3
_CLASS = {label: number for number, label in enumerate(LABELS, start=1)}  # 0 is the blank
_MIDDLE = 0.3  # of a digit's width: columns that learn its box and position


@dataclass(frozen=True)
class ColumnTargets:
    """Truth of a strip's columns; UNTAUGHT or nan where a column learns nothing.

    Attributes:
        classes: int64 [columns].
        box: float32 [columns, 4]: left, right, top, bottom less the column's middle, in strip heights.
        position: float32 [columns, 2]: cosine and sine.
    """

    classes: np.ndarray
    box: np.ndarray
    position: np.ndarray


def digit_class(character: str, fraction: bool) -> int:
    """Return the network's class of a place."""
    return _CLASS[character if character == UNREADABLE or not fraction else f".{character}"]


def reading_labels(reading: str, leading_zeros: bool) -> list[list[int]]:
    """Classes that a display with that reading may show: one sequence, or, of a number whose outer zeros were dropped,
    one for each number of zeros that may stand before it and behind its point.

    >>> reading_labels("7.5", leading_zeros=True)
    [[8, 16]]
    """
    before, _, behind = reading.partition(".")
    if leading_zeros:
        return [_classes(before, behind)]
    # Whole numbers are often written with a point and a zero that the display does not have.
    shown = "" if behind == "0" else behind
    fractions = {shown.ljust(places, "0") for places in range(MOST_FRACTION_PLACES + 1)} if behind else {""}
    return [
        _classes("0" * zeros + before, fraction)
        for fraction in sorted(fractions)
        for zeros in range(max(1, MOST_PLACES + 1 - len(before) - len(fraction)))
    ]


def _classes(before: str, behind: str) -> list[int]:
    return [digit_class(c, False) for c in before] + [digit_class(c, True) for c in behind]


def column_targets(digits: Sequence[MeterDigit], boxes: np.ndarray, columns: int, height: int) -> ColumnTargets:
    """Truth of the columns of a strip whose digits' boxes are known.

    Args:
        digits: left to right.
        boxes: float32 [digits, 4]: left, top, right, bottom in px of the strip.
        columns: of STEP px. height: of the strip, px.
    """
    classes = np.full(columns, UNTAUGHT)
    box = np.full((columns, 4), np.nan, np.float32)
    position = np.full((columns, 2), np.nan, np.float32)
    middles = (np.arange(columns) + 0.5) * STEP
    for number, (digit, (left, top, right, bottom)) in enumerate(zip(digits, boxes, strict=True)):
        middle = (left + right) / 2
        own = int(np.clip(round(middle / STEP - 0.5), 0, columns - 1))
        classes[own] = digit_class(digit.character, digit.fraction)
        # The column between two digits is no digit, or equal neighbours would be one.
        if number:
            between = int(np.clip(round((boxes[number - 1][2] + left) / 2 / STEP - 0.5), 0, columns - 1))
            if classes[between] == UNTAUGHT:
                classes[between] = 0
        near = np.abs(middles - middle) <= max(_MIDDLE * (right - left), STEP / 2)
        sides = np.array([[left, right, top, bottom]]) - np.column_stack(
            [middles, middles, *[np.full(columns, height / 2)] * 2]
        )
        box[near] = (sides * (-1, 1, -1, 1) / height)[near]
        if digit.position is not None:
            turn = digit.position / 10 * 2 * np.pi
            position[near] = np.cos(turn), np.sin(turn)
    return ColumnTargets(classes, box, position)
