"""What became of each meter of an evaluation: one verdict a meter, and an order with the worst first."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainers.detection.metrics import LEAST_OVERLAP
from trainers.meter.metrics import ReadMeter, compare, corner_errors, misordered, not_legible, quad_ious

# The worst first: a wrong reading given as success (by more than one step, by one step), a reading given where nothing
# is legible, a display not found, or upside down; a legible display without a reading given, a display found where
# there is none, a wrong class and nothing worse.
VERDICTS = ("wrong", "one_off", "invented", "missed", "upside_down", "refused", "false_alarm", "class", "right")


@dataclass(frozen=True, eq=False)
class JudgedMeter:
    """A meter and what became of it.

    Attributes:
        verdict: one of `VERDICTS`.
        confidence: 0..1, of the least sure place; None where nothing was read.
        quad_iou, corner_error: of the display, see `trainers.meter.metrics`; None where there is none, or none found.
    """

    meter: ReadMeter
    verdict: str
    confidence: float | None
    quad_iou: float | None
    corner_error: float | None


def judge_meters(meters: Iterable[ReadMeter]) -> list[JudgedMeter]:
    """All meters, the worst first; of the same verdict the one the reader was surer of, then the one placed worse."""
    judged = [_judge(meter) for meter in meters]
    judged.sort(
        key=lambda each: (
            VERDICTS.index(each.verdict),
            -(each.confidence or 0),
            -(each.corner_error or 0),
            each.meter.name,
        )
    )
    return judged


def verdict(meter: ReadMeter) -> str:
    """Return the worst verdict that applies to a meter: one of `VERDICTS`."""
    if meter.reading is not None and meter.success:
        if not_legible(meter):
            return "invented"
        if meter.truth is not None:
            compared = compare(meter.truth, meter.reading, meter.leading_zeros)
            if not (compared.near and compared.point):
                return "wrong"
            if not compared.digits:
                return "one_off"
    if meter.found_class is not None and meter.corners is not None:
        located = _located(meter)
        if located is None or quad_ious(*located)[0] <= LEAST_OVERLAP:
            return "missed"
        if misordered(*located)[0]:
            return "upside_down"
    if meter.truth is not None and meter.reading is not None and not meter.success:
        return "refused"
    if meter.meter_class == "none" and meter.found_corners is not None:
        return "false_alarm"
    if meter.found_class is not None and meter.meter_class not in (None, meter.found_class):
        return "class"
    return "right"


def _judge(meter: ReadMeter) -> JudgedMeter:
    located = _located(meter)
    return JudgedMeter(
        meter,
        verdict(meter),
        min((confidence for _, confidence in meter.digits), default=None),
        float(quad_ious(*located)[0]) if located else None,
        float(corner_errors(*located)[0]) if located else None,
    )


def _located(meter: ReadMeter) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the true and the found corners, [1, 4, 2] each; None if one of them is missing."""
    if meter.corners is None or meter.found_corners is None:
        return None
    return meter.corners[None], meter.found_corners[None]
