"""Finds the display of a meter in a photo."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.blob import blob, rgb
from models.bundle import Bundle, load_bundle
from models.geometry import map_points, quad_size, warp
from models.meter_screen.preprocess import ScreenInput, to_canvas
from models.runtime import Network

STRIDE = 8  # px of a cell of the network's output
CORNER_UNIT = 32.0  # px per 1 of a corner's output
_CANDIDATES = 3  # displays looked at closer
_LARGE = 0.4  # of the photo's longer side: a display as long as that is seen well enough at once
_CLOSE = 0.6  # of its width: how long the display is in a closer look
_SEEN = 0.05  # presence from which a closer look sees anything
_SURE_SHARE = 0.5  # cells with at least this share of the peak's presence vote on its corners
_REFINEMENTS = 2
_END, _REACH = 0.85, 0.3  # half widths: where the cells that know a corner best are, and how far around
_LEAST_WEIGHT = 0.3
_NEAR = 2.5  # cells from a display's middle line within which other peaks are the same display


_Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]  # presence, kind and corners, see `decode`


class ScreenDecoding(BaseModel):
    """How the network's cells become displays."""

    model_config = ConfigDict(extra="forbid")
    threshold: float = Field(default=0.4, gt=0, lt=1, description="presence from which a display is there")
    candidate: float = Field(default=0.15, gt=0, lt=1, description="presence from which it is worth a closer look")


@dataclass(frozen=True, slots=True)
class Screen:
    """A display: `corners` float32 (4, 2), TL, TR, BR, BL in reading order, px of the photo; `presence` 0..1 that it is
    one; `meter_class` and its `class_confidence`; `reversed_presence` 0..1: that it is upside down."""

    corners: np.ndarray
    presence: float
    meter_class: str
    class_confidence: float
    reversed_presence: float


