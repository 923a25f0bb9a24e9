"""A page's power spectrum in polar coordinates, where turning the page is a shift along the angle axis.

Lines of text put their energy on a ridge through the spectrum's centre, at a right angle to the lines; the radius tells
line spacing from stroke width. The idea of looking for skew in log(1 + |F|²) is DeskewNetV4's (ocrDeskew); polar
coordinates make the search shift-equivariant, so weights are shared over all angles.
"""

from functools import cache
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict

from models.geometry import fit_within
from models.page_contrast import local_contrast, sections, to_grey

SIDE = 768  # px of the square that is transformed; the page is fitted into it, never enlarged
ANGLES = 720  # bins over 180 degrees
BANDS = 48  # radial bands from FIRST_RADIUS cycles per SIDE up to the Nyquist frequency
FIRST_RADIUS = 6.0
BACKGROUND_WINDOW = 15  # px
BLANK_CONTRAST = 1e-2  # mean |local contrast| below which a page holds nothing to measure


class DeskewInput(BaseModel):
    """The card's `input`: the spectrum's shape, checked against this version's own."""

    model_config = ConfigDict(extra="forbid")
    side: Literal[768] = SIDE
    angles: Literal[720] = ANGLES
    bands: Literal[48] = BANDS


def bin_centres() -> np.ndarray:
    """Return (ANGLES,) float64 skew in degrees at the centre of each bin, ascending in (-90, 90)."""
    return -90 + (np.arange(ANGLES) + 0.5) * 180 / ANGLES


def polar_spectrum(image: np.ndarray) -> np.ndarray | None:
    """Return (ANGLES, BANDS) float32 log power of a uint8 page (grey or RGB), with the mean over angles subtracted from
    each band; None for a blank page.

    Row i holds the energy of lines whose skew is `bin_centres()[i]`. The angle axis is circular, 180 degrees round.
    """
    power = np.zeros((SIDE, SIDE // 2 + 1), np.float32)
    contrast_sum = 0.0
    parts = sections(to_grey(image))
    for part in parts:
        ink = local_contrast(fit_within(part, SIDE), BACKGROUND_WINDOW)
        contrast_sum += float(np.abs(ink).mean())
        power += _half_power(ink)
    if contrast_sum < BLANK_CONTRAST * len(parts):
        return None
    columns, rows = _polar_map()
    polar = cv2.remap(power, columns, rows, cv2.INTER_LINEAR)
    logarithm = np.log(polar @ _filter_bank() + 1.0)
    return logarithm - logarithm.mean(axis=0)


def _half_power(ink: np.ndarray) -> np.ndarray:
    """Return (SIDE, SIDE // 2 + 1) float32 |F|² of the zero-padded ink: vertical frequency, 0 in the middle row, by
    horizontal frequency ≥ 0. The other half is its mirror image."""
    padded = np.zeros((SIDE, SIDE), np.float32)
    # (-1)^y moves vertical frequency 0 to the middle row.
    padded[: ink.shape[0] : 2, : ink.shape[1]] = ink[::2]
    np.negative(ink[1::2], out=padded[1 : ink.shape[0] : 2, : ink.shape[1]])
    # OpenCV's packed real transform takes a third of the time of numpy's; its first and last columns hold the two real
    # columns' spectra folded, so they are transformed apart.
    packed = cv2.dft(padded)
    np.square(packed, out=packed)
    power = np.empty((SIDE, SIDE // 2 + 1), np.float32)
    np.add(packed[:, 1:-1:2], packed[:, 2:-1:2], out=power[:, 1:-1])
    signs = np.where(np.arange(SIDE) % 2 == 0, 1, -1).astype(np.float32)
    for column, sums in ((0, padded.sum(axis=1)), (-1, padded @ signs)):
        power[:, column] = np.abs(np.fft.fft(sums)) ** 2
    return power


@cache
def _radii() -> np.ndarray:
    return np.arange(FIRST_RADIUS / 2, SIDE // 2, dtype=np.float64)


@cache
def _polar_map() -> tuple[np.ndarray, np.ndarray]:
    """Return the sampling positions in `_half_power`: columns and rows, each (ANGLES, radii)."""
    angle = np.radians(bin_centres())[:, None]
    # Lines at skew 0 vary along y, so their ridge is vertical; a counter-clockwise turn of the page (y points down)
    # turns the direction (0, 1) to (sin, cos). Negative horizontal frequencies are read in the mirror image.
    x, y = np.sin(angle) * _radii(), np.cos(angle) * _radii()
    mirror = np.where(x < 0, -1, 1)
    return (x * mirror).astype(np.float32), (y * mirror + SIDE // 2).astype(np.float32)


@cache
def _filter_bank() -> np.ndarray:
    """Return (radii, BANDS) float32: overlapping triangles of unit area, evenly spaced over log radius and at least a
    few bins wide, like mel filters over sound frequencies."""
    radii = _radii()
    # Equal steps of r + offset in the logarithm: narrow but not empty bands near the centre.
    offset = 24.0
    edges = np.geomspace(FIRST_RADIUS + offset, radii[-1] + offset, BANDS + 2) - offset
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    r = radii[:, None]
    weights = np.clip(np.minimum((r - left) / (centre - left), (right - r) / (right - centre)), 0, None)
    return (weights / weights.sum(axis=0)).astype(np.float32)
