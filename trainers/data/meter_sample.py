"""Meters with their labels, as sources give them to tasks: photos, and displays or single digits cut out of them.

Light on purpose (numpy alone): real meters (`trainers.meter.source`) and rendered ones (`trainers.render.meters`) share
it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["photo", "strip"]
KINDS: tuple[Kind, ...] = ("photo", "strip")

MeterClass = Literal["analog", "digital", "analog_illegible", "digital_illegible", "none"]
METER_CLASSES: tuple[MeterClass, ...] = ("analog", "digital", "analog_illegible", "digital_illegible", "none")

UNREADABLE = "x"
CHARACTERS = "0123456789" + UNREADABLE


@dataclass(frozen=True, eq=False)
class MeterDigit:
    """A place of a display.

    Attributes:
        character: "0" … "9", or "x": cannot be read.
        position: of the wheel, in [0, 10): 3.7 = 3 on its way to 4, seven tenths of the turn done; None:
            not known, or no wheel.
        box: float32 (4, 2), x and y in px of the image, from the digit's own top left, clockwise as it is read; None:
            not known.
        fraction: whether it is after the decimal point (coloured wheels).
    """

    character: str
    position: float | None = None
    box: np.ndarray | None = None
    fraction: bool = False

    @property
    def known_box(self) -> np.ndarray:
        """`box`, for digits that have one. Raises ValueError otherwise."""
        if self.box is None:
            raise ValueError(f"the digit {self.character} has no box")
        return self.box


@dataclass(frozen=True, eq=False)
class MeterSample:
    """An image of a meter and what is known about it.

    Attributes:
        image: uint8 [height, width, 3] RGB, EXIF orientation applied.
        kind: "photo", or "strip": the image is a display, or a single digit, cut out.
        meter_class: one of `METER_CLASSES`; "none" is a photo without a display; None: not known.
        corners: float32 (4, 2), x and y in px of the display's TL, TR, BR, BL in reading order (a meter that hangs
            upside down has its TL at the lower right); a strip's are the image's own; None: no display, or not known.
        reading: digits left to right, "." before the fraction, "x" for a place that cannot be read; None: not labelled.
        leading_zeros: whether the reading holds all the zeros that the display shows; if not it is a number, and zeros
            may be before it and after its point.
        digits: left to right; None: not labelled.
        name: unique in its set.
        group: one physical meter, or one contributor; None: not known.
    """

    image: np.ndarray
    kind: Kind
    meter_class: MeterClass | None
    corners: np.ndarray | None = None
    reading: str | None = None
    leading_zeros: bool = True
    digits: tuple[MeterDigit, ...] | None = None
    name: str = ""
    group: str | None = None


def reading_of(digits: Sequence[MeterDigit]) -> str:
    """Return the reading of digits from left to right, with "." between the whole part and the fraction, if it has
    both."""
    whole = "".join(digit.character for digit in digits if not digit.fraction)
    fraction = "".join(digit.character for digit in digits if digit.fraction)
    return f"{whole}.{fraction}" if whole and fraction else whole + fraction
