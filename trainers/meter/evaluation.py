"""How well the pipelines' predictor reads photos of meters, both stages together (`ocray meters`).

Photos without a true reading count for the display alone, and for whether a reading was invented.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from models.bundle import load_bundle, save_bundle
from models.meter.predictor import MeterPredictor
from models.meter_digits.preprocess import cut_strip
from trainers.meter.metrics import ReadMeter, compare, fit_sure, meter_metrics
from trainers.meter.source import MetersError, MeterShards

WARM_UP = 3  # photos that are not timed: the first ones also make kernels


def read_meters(source: MeterShards, predictor: MeterPredictor, limit: int | None = None) -> Iterator[ReadMeter]:
    """Yield each photo of a set as the predictor reads it, with the time taken. Photos that cannot be decoded are named
    on stderr and left out."""
    count = len(source) if limit is None else min(limit, len(source))
    for index in range(count):
        try:
            sample = source.meter(index)
        except MetersError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        for _ in range(WARM_UP if index == 0 else 0):
            predictor([sample.image])
        started = time.perf_counter()
        (read,) = predictor([sample.image])
        seconds = time.perf_counter() - started
        found = read.corners is not None
        yield ReadMeter(
            name=sample.name,
            photo=partial(_photo, source, index),
            corners=sample.corners,
            meter_class=sample.meter_class,
            truth=sample.reading,
            leading_zeros=sample.leading_zeros,
            found_corners=read.corners,
            found_class=read.meter_class if found else "none",
            reading=read.reading,
            digits=tuple((digit.character, digit.confidence) for digit in read.digits),
            confidence=read.confidence,
            success=read.success,
            reason=read.reason,
            strip=None if read.corners is None else cut_strip(sample.image, read.corners, predictor.reader.input)[0],
            seconds=seconds,
        )


def fit_trust(read: Sequence[ReadMeter], digits: Path, wrong_share: float) -> list[ReadMeter]:
    """Fit the confidence that a reading must have, so that at most `wrong_share` of the readings given in this set are
    wrong, and write it into the bundle `digits`.

    Args:
        read: by a predictor that accepts any confidence.

    Returns:
        The meters, with `success` by the new threshold.
    """
    given = [meter for meter in read if meter.success and meter.truth is not None]
    compared = [compare(meter.truth or "", meter.reading or "", meter.leading_zeros) for meter in given]
    right = np.array([each.digits and each.point for each in compared], bool)
    sure = fit_sure(np.array([meter.confidence for meter in given]), right, wrong_share)
    bundle = load_bundle(digits)
    decoding = bundle.card.decoding | {"sure": sure}
    save_bundle(digits, bundle.network, bundle.card.model_copy(update={"decoding": decoding}))
    return [replace(meter, success=meter.success and meter.confidence >= sure) for meter in read]


def rounded_metrics(meters: Sequence[ReadMeter]) -> dict[str, float]:
    """Of photos whose truths are rounded to whole units: `within_one_unit`, the share read to within one unit; `given`,
    the share given as readings to trust, and `wrong_given`, the share of those that are further off."""
    near = np.array([_near(meter) for meter in meters])
    given = np.array([meter.success for meter in meters])
    metrics = {"within_one_unit": float(near.mean()), "given": float(given.mean())}
    return metrics | ({"wrong_given": float(1 - near[given].mean())} if given.any() else {})


def _near(meter: ReadMeter) -> bool:
    try:
        return abs(round(float(meter.reading or "x")) - int(meter.truth or "x")) <= 1
    except ValueError:  # nothing was read, or not all of it
        return False


def _photo(source: MeterShards, index: int) -> np.ndarray:
    return source.meter(index).image


def measure(
    source: MeterShards,
    predictor: MeterPredictor,
    *,
    limit: int | None = None,
    rounded: bool = False,
    fit: tuple[Path, float] | None = None,
) -> tuple[list[ReadMeter], dict[str, float]]:
    """Read a set and compare it with its truths. Returns the photos as they were read, and the metrics.

    Args:
        rounded: the truths are readings rounded to whole units.
        fit: a digits bundle and a share in 0..1, see `fit_trust`; `predictor` then reads with that bundle.
    """
    if fit is not None:
        predictor.reader.decoding = predictor.reader.decoding.model_copy(update={"sure": 0.0})
    read = list(read_meters(source, predictor, limit))
    if fit is not None:
        read = fit_trust(read, *fit)
    metrics = meter_metrics(read)
    if rounded:
        timed = {name: value for name, value in metrics.items() if name.startswith("latency")}
        metrics = rounded_metrics(read) | timed
    return read, metrics
