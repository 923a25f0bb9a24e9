"""What the screen network learns of a photo: views of photos, and the truth of each cell."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from models.geometry import map_points, quad_size
from models.meter_screen.network import DIRECTIONS
from models.meter_screen.predictor import CORNER_UNIT, STRIDE
from trainers.data.meter_sample import MeterSample

_ALONG, _ACROSS = 0.3, 0.6  # standard deviations of the presence, in half widths and half heights of a display
_LOWEST_HALF = 6.0  # px; the presence of a lower display reaches as far as this one's would
_BOTH = 60.0  # degrees; a display turned by less from a direction may be read by it
_LEAST_SAY = 0.15  # weight of a corner at the other end of the display
_FINE_ENOUGH = 0.7  # scale from which bilinear sampling loses nothing
_BLURRED = (0.35, 0.8)  # of the display's height: standard deviation of a blur that leaves no digit legible


@dataclass(frozen=True)
class Views:
    """How training photos are looked at.

    Attributes:
        turned: share of photos turned by any angle; the others by up to 15°.
        width: (least, most) px of the display's longer side in the view, drawn evenly by its logarithm.
        hidden: share of displays made illegible.
    """

    turned: float = 0.3
    width: tuple[float, float] = (40.0, 300.0)
    hidden: float = 0.08


def view(sample: MeterSample, rng: np.random.Generator, side: int, views: Views) -> MeterSample:
    """Return a square of `side` px of the photo as another camera would see it, with the display inside or at its
    edge."""
    image, corners = sample.image, sample.corners
    height, width = image.shape[:2]
    if corners is None:
        scale = side / max(height, width) * float(np.exp(rng.uniform(-0.1, 0.6)))
        centre = rng.uniform(0.3, 0.7, 2) * (width, height)
        inside = np.array([0.5, 0.5]) * side
    else:
        scale = float(np.exp(rng.uniform(*np.log(views.width)))) / max(quad_size(corners))
        centre = corners.mean(axis=0)
        # The photo fills the view as far as it can, and the display is, mostly, inside.
        half = np.minimum(np.ptp(corners, axis=0) * scale / 2 * 0.9, side * 0.45)
        inside = (centre - (width / 2, height / 2)) * scale + side / 2 + rng.normal(0, 0.12, 2) * side
        inside = np.clip(inside, half, side - half)
    angle = rng.uniform(-180, 180) if rng.random() < views.turned else rng.normal(0, 7)
    matrix = np.vstack([cv2.getRotationMatrix2D(tuple(centre.astype(float)), float(angle), scale), [0, 0, 1]])
    matrix[:2, 2] += inside - centre
    edge = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    moved = edge + rng.normal(0, 0.04, (4, 2)).astype(np.float32) * side
    matrix = cv2.getPerspectiveTransform(edge, moved.astype(np.float32)) @ matrix
    from_image = matrix
    if scale < _FINE_ENOUGH:  # averaged first: the warp takes single pixels
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        from_image = matrix @ np.diag([width / image.shape[1], height / image.shape[0], 1])
    seen = cv2.warpPerspective(image, from_image, (side, side), borderValue=(127, 127, 127))
    return replace(sample, image=seen, corners=None if corners is None else map_points(matrix, corners))


def hidden(sample: MeterSample, rng: np.random.Generator) -> MeterSample:
    """Return the photo with its display blurred, or covered by glare, until no digit is legible; its class becomes
    illegible."""
    assert sample.corners is not None and sample.meter_class is not None
    height = min(quad_size(sample.corners))
    middle = sample.corners.mean(axis=0)
    wider = (middle + (sample.corners - middle) * 1.3).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros(sample.image.shape[:2], np.float32), wider, 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.2 * height))[..., None]
    if rng.random() < 0.6:
        covered = cv2.GaussianBlur(sample.image, (0, 0), max(1.5, rng.uniform(*_BLURRED) * height)).astype(np.float32)
    else:
        light = float(rng.choice([rng.uniform(0, 25), rng.uniform(215, 255)]))
        covered = light * 0.93 + 0.07 * sample.image.astype(np.float32)
    image = np.clip(sample.image * (1 - mask) + covered * mask, 0, 255).astype(np.uint8)
    return replace(sample, image=image, meter_class=f"{sample.meter_class.removesuffix('_illegible')}_illegible")


def targets(corners: np.ndarray | None, rows: int, columns: int) -> dict[str, np.ndarray]:
    """Truth of a view's cells.

    Returns:
        `presence` float32 [directions, rows, columns] in 0..1, -1 where either answer is right; `offsets` float32 [8,
        rows, columns]: corners less the cell's centre in units of CORNER_UNIT px; `near` float32 [8, rows, columns]
        in 0..1: how much a cell of the display learns of each, more of the corners at its own end; 0 outside.
    """
    presence = np.zeros((DIRECTIONS, rows, columns), np.float32)
    centres = np.stack(np.meshgrid(np.arange(columns), np.arange(rows))).astype(np.float32) * STRIDE + STRIDE / 2
    if corners is None:
        none = np.zeros((8, rows, columns), np.float32)
        return {"presence": presence, "offsets": none, "near": none}
    middle = corners.mean(axis=0)
    along = (corners[1] + corners[2] - corners[0] - corners[3]) / 4  # from the middle to the right end
    across = (corners[2] + corners[3] - corners[0] - corners[1]) / 4
    half_width, half_height = np.linalg.norm(along), np.linalg.norm(across)
    across = across * max(1.0, _LOWEST_HALF / max(half_height, 1e-3))
    along = along * max(1.0, _LOWEST_HALF / max(half_width, 1e-3))
    away = (centres - middle[:, None, None]).reshape(2, -1)
    a, b = np.linalg.solve(np.column_stack([along, across]), away).reshape(2, rows, columns).astype(np.float32)
    peak = np.exp(-0.5 * ((a / _ALONG) ** 2 + (b / _ACROSS) ** 2))
    # The middle of a small display falls between cells; the nearest cell counts in full.
    peak /= max(peak.max(), 1e-6) if peak.max() > 0.05 else 1.0
    turned = np.degrees(np.arctan2(along[1], along[0]))
    for direction in range(DIRECTIONS):
        off = abs((turned - 90 * direction + 180) % 360 - 180)
        if off <= 45:
            presence[direction] = peak
        elif off < _BOTH:
            presence[direction] = np.where(peak > 0.02, -1, 0)
    offsets = (corners.reshape(8, 1, 1) - np.tile(centres, (4, 1, 1))) / CORNER_UNIT
    inside = (abs(a) <= 1) & (abs(b) <= 1)
    left, right = (np.where(inside, np.clip((1 + end * a) / 2, _LEAST_SAY, 1), 0) for end in (-1, 1))
    near = np.stack([left, left, right, right, right, right, left, left]).astype(np.float32)  # TL, TR, BR, BL
    return {"presence": presence, "offsets": offsets.astype(np.float32), "near": near}
