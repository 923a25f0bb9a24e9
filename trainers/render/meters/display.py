"""A display drawn flat: its picture, where its window and its places are, and what it reads."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from trainers.data.meter_sample import MeterDigit
from trainers.render.canvas import Colour


@dataclass(frozen=True)
class Display:
    """A display with some of the plate around it.

    `image` RGB; `window` (x0, y0, x1, y1) px of it: what its corners are; `digits` left to right, their boxes in px of
    `image`; `digital`: segments, not wheels; `height` of a digit's ink, px."""

    image: Image.Image
    window: tuple[float, float, float, float]
    digits: tuple[MeterDigit, ...]
    digital: bool
    height: float


def rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Return the corners clockwise from the top left, float32 (4, 2)."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float32)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` 0: `one`, 1: `other`."""
    r, g, b = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (r, g, b)
