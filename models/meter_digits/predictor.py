"""Reads the digits of a display's flat strip."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.blob import blob
from models.bundle import Bundle, BundleError, load_bundle
from models.meter_digits.preprocess import StripInput, padded, padded_width
from models.runtime import Network

STEP = 8  # px of a column of the network's output
BLANK = 0
UNREADABLE = "x"
# What the network's classes 1.. mean: a digit before the point, one behind it (coloured wheels), a place that cannot be
# read. A place's side of the point is part of its class, so that readings alone teach it.
LABELS = (*"0123456789", *(f".{digit}" for digit in range(10)), UNREADABLE)
_SYMBOLS = "0123456789" + UNREADABLE
_SAME_PLACE = 0.5  # of the narrower of two digits; more overlap than that and only one of them is there


class DigitDecoding(BaseModel):
    """How the network's columns become digits."""

    model_config = ConfigDict(extra="forbid")
    readable: float = Field(default=0.5, ge=0, le=1, description="a place read with less confidence is x")
    sure: float = Field(default=0.8, ge=0, le=1, description="a reading with a place of less is not to be trusted")


@dataclass(frozen=True, slots=True)
class StripDigit:
    """A place of the display.

    Attributes:
        character: "0" … "9", or "x".
        confidence: 0..1 that it is that character.
        fraction: probability, 0..1, that it is after the decimal point.
        position: of a wheel, in [0, 10); `firmness` 0..1: how certain that is.
        box: left, top, right, bottom in px of the strip.
    """

    character: str
    confidence: float
    fraction: float
    position: float
    firmness: float
    box: tuple[float, float, float, float]


class DigitReader:
    """Digits of strips.

    Args:
        bundle: a `meter_digits` bundle or its name.
        device, threads, precision: see `models.runtime.Network`.

    Attributes:
        input: the strips it takes, see `models.meter_digits.preprocess.cut_strip`.

    Raises:
        BundleError, DeviceError: the bundle or the device cannot be used.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path = "meter-digits@1",
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
    ):
        bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        bundle.require_task("meter_digits")
        self.input = bundle.input(StripInput)
        self.decoding = bundle.decoding(DigitDecoding)
        if tuple(bundle.card.labels) != LABELS:
            raise BundleError(f"bundle {bundle.name}: its labels are not those of meter digits ({' '.join(LABELS)})")
        self.network = Network(bundle, device, threads, precision)
        self.name, self.device = self.network.name, self.network.device

    def __call__(self, strips: list[np.ndarray]) -> list[list[StripDigit]]:
        """Return the places of each strip, from left to right.

        Args:
            strips: (input.height, w, 3) uint8 RGB.
        """
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, strip in enumerate(strips):
            buckets[padded_width(strip.shape[1], self.input)].append(index)
        read: dict[int, list[StripDigit]] = {}
        for width, indices in buckets.items():
            output = self.network(blob([padded(strips[index], width) for index in indices], self.input))
            for row, index in enumerate(indices):
                columns = -(-strips[index].shape[1] // STEP)
                classes, box, position = (output[name][row, :columns] for name in ("classes", "box", "position"))
                read[index] = decode(classes, box, position, self.input)
        return [read[index] for index in range(len(strips))]


def decode(classes: np.ndarray, box: np.ndarray, position: np.ndarray, form: StripInput) -> list[StripDigit]:
    """Places of one strip from left to right: the best path of CTC, a place's attributes read at its surest column.

    Args:
        classes: float32 [columns, 1 + LABELS] probabilities. box: [columns, 4]. position: [columns, 2]; see
            `models.meter_digits.network`.
    """
    merged = merge(classes)
    best = merged.argmax(axis=1)
    found = []
    for symbol, run in groupby(range(len(best)), key=best.__getitem__):
        if symbol == BLANK:
            continue
        column = max(run, key=lambda c: merged[c, symbol])
        found.append(_digit(column, symbol, merged[column], classes[column], box[column], position[column], form))
    return _without_doubles(found)


def merge(classes: np.ndarray) -> np.ndarray:
    """[..., 1 + LABELS] → [..., 12]: blank, the digits on either side of the point, unreadable."""
    digits = classes[..., 1:11] + classes[..., 11:21]
    return np.concatenate([classes[..., :1], digits, classes[..., 21:]], axis=-1)


def _digit(column: int, symbol: int, merged, classes, box, position, form: StripInput) -> StripDigit:
    middle = (column + 0.5) * STEP
    left, right, top, bottom = (float(side) * form.height for side in box)
    sides = (middle - left, form.height / 2 - top, middle + right, form.height / 2 + bottom)
    fraction = float(classes[11:21].sum()) / max(1e-6, float(classes[1:21].sum()))
    turned = float(np.arctan2(position[1], position[0])) / (2 * np.pi) * 10 % 10
    firmness = min(1.0, float(np.hypot(*position)))
    return StripDigit(_SYMBOLS[symbol - 1], float(merged[symbol]), fraction, turned, firmness, sides)


def _without_doubles(found: list[StripDigit]) -> list[StripDigit]:
    """Of digits in one place the surest."""
    kept: list[StripDigit] = []
    for digit in found:
        if kept and _overlap(kept[-1].box, digit.box) > _SAME_PLACE:
            if digit.confidence > kept[-1].confidence:
                kept[-1] = digit
        else:
            kept.append(digit)
    return kept


def _overlap(one: tuple, other: tuple) -> float:
    """Share of the narrower span that both have in common."""
    common = min(one[2], other[2]) - max(one[0], other[0])
    return common / max(1e-6, min(one[2] - one[0], other[2] - other[0]))
