"""Angles, page rotation and quadrilateral crops: the one place where their conventions are written down.

Degrees are counter-clockwise positive as a person sees the page. Images are (H, W) or (H, W, C) uint8 arrays, RGB when
they have colour. Matrices map source pixels to target pixels, as OpenCV takes them, in float64: affine maps 2 x 3,
homographies 3 x 3.
"""

from collections.abc import Sequence
from math import ceil, log2

import cv2
import numpy as np

_FINE_ENOUGH = 2.0  # times the result's scale up to which bilinear sampling loses nothing


def wrap_degrees(angle: float) -> float:
    """Return `angle` modulo 360 in the half-open range (-180, 180]."""
    wrapped = angle % 360.0
    return wrapped - 360.0 if wrapped > 180.0 else wrapped


def turn_matrix(width: int, height: int, degrees: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Matrix that turns a width x height page counter-clockwise by `degrees` about its centre, and the (width, height)
    of the smallest canvas that keeps the whole page.

    Quarter turns are exact: no pixel is interpolated or lost.
    """
    angle = wrap_degrees(degrees)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    if angle % 90 == 0:
        cos, sin = round(cos), round(sin)
    new_width = round(abs(width * cos) + abs(height * sin))
    new_height = round(abs(width * sin) + abs(height * cos))
    # Image y points down, so a counter-clockwise turn (as seen) maps (x, y) -> (x cos + y sin, -x sin + y cos).
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    new_centre = np.array([(new_width - 1) / 2, (new_height - 1) / 2])
    linear = np.array([[cos, sin], [-sin, cos]], dtype=np.float64)
    return np.column_stack([linear, new_centre - linear @ centre]), (new_width, new_height)


def median_colour(image: np.ndarray) -> tuple[int, ...]:
    """Median of each channel over a sparse grid of pixels, the fill that least disturbs a page's background."""
    step = max(1, int(max(image.shape[:2]) / 256))
    sparse = image[::step, ::step].reshape(-1, 1 if image.ndim == 2 else image.shape[2])
    return tuple(int(v) for v in np.median(sparse, axis=0))


def turn(image: np.ndarray, degrees: float, fill: tuple[int, ...] | None = None) -> np.ndarray:
    """Turn `image` counter-clockwise by `degrees`, the whole page kept, corners filled with `fill` (default: the page's
    median colour)."""
    quarter = wrap_degrees(degrees) / 90
    if quarter == int(quarter):
        return np.ascontiguousarray(np.rot90(image, int(quarter) % 4))
    matrix, size = turn_matrix(image.shape[1], image.shape[0], degrees)
    return cv2.warpAffine(
        image,
        matrix,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=median_colour(image) if fill is None else fill,
    )


def turn_within(image: np.ndarray, degrees: float, pixels: int, short_side: int) -> tuple[np.ndarray, np.ndarray]:
    """`turn`, and the matrix from pixels of `image` to those of the result; but where the whole turned page would have
    more than `pixels`, it is reduced first, as far as its shorter side keeps `short_side` px.

    A strip of 60,000 x 16 px takes 1.8 gigapixels when it is turned by 45 degrees.
    """
    height, width = image.shape[:2]
    matrix, size = turn_matrix(width, height, degrees)
    scale = max((pixels / (size[0] * size[1])) ** 0.5, short_side / min(size))
    if scale >= 1:
        return turn(image, degrees), matrix
    small = fit_within(image, max(1, round(scale * max(width, height))))
    matrix, _ = turn_matrix(small.shape[1], small.shape[0], degrees)
    return turn(small, degrees), matrix @ np.vstack([reduction_matrix(image, small), [0, 0, 1]])


def reduction_matrix(image: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Return the 2 x 3 matrix from pixels of `image` to those of `small`, the same picture scaled. Pixels are squares
    centred on integers: x becomes (x + 0.5) * scale - 0.5."""
    scale = np.divide(small.shape[1::-1], image.shape[1::-1])
    return np.column_stack([np.diag(scale), (scale - 1) / 2])


def invert_affine(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of the affine map `matrix` (2 x 3)."""
    return cv2.invertAffineTransform(matrix)


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 2 x 3 affine map to points of shape (..., 2); float32 out, the same shape."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def quad_size(quad: np.ndarray) -> tuple[float, float]:
    """Return (width, height) in px of a (4, 2) quadrilateral TL, TR, BR, BL: the longer of each pair of opposite
    sides."""
    top, right, bottom, left = (np.linalg.norm(quad[(i + 1) % 4] - quad[i]) for i in range(4))
    return float(max(top, bottom)), float(max(left, right))


def box_corners(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return the (4, 2) float32 corners TL, TR, BR, BL of an upright box."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def bounding_box(points: np.ndarray) -> np.ndarray:
    """Return left, top, right, bottom of points (N, 2)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def covered_share(box: Sequence[float] | np.ndarray, others: Sequence[Sequence[float] | np.ndarray]) -> float:
    """Return the share, 0..1, of a box that lies under others, which overlap each other little; all as left, top,
    right, bottom. An empty box counts as covered."""
    left, top, right, bottom = np.asarray(box, np.float64)
    area = max(0.0, right - left) * max(0.0, bottom - top)
    if not area:
        return 1.0
    if not len(others):
        return 0.0
    rest = np.asarray(others, np.float64)
    across = np.minimum(right, rest[:, 2]) - np.maximum(left, rest[:, 0])
    down = np.minimum(bottom, rest[:, 3]) - np.maximum(top, rest[:, 1])
    return float((np.maximum(across, 0) * np.maximum(down, 0)).sum() / area)


def rounded(points: np.ndarray) -> list[list[float]]:
    """Return points (N, 2) as records keep them: [x, y] to a hundredth of a pixel."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


def fit_within(image: np.ndarray, long_side: int) -> np.ndarray:
    """Scale down (never up) so that the longer side is at most `long_side` px, by area averaging."""
    scale = long_side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def halved(image: np.ndarray, times: int) -> tuple[np.ndarray, int]:
    """Return the image with both sides halved up to `times` times by area averaging, as long as there are two pixels to
    average, and the divisors of its sides. The last pixel of odd sides is dropped. An exact half costs a tenth of
    averaging by another factor."""
    divisor = 1
    for _ in range(times):
        height, width = image.shape[0] // 2, image.shape[1] // 2
        if not height or not width:
            break
        image = cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        divisor *= 2
    return image, divisor


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], finer: float) -> np.ndarray:
    """Return an image (H, W, 3) uint8 warped by a homography [3, 3] to `size` (width, height); beyond its border the
    edge is repeated. `finer`: about how many of its pixels become one."""
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


def _covered(image: np.ndarray, to_image: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of an image that its warp of `size` covers."""
    width, height = size
    covered = map_points(to_image, np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32))
    limit = np.array([image.shape[1] - 2, image.shape[0] - 2])
    left, top = np.clip(np.floor(covered.min(axis=0)), 0, np.maximum(limit, 0)).astype(int)
    right, bottom = np.ceil(covered.max(axis=0)).astype(int) + 1
    return int(left), int(top), min(int(right), image.shape[1]), min(int(bottom), image.shape[0])
