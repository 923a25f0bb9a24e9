"""Training crops of pages: scaled, turned a little, seen a little askew, with their regions."""

import cv2
import numpy as np

from models.geometry import median_colour
from trainers.detection.source import RegionSample

_ON_TEXT = 0.9  # of the crops have a region's centre inside
_ASKEW = 0.03  # of the crop's side, by which its corners move


def random_crop(
    page: RegionSample, rng: np.random.Generator, side: int, scale: float, max_angle: float
) -> RegionSample:
    """Return a random square of a page. Regions keep their shape where the crop cuts them; those outside are dropped.

    Args:
        side: of the crop, px.
        scale: px of the crop per px of the page.
        max_angle: degrees either way; most crops are turned by much less.
    """
    image, quads = page.image, page.quads
    if scale < 1:  # averaged first: the warp takes single pixels
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    left = size_ratio(image, page.image)
    matrix = _view(image, quads * left, rng, side, max(scale, 1.0), max_angle)
    crop = cv2.warpPerspective(image, matrix, (side, side), borderValue=median_colour(image))
    quads = cv2.perspectiveTransform(quads.reshape(-1, 1, 2) * left, matrix).reshape(-1, 4, 2) if len(quads) else quads
    low, high = (quads.min(axis=1), quads.max(axis=1)) if len(quads) else (quads[:, 0], quads[:, 0])
    inside = (high > 0).all(axis=1) & (low < side).all(axis=1)
    return RegionSample(crop, quads[inside].astype(np.float32), page.ignore[inside])


def size_ratio(image: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Px of an image per px of the one that it was scaled from, (x, y) float32."""
    return np.array([image.shape[1] / original.shape[1], image.shape[0] / original.shape[0]], np.float32)


def _view(
    image: np.ndarray, quads: np.ndarray, rng: np.random.Generator, side: int, scale: float, max_angle: float
) -> np.ndarray:
    """3 x 3 matrix from the page to the crop."""
    height, width = image.shape[:2]
    if len(quads) and rng.random() < _ON_TEXT:
        centre = quads[rng.integers(len(quads))].mean(axis=0) + rng.uniform(-0.5, 0.5, 2) * 0.8 * side / scale
    else:
        centre = rng.uniform(0, 1, 2) * (width, height)
    # Hardly more beyond the page's edge than needed: paper is no text wherever it is.
    reach = np.minimum(0.5 * side / scale, (width / 2, height / 2))
    centre = np.clip(centre, reach, np.array([width, height]) - reach)
    angle = np.clip(rng.normal(0, max_angle / 3), -max_angle, max_angle)
    turn = np.vstack([cv2.getRotationMatrix2D(tuple(float(v) for v in centre), float(angle), scale), [0, 0, 1]])
    turn[:2, 2] += side / 2 - centre
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    moved = corners + rng.uniform(-_ASKEW, _ASKEW, (4, 2)).astype(np.float32) * side * float(rng.random() < 0.5)
    return cv2.getPerspectiveTransform(corners, moved) @ turn
