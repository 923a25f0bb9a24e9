"""The display as a flat strip: cut out of the photo by a homography, with a margin."""

import cv2
import numpy as np
from pydantic import Field

from models.blob import ImageFormat
from models.geometry import quad_size, warp


class StripInput(ImageFormat):
    """Strips as the digit network takes them, in px."""

    height: int = Field(ge=16, description="of the strip")
    display: int = Field(ge=8, description="of the display within the strip, in the middle")
    margin: int = Field(ge=0, description="left and right of the display")
    stretch: float = Field(default=1.0, gt=0, description="how much wider the display is than in the photo")
    min_width: int = Field(ge=16)
    max_width: int = Field(ge=16, description="longer displays are squeezed")
    width_step: int = Field(ge=1, description="strips are padded on the right to a multiple of it")


def strip_width(corners: np.ndarray, form: StripInput) -> int:
    """Width of the strip of a display: as wide as it is in the photo, times `stretch`, within the form's limits."""
    width, height = quad_size(corners)
    wanted = round(width / max(height, 1e-6) * form.display * form.stretch) + 2 * form.margin
    return int(np.clip(wanted, form.min_width, form.max_width))


def strip_matrix(corners: np.ndarray, form: StripInput) -> np.ndarray:
    """Homography [3, 3] float64 from pixels of the photo to pixels of the strip.

    Args:
        corners: [4, 2], TL, TR, BR, BL of the display in reading order.
    """
    top = (form.height - form.display) / 2
    right, bottom = strip_width(corners, form) - form.margin, top + form.display
    target = np.array([[form.margin, top], [right, top], [right, bottom], [form.margin, bottom]], np.float32)
    return cv2.getPerspectiveTransform(np.ascontiguousarray(corners, np.float32), target)


def cut_strip(image: np.ndarray, corners: np.ndarray, form: StripInput) -> tuple[np.ndarray, np.ndarray]:
    """Return the strip (height, width, 3) uint8 of a display in a photo (H, W, 3) uint8, and its `strip_matrix`. Beyond
    the photo its edge is repeated."""
    matrix = strip_matrix(corners, form)
    size = (strip_width(corners, form), form.height)
    return warp(image, matrix, size, quad_size(corners)[1] / form.display), matrix


def padded_width(width: int, form: StripInput) -> int:
    """Width of the batch that a strip goes into."""
    return -(-max(width, form.min_width) // form.width_step) * form.width_step


def padded(strip: np.ndarray, width: int) -> np.ndarray:
    """Return the strip with its right edge repeated until it is `width` px wide."""
    return cv2.copyMakeBorder(strip, 0, 0, 0, width - strip.shape[1], cv2.BORDER_REPLICATE)
