"""Regions' corners: from the boxes and polygons of labels to quads TL, TR, BR, BL."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from trainers.data.importers.rows import RowError

Quad = tuple[float, ...]  # x, y of TL, TR, BR, BL in px


def quad_of_box(box: object) -> Quad:
    """Return the quad of `[x, y, width, height]`. Raises RowError: not four numbers, or no area."""
    try:
        x, y, width, height = (float(value) for value in box)  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise RowError("no box [x, y, width, height]", _short(box)) from error
    return quad_of_points([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])


def quad_of_points(points: object, *, sort: bool = False) -> Quad:
    """Return the quad of a polygon's points [[x, y], …].

    Four points of a convex polygon stay as they are, turned clockwise as seen. Anything else becomes the smallest
    rectangle around it, its first corner the one nearest the first point.

    Args:
        points: in reading order, top-left first.
        sort: the first point is any corner: take the corners for those of upright text.

    Raises:
        RowError: fewer than four points, values that are not numbers, or no area.
    """
    try:
        corners = np.array([(float(x), float(y)) for x, y in points], np.float32)  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise RowError("no polygon [[x, y], …]", _short(points)) from error
    if len(corners) < 4 or not np.isfinite(corners).all():
        raise RowError("no polygon of four or more points", _short(points))
    if len(corners) > 4 or not cv2.isContourConvex(corners.reshape(-1, 1, 2)):
        rectangle = cv2.boxPoints(cv2.minAreaRect(corners))
        nearest = int(np.linalg.norm(rectangle - corners[0], axis=1).argmin())
        corners = np.roll(rectangle, -nearest, axis=0)
    area = cv2.contourArea(corners, oriented=True)
    if abs(area) < 1:
        raise RowError("region without area", _short(points))
    if area < 0:
        corners = corners[[0, 3, 2, 1]]
    if sort:
        corners = np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)
    return tuple(float(value) for value in corners.reshape(-1))


def outside(quad: Quad, width: int, height: int) -> bool:
    """Return whether less than half of the quad's bounding box lies on a page of this size."""
    xs, ys = quad[0::2], quad[1::2]
    inside_x = min(max(xs), width) - max(min(xs), 0)
    inside_y = min(max(ys), height) - max(min(ys), 0)
    return max(0, inside_x) * max(0, inside_y) < 0.5 * (max(xs) - min(xs)) * (max(ys) - min(ys))


def as_array(quad: Sequence[float]) -> np.ndarray:
    """Return (4, 2) float32."""
    return np.array(quad, np.float32).reshape(4, 2)


def points_of(quad: Sequence[float]) -> list[list[float]]:
    """[[x, y], …], whole numbers without a fraction, so that label files stay short."""
    numbers = [int(value) if math.isclose(value, round(value), abs_tol=1e-4) else round(value, 3) for value in quad]
    return [list(pair) for pair in zip(numbers[0::2], numbers[1::2], strict=True)]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
