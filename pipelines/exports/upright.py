"""The page as a person wants to see it: turned upright, on a canvas of its own size."""

import numpy as np

from models.geometry import transform_points, turn_matrix, wrap_degrees
from pipelines.exports.tree import Page

# Room kept around text that reaches out of the page's own canvas, as a share of the page's longer side.
_MARGIN = 0.01

# Below this a turn costs more sharpness than it gives; the text is laid over the page at its own slant anyway.
_LEAST_SKEW = 0.1


def upright_turn(page: Page) -> float:
    """Return the degrees by which the page must be turned (counter-clockwise) to be upright; exact quarter turns when
    its skew is below 0.1 degree."""
    quarter = 90 * round(page.angle / 90)
    return wrap_degrees(-(quarter if abs(page.angle - quarter) < _LEAST_SKEW else page.angle))


def upright_view(page: Page) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the 2 x 3 affine map from original to upright pixels, and the (width, height) of the upright canvas.

    Turning a page by a free angle needs a larger canvas whose corners are empty. The canvas is cut back to the size of
    the page (its sides exchanged for quarter turns) about the centre, as scanners and OCRmyPDF's deskew do, and kept
    larger only where text would be cut off.
    """
    width, height = page.record.width, page.record.height
    degrees = upright_turn(page)
    matrix, full = turn_matrix(width, height, degrees)
    if degrees % 90 == 0:
        return matrix, full
    sideways = 45 < abs(wrap_degrees(degrees)) <= 135
    own = np.array([height, width] if sideways else [width, height])
    low = (np.array(full) - own) / 2
    high = low + own
    if page.blocks:
        points = transform_points(matrix, np.concatenate([block.points for block in page.blocks]))
        margin = _MARGIN * max(width, height)
        low, high = np.minimum(low, points.min(axis=0) - margin), np.maximum(high, points.max(axis=0) + margin)
    low = np.floor(np.clip(low, 0, full)).astype(int)
    high = np.ceil(np.clip(high, 0, full)).astype(int)
    matrix[:, 2] -= low
    return matrix, (int(high[0] - low[0]), int(high[1] - low[1]))
