"""Line crops: text cut from a page as a flat, horizontal strip."""

import cv2
import numpy as np

from models.geometry import quad_size

_TALL = 1.5  # a crop this much taller than wide holds vertical text


def crop_line(image: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Cut the quadrilateral `polygon` (4, 2; TL, TR, BR, BL) out of `image` by perspective warp, at the image's own
    resolution; a crop much taller than wide is turned counter-clockwise by 90 degrees, as PP-OCR was trained.

    Returns:
        (h, w) or (h, w, C) uint8, at least 1 x 1 px.
    """
    width, height = (max(1, round(side)) for side in quad_size(polygon))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    left, top = np.floor(polygon.min(axis=0)).astype(int)
    right, bottom = np.ceil(polygon.max(axis=0)).astype(int) + 1
    left, top = max(0, left - 2), max(0, top - 2)  # the cubic kernel looks two px around
    window = np.ascontiguousarray(image[top : bottom + 2, left : right + 2])
    matrix = cv2.getPerspectiveTransform((polygon - (left, top)).astype(np.float32), corners)
    crop = cv2.warpPerspective(window, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(np.rot90(crop)) if height >= _TALL * width else crop


def resize_to_height(crop: np.ndarray, height: int, max_width: int) -> np.ndarray:
    """Scale a crop to `height` px, aspect kept, but at most `max_width` px wide (longer lines are squeezed)."""
    width = min(max_width, max(1, int(np.ceil(crop.shape[1] * height / crop.shape[0]))))
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR)
