"""Photos as the display's network takes them."""

from math import floor, log2

import cv2
import numpy as np
from pydantic import Field

from models.blob import ImageFormat
from models.geometry import halved

_ROUND = 32  # the network takes sides that are multiples of it


class ScreenInput(ImageFormat):
    """Photos as the network takes them."""

    long_side: int = Field(ge=64, multiple_of=_ROUND, description="px that the longer side is scaled to")
    closer_side: int = Field(default=288, ge=64, multiple_of=_ROUND, description="px: width of a closer look")
    closer_height: int = Field(default=160, ge=64, multiple_of=_ROUND, description="px: its height")


def to_canvas(image: np.ndarray, long_side: int) -> tuple[np.ndarray, float]:
    """Return the photo scaled to a longer side of `long_side` px, at the top left of a canvas whose sides fit the
    network, and the scale."""
    scale = long_side / max(image.shape[:2])
    # What is left to do is a factor of more than a half, which bilinear sampling does well.
    near, divisor = halved(image, max(0, floor(-log2(scale))))
    size = (max(1, round(near.shape[1] * scale * divisor)), max(1, round(near.shape[0] * scale * divisor)))
    small = cv2.resize(near, size, interpolation=cv2.INTER_LINEAR)
    height, width = (-(-side // _ROUND) * _ROUND for side in small.shape[:2])
    canvas = np.full((height, width, 3), 127, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas, scale
