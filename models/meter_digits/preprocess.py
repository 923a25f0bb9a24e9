"""The display as a flat strip: cut out of the photo by a homography, with a margin."""

from math import ceil, log2

import cv2
import numpy as np
from pydantic import Field

from models.blob import ImageFormat
from models.geometry import halved, quad_size

_FINE_ENOUGH = 2.0  # times the strip's scale up to which bilinear sampling loses nothing


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
    target = np.float32([[form.margin, top], [right, top], [right, bottom], [form.margin, bottom]])
    return cv2.getPerspectiveTransform(np.ascontiguousarray(corners, np.float32), target)


def cut_strip(image: np.ndarray, corners: np.ndarray, form: StripInput) -> tuple[np.ndarray, np.ndarray]:
    """The strip (height, width, 3) uint8 of a display in a photo (H, W, 3) uint8, and its `strip_matrix`. What lies
    beyond the photo repeats its edge."""
    matrix = strip_matrix(corners, form)
    size = (strip_width(corners, form), form.height)
    return warp(image, matrix, size, quad_size(corners)[1] / form.display), matrix


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], finer: float) -> np.ndarray:
    """An image (H, W, 3) uint8 through a homography [3, 3] to one of `size` (width, height); what lies beyond it
    repeats its edge. `finer`: how many of its pixels, about, become one."""
    if finer > _FINE_ENOUGH:
        # The part that is shown is reduced by area first, or thin strokes would fall between samples.
        left, top, right, bottom = _covered(image, np.linalg.inv(matrix), size)
        image, divisor = halved(image[top:bottom, left:right], ceil(log2(finer / _FINE_ENOUGH)))
        middle = (divisor - 1) / 2  # where the middle of its first pixel is
        matrix = matrix @ np.array([[divisor, 0, left + middle], [0, divisor, top + middle], [0, 0, 1]])
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def map_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a homography [3, 3]; float32 out, the same shape."""
    flat = np.asarray(points, np.float64).reshape(-1, 2)
    mapped = np.column_stack([flat, np.ones(len(flat))]) @ matrix.T
    return (mapped[:, :2] / mapped[:, 2:]).astype(np.float32).reshape(np.shape(points))


def _covered(image: np.ndarray, to_photo: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of the photo that the strip covers."""
    width, height = size
    covered = map_points(to_photo, np.float32([[0, 0], [width, 0], [width, height], [0, height]]))
    limit = np.array([image.shape[1] - 2, image.shape[0] - 2])
    left, top = np.clip(np.floor(covered.min(axis=0)), 0, np.maximum(limit, 0)).astype(int)
    right, bottom = np.ceil(covered.max(axis=0)).astype(int) + 1
    return int(left), int(top), min(int(right), image.shape[1]), min(int(bottom), image.shape[0])
