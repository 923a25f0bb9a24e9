"""What a DB network learns: regions as the maps of Liao et al. (AAAI 2020), sections 3.4 and 3.5.

The decoder grows a blob by area x `unclip_ratio` ÷ perimeter. That gives a long line back its height when unclip_ratio
is 1 ÷ shrink_ratio² - 1: 5.25 for the paper's 0.4, 1.8 for 0.6, with which PaddleOCR's trainings end.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
import pyclipper

THRESHOLDS = (0.3, 0.7)  # far from a border and on it
LEAST_SIDE = 5.0  # px; flatter regions are not learnt from
_pyclipper: Any = pyclipper  # a C module without types
_UNIT = 16  # pyclipper and fillPoly take whole numbers: sixteenths of a px
_SHIFT = 4  # the same for OpenCV, in bits


class Targets(NamedTuple):
    """Maps of a crop, each uint8 (height, width).

    Attributes:
        text: 1 inside the shrunk regions.
        used: 0 where the text map is not learnt: in regions that are ignored or too small.
        threshold: the threshold map x 255.
        border: 1 where the threshold map is learnt.
    """

    text: np.ndarray
    used: np.ndarray
    threshold: np.ndarray
    border: np.ndarray


def targets(quads: np.ndarray, ignore: np.ndarray, height: int, width: int, shrink_ratio: float) -> Targets:
    """Return the maps of regions; of regions that reach beyond the crop, the part inside is drawn.

    Args:
        quads: (n, 4, 2) float, px of the crop.
        ignore: (n,) bool.
        shrink_ratio: see `shrink_distance`.
    """
    text, border = np.zeros((2, height, width), np.uint8)
    used = np.ones((height, width), np.uint8)
    nearness = np.zeros((height, width), np.float32)
    for quad, ignored in zip(quads, ignore, strict=True):
        distance = shrink_distance(quad, shrink_ratio)
        inner = [] if ignored or shortest_side(quad) < LEAST_SIDE else offset(quad, -distance)
        if not inner:
            _fill(used, [quad], 0)
            continue
        _fill(text, inner, 1)
        outer = offset(quad, distance)
        _fill(border, outer, 1)
        _add_nearness(nearness, quad, outer, distance)
    low, high = THRESHOLDS
    threshold = low + (high - low) * nearness * border
    return Targets(text, used, (threshold * 255).round().astype(np.uint8), border)


def shrink_distance(quad: np.ndarray, ratio: float) -> float:
    """Return how far the sides of a (4, 2) quad move: area x (1 - ratio²) / perimeter, px."""
    perimeter = float(np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1).sum())
    return cv2.contourArea(quad.astype(np.float32)) * (1 - ratio**2) / max(perimeter, 1e-6)


def shortest_side(quad: np.ndarray) -> float:
    """Return the length of the shortest side of a (4, 2) quad, px."""
    return float(np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1).min())


def offset(quad: np.ndarray, distance: float) -> list[np.ndarray]:
    """Move the sides of a (4, 2) quad outwards by `distance` px (Vatti clipping), and return polygons (n, 2): none if
    the quad shrinks to nothing."""
    clipper = _pyclipper.PyclipperOffset()
    try:
        clipper.AddPath((quad * _UNIT).round().astype(int).tolist(), _pyclipper.JT_ROUND, _pyclipper.ET_CLOSEDPOLYGON)
    except _pyclipper.ClipperException:  # no area
        return []
    return [np.array(path) / _UNIT for path in clipper.Execute(distance * _UNIT)]


def _fill(target: np.ndarray, polygons: list[np.ndarray], value: int) -> None:
    points = [(polygon * _UNIT).round().astype(np.int32) for polygon in polygons]
    cv2.fillPoly(target, points, value, shift=_SHIFT)


def _add_nearness(nearness: np.ndarray, quad: np.ndarray, outer: list[np.ndarray], distance: float) -> None:
    """Raise the map to 1 on the quad's sides, falling to 0 at `distance` px from them."""
    height, width = nearness.shape
    points = np.concatenate(outer)
    left, top = np.clip(np.floor(points.min(axis=0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, (width, height))
    if left >= right or top >= bottom:
        return
    ys, xs = np.mgrid[top:bottom, left:right].astype(np.float32)
    nearest = np.full(xs.shape, np.inf, np.float32)
    for (x, y), (next_x, next_y) in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        dx, dy = next_x - x, next_y - y
        along = np.clip(((xs - x) * dx + (ys - y) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
        nearest = np.minimum(nearest, np.hypot(xs - x - along * dx, ys - y - along * dy))
    part = nearness[top:bottom, left:right]
    np.maximum(part, np.clip(1 - nearest / max(distance, 1e-6), 0, 1), out=part)
