"""Figures of angles, as the source system and the project's evaluation count them."""

import numpy as np
from numpy.typing import ArrayLike

BUCKET = 0.5  # degrees


def angle_errors(predicted: ArrayLike, true: ArrayLike, period: float) -> np.ndarray:
    """|predicted - true| in degrees on a circle of `period` degrees, float64 in 0..period / 2."""
    return np.abs((np.asarray(predicted) - np.asarray(true) + period / 2) % period - period / 2)


def bucket_centres(range_degrees: float) -> np.ndarray:
    """Centres in degrees of the buckets from -range to +range: 356 for ±89."""
    return -range_degrees + (np.arange(round(2 * range_degrees / BUCKET)) + 0.5) * BUCKET


def bucket_f1(true: ArrayLike, predicted: ArrayLike, range_degrees: float) -> float:
    """Macro F1 over the buckets that occur among the true angles; angles out of range count to the outmost bucket."""
    buckets = round(2 * range_degrees / BUCKET)
    true, predicted = (
        np.clip(np.floor((np.asarray(angle) + range_degrees) / BUCKET), 0, buckets - 1).astype(int)
        for angle in (true, predicted)
    )
    hits = np.bincount(true[true == predicted], minlength=buckets)
    total = np.bincount(true, minlength=buckets) + np.bincount(predicted, minlength=buckets)
    occurring = np.unique(true)
    return float(np.mean(2 * hits[occurring] / total[occurring]))
