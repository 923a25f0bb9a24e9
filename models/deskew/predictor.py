"""Reads the skew of pages with an exported deskew bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from models.bundle import Bundle, load_bundle
from models.deskew import preprocess
from models.runtime import Network

PEAK_HALF_WIDTH = 1.0  # degrees round the highest bin that make up the answer
_BATCH = 16  # pages run at once
_STRIP = 8  # times as long as wide: from here on text runs along or across the picture
# A picture so narrow holds a word or a digit, whose few strokes point anywhere: a digit 7 "runs" at 83 degrees, with
# a confidence of 0.29. Below this confidence such a picture is taken to be level.
_SMALL, _SURE_OF_SMALL = 100, 0.5


@dataclass(frozen=True, slots=True)
class Skew:
    """How far text lines are turned counter-clockwise, in -90 < degrees <= 90 (the bundle's range may be smaller)."""

    degrees: float
    confidence: float


class DeskewDecoding(BaseModel):
    """The card's `decoding`. Range 90: skew in (-90, 90]; 89: within ±89; 45: in (-45, 45], as if text lines at a right
    angle were the same (four-way orientation then finds the rest)."""

    model_config = ConfigDict(extra="forbid")
    range_degrees: Literal[45, 89, 90]


def decode(logits: np.ndarray, range_degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """Skew and confidence from logits over `preprocess.bin_centres()`.

    The answer is the mean angle, weighted by probability, of the bins within PEAK_HALF_WIDTH of the highest one; the
    confidence is their probability.

    Args:
        logits: float [batch, ANGLES].
        range_degrees: 45, 89 or 90; see `DeskewDecoding`.

    Returns:
        (degrees [batch], confidence [batch]), float64.
    """
    logits = np.asarray(logits, np.float64)
    probability = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    centres = preprocess.bin_centres()
    step = 180 / preprocess.ANGLES
    if range_degrees == 45:
        quarter = preprocess.ANGLES // 2
        # Bins of ±(45..90) fall on those a right angle away: [-90, -45) on [0, 45), [45, 90) on [-45, 0).
        folded = probability[:, :quarter] + probability[:, quarter:]
        probability = np.roll(folded, quarter // 2, axis=1)
        centres = centres[quarter // 2 : quarter // 2 + quarter]
    reach = round(PEAK_HALF_WIDTH / step)
    offsets = np.arange(-reach, reach + 1)
    # Only the highest bin has to lie in the range: cutting off its neighbours would bias answers at the range's ends.
    peak = np.where(np.abs(centres) < range_degrees, probability, -1.0).argmax(axis=1)
    near = np.take_along_axis(probability, (peak[:, None] + offsets) % probability.shape[1], axis=1)
    confidence = near.sum(axis=1)
    degrees = centres[peak] + step * (near @ offsets) / confidence
    period = 90 if range_degrees == 45 else 180
    degrees = period / 2 - (period / 2 - degrees) % period  # into (-period/2, period/2]
    return np.clip(degrees, -range_degrees, range_degrees), np.minimum(confidence, 1.0)


class DeskewPredictor:
    """Finds how far text lines are turned.

    >>> from models.deskew.predictor import DeskewPredictor
    >>> predictor = DeskewPredictor("deskew@1")
    >>> skew, = predictor([page])  # doctest: +SKIP
    >>> skew.degrees               # doctest: +SKIP
    -12.34

    Args:
        bundle: packaged name, folder, URI or an opened bundle, of task `deskew`.
        device: see `models.runtime.Network`.
        threads: CPU threads a call uses.

    Raises:
        BundleError: no such bundle, one of another task, or one whose card is not valid.
        DeviceError: the device cannot be had.
    """

    def __init__(self, bundle: str | Path | Bundle = "deskew@1", device: str = "cpu", threads: int = 1):
        bundle = (bundle if isinstance(bundle, Bundle) else load_bundle(bundle)).require_task("deskew")
        bundle.input(preprocess.DeskewInput)
        self.range_degrees = bundle.decoding(DeskewDecoding).range_degrees
        self.network = Network(bundle, device, threads)
        self.name, self.device = self.network.name, self.network.device

    def __call__(self, images: list[np.ndarray]) -> list[Skew]:
        """Skew of each page, in order; 0 degrees with confidence 0 for a blank one, and for a crop of a line or
        less where the answer cannot be or is unsure.

        Args:
            images: uint8 pages, grey or RGB, any size from 1 x 1 px; about 1,600 px on the long side is enough.

        Raises:
            ValueError: an image of another dtype or shape.
        """
        spectra = [preprocess.polar_spectrum(image) for image in images]
        results = [Skew(0.0, 0.0)] * len(images)
        printed = [(index, spectrum) for index, spectrum in enumerate(spectra) if spectrum is not None]
        for first in range(0, len(printed), _BATCH):
            batch = printed[first : first + _BATCH]
            logits = self.network(np.stack([spectrum for _, spectrum in batch]))["logits"]
            for (index, _), degrees, confidence in zip(batch, *decode(logits, self.range_degrees), strict=True):
                height, width = images[index].shape[:2]
                small = min(height, width) < _SMALL and confidence < _SURE_OF_SMALL
                if not small and can_stand(float(degrees), width, height):
                    results[index] = Skew(float(degrees), float(confidence))
        return results


def can_stand(degrees: float, width: int, height: int) -> bool:
    """Return whether text can run at an angle in a picture of `width` x `height` px. In a strip it can only run along
    or across, give or take a little: at any other angle it would leave the strip within half its length. (A line crop
    has so few letters that the network takes their strokes for lines.)"""
    longer, shorter = max(width, height), min(width, height)
    off = abs((degrees + 45) % 90 - 45)
    return longer < _STRIP * shorter or bool(off <= np.degrees(np.arctan2(2 * shorter, longer)))
