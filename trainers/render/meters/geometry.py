"""Plane perspective: homographies, and pictures and points moved by them. Coordinates are continuous px: a pixel's
centre lies at half-integers, as Pillow has it."""

import numpy as np
from PIL import Image


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the (3, 3) matrix that maps the four points `source` to `target`, (4, 2) each (direct linear
    transform)."""
    rows = []
    for (x, y), (u, v) in zip(source.tolist(), target.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return np.append(np.linalg.solve(np.array(rows), np.asarray(target, dtype=float).ravel()), 1.0).reshape(3, 3)


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (n, 2) through a homography, float32."""
    out = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return (out[:, :2] / out[:, 2:]).astype(np.float32)


def warped(image: Image.Image, matrix: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """`image` through the homography `matrix` (from its px to those of the result), `size` px large."""
    back = np.linalg.inv(matrix)
    back = (back / back[2, 2]).ravel()[:8].tolist()
    return image.transform(size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR)


def posed(degrees: float, tilt: float, turn: float, distance: float) -> np.ndarray:
    """Return a homography of the plane as a camera sees it: rolled clockwise by `degrees`, leaned back by `tilt` and
    turned by `turn` radians about its own axes, `distance` (in the plane's px) away. The plane's origin keeps its
    place, and lengths there across the line of sight do too."""
    r = np.radians(degrees)
    roll = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    yaw = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    whole = lean @ yaw @ roll
    # The plane is z = 0: its third column drops out; the camera looks along z from -distance.
    return np.column_stack([whole[:, :2] / [[1], [1], [distance]], [0, 0, 1.0]])