class ScreenDetector:
    """Displays of photos.

    >>> screens, = ScreenDetector()([photo])  # photo: (h, w, 3) uint8 RGB
    >>> screens[0].corners                    # of the one that is surest

    Args:
        bundle: a `meter_screen` bundle or its name; its labels are the classes.
        device, threads, precision: see `models.runtime.Network`.

    Raises:
        BundleError, DeviceError: the bundle or the device cannot be used.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path = "meter-screen@1",
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
    ):
        bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        bundle.require_task("meter_screen")
        self.input = bundle.input(ScreenInput)
        self.decoding = bundle.decoding(ScreenDecoding)
        self.labels = list(bundle.card.labels)
        self.network = Network(bundle, device, threads, precision)
        self.name, self.device = self.network.name, self.network.device

    def __call__(self, images: list[np.ndarray]) -> list[list[Screen]]:
        """Return the displays of each photo, most confident first; an empty list if there is none.

        Args:
            images: (h, w) or (h, w, 3) uint8 RGB of any size.
        """
        return [self._detect(rgb(image)) for image in images]

    def _detect(self, image: np.ndarray) -> list[Screen]:
        return find(image, self._cells, self.input, self.labels, self.decoding)

    def _cells(self, canvas: np.ndarray) -> _Outputs:
        output = self.network(blob([canvas], self.input))
        return output["presence"][0], output["kind"][0], output["corners"][0]


def find(
    image: np.ndarray,
    cells: Callable[[np.ndarray], _Outputs],
    form: ScreenInput,
    labels: list[str],
    decoding: ScreenDecoding,
) -> list[Screen]:
    """Return the displays of a photo, most confident first. In a photo of a whole meter they are only a few px high for
    the network, so each candidate is looked at again enlarged.

    Args:
        image: (h, w, 3) uint8 RGB.
        cells: the network: an image (h', w', 3) uint8 RGB, sides multiples of 32, to what `decode` takes.
    """
    canvas, scale = to_canvas(image, form.long_side)
    found: list[Screen] = []
    for screen in decode(*cells(canvas), labels, decoding.candidate)[:_CANDIDATES]:
        large = max(quad_size(screen.corners)) >= _LARGE * form.long_side
        screen = replace(screen, corners=screen.corners / np.float32(scale))
        closer = screen if large else _look_closer(image, screen, cells, form, labels)
        if closer and closer.presence >= decoding.threshold and not any(_same(closer, other) for other in found):
            found.append(closer)
    return sorted(found, key=lambda screen: -screen.presence)


def _look_closer(
    image: np.ndarray, screen: Screen, cells: Callable[[np.ndarray], _Outputs], form: ScreenInput, labels: list[str]
) -> Screen | None:
    """Return the display as found in an enlarged rectangle around it, turned so that it reads to the right."""
    middle = screen.corners.mean(axis=0)
    along = screen.corners[1] + screen.corners[2] - screen.corners[0] - screen.corners[3]
    size = np.array([form.closer_side, form.closer_height])
    scale = _CLOSE * form.closer_side / max(max(quad_size(screen.corners)), 1.0)
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(
        tuple(map(float, middle)), float(np.degrees(np.arctan2(along[1], along[0]))), scale
    )
    matrix[:2, 2] += size / 2 - middle
    view = warp(image, matrix, (form.closer_side, form.closer_height), 1 / scale)
    near = [
        found
        for found in decode(*cells(view), labels, _SEEN)
        if np.hypot(*(found.corners.mean(axis=0) - size / 2)) < _CLOSE / 2 * form.closer_side
    ]
    if not near:
        return None
    return replace(near[0], corners=map_points(np.linalg.inv(matrix), near[0].corners))


def _same(one: Screen, other: Screen) -> bool:
    distance = np.hypot(*(one.corners.mean(axis=0) - other.corners.mean(axis=0)))
    return bool(distance < max(quad_size(other.corners)) / 2)


def decode(
    presence: np.ndarray, kind: np.ndarray, corners: np.ndarray, labels: list[str], threshold: float
) -> list[Screen]:
    """Return the displays of one photo's cells, most confident first, with corners in px of the canvas.

    Args:
        threshold: presence from which a display is there.
        presence, kind, corners: float32 [directions, rows, columns], [classes, rows, columns] (probabilities) and
            [directions × 8, rows, columns], as `models.meter_screen.network` gives them.
    """
    directions, rows, columns = presence.shape
    corners = corners.reshape(directions, 4, 2, rows, columns)
    centres = (np.indices((rows, columns), np.float32)[::-1] + np.float32(0.5)) * np.float32(STRIDE)
    rest = presence.max(axis=0)
    found: list[Screen] = []
    while rest.max() >= threshold:
        y, x = np.unravel_index(int(rest.argmax()), rest.shape)
        direction = int(presence[:, y, x].argmax())
        here = presence[direction]
        near = np.hypot(*(centres - centres[:, y, x][:, None, None])) <= 3 * STRIDE
        weight = np.where(near & (here >= _SURE_SHARE * here[y, x]), here, 0) ** 2
        offsets = (corners[direction] * np.float32(CORNER_UNIT) + centres).reshape(8, -1)
        quad = ((offsets * weight.ravel()).sum(axis=1) / weight.sum()).reshape(4, 2).astype(np.float32)
        for _ in range(_REFINEMENTS):
            quad = _refined(quad, offsets.reshape(4, 2, -1), centres.reshape(2, -1))
        classes = (kind * weight).sum(axis=(1, 2)) / weight.sum()
        best = int(classes.argmax())
        reverse = float(presence[(direction + directions // 2) % directions, y, x])
        found.append(Screen(quad, float(here[y, x]), labels[best], float(classes[best]), reverse))
        rest = np.where(_belongs(quad, centres), 0, rest)
        rest[y, x] = 0
    return found


def _refined(quad: np.ndarray, corners: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the quad [4, 2] with each corner predicted by the cells at its own end of the display, which are more
    accurate than those in the middle (as in EAST, Zhou et al., 2017).

    Args:
        corners: [4, 2, cells]: where each cell sees them. centres: [2, cells].
    """
    along = (quad[1] + quad[2] - quad[0] - quad[3]) / 4
    across = (quad[2] + quad[3] - quad[0] - quad[1]) / 4
    across = across * max(1.0, STRIDE / 2 / max(float(np.hypot(*across)), 1e-3))  # a cell's centre must be inside
    determinant = along[0] * across[1] - along[1] * across[0]
    if abs(determinant) < 1:
        return quad
    x, y = centres - quad.mean(axis=0)[:, None]
    a, b = (x * across[1] - y * across[0]) / determinant, (y * along[0] - x * along[1]) / determinant
    inside = (abs(a) <= 1) & (abs(b) <= 1)
    a, corners = a[inside], corners[:, :, inside]
    refined = quad.copy()
    for corner, end in enumerate((-1, 1, 1, -1)):
        weight = np.exp(-(((a - end * _END) / _REACH) ** 2))
        if weight.sum() > _LEAST_WEIGHT:
            refined[corner] = (corners[corner] * weight).sum(axis=1) / weight.sum()
    return refined


def _belongs(quad: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return which cells [rows, columns] are on a display or right beside it."""
    start, end = (quad[0] + quad[3]) / 2, (quad[1] + quad[2]) / 2
    along = end - start
    share = ((centres - start[:, None, None]) * along[:, None, None]).sum(axis=0) / max(1e-6, float(along @ along))
    nearest = start[:, None, None] + np.clip(share, 0, 1) * along[:, None, None]
    half_height = (np.linalg.norm(quad[0] - quad[3]) + np.linalg.norm(quad[1] - quad[2])) / 4
    return np.hypot(*(centres - nearest)) <= half_height + _NEAR * STRIDE
