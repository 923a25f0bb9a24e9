"""What predictors return: small frozen records, one type a task.

Angles are in degrees, counter-clockwise positive as the page is seen (y axis up). Polygons are float32 arrays of
shape (4, 2), x then y in pixels of the image the predictor was given, clockwise from the text's own top-left corner.
Confidences lie in 0..1.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Skew:
    """How far text lines are turned counter-clockwise, in -90 < degrees <= 90 (the bundle's range may be smaller)."""

    degrees: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Orientation:
    """How many quarter turns counter-clockwise the page stands: 0, 90, 180 or 270 degrees."""

    degrees: int
    confidence: float


@dataclass(frozen=True, slots=True)
class TextRegion:
    """One detected text line: `polygon` (4, 2) float32 and the detector's mean probability inside it."""

    polygon: np.ndarray
    confidence: float


@dataclass(frozen=True, slots=True)
class RecognizedText:
    """The characters read from one line crop. `language` names the recogniser's language group."""

    text: str
    confidence: float
    language: str
