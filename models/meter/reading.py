"""From a display's places to a reading that may be trusted, or a reason why there is none.

A mechanical counter's wheel turns with the one to its right while that goes from 9 to 0, and stands at a whole digit
otherwise. That a wheel between two digits counts as the lower one until its neighbour is past 0 the network has learned
from readings; correcting it by the positions it sees made readings worse (a wheel set askew looks like a turning one).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.meter.digits import UNREADABLE, DigitDecoding, StripDigit

_GAP = 1.7  # of the usual distance between places; a wider gap holds a place that was not seen
FEWEST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What a display says.

    Attributes:
        text: digits as shown, leading zeros too, "." before the fraction, "x" for a place that cannot be read.
        digits: the places; those read with hardly any confidence, and those not seen at all, are "x".
        fraction_digits: places behind the point.
        confidence: of the least sure place, or of the point, where that is less sure; 0..1.
        reason: why it cannot be trusted; "" where it can.
    """

    text: str
    digits: tuple[StripDigit, ...]
    fraction_digits: int
    confidence: float
    reason: str


def to_reading(places: Sequence[StripDigit], decoding: DigitDecoding) -> Reading:
    """
    Args:
        places: left to right, as `models.meter.digits.decode` gives them.
        decoding: from which confidence a place is read, and the reading trusted.
    """
    places = _with_gaps(list(places))
    places = [p if p.confidence >= decoding.readable else replace(p, character=UNREADABLE) for p in places]
    behind, point = fraction_places([place.fraction for place in places])
    characters = "".join(place.character for place in places)
    text = f"{characters[:-behind]}.{characters[-behind:]}" if behind else characters
    confidence = min((place.confidence for place in places), default=0.0)
    reason = _fault(places, decoding.sure)
    if not reason and point < decoding.sure:
        reason = "not sure where the decimal point is"
    return Reading(text, tuple(places), behind, min(confidence, point), reason)


def fraction_places(shares: Sequence[float]) -> tuple[int, float]:
    """How many of the last places are most likely behind the point, each place's probability of it given; and how
    likely that is among all numbers of places, 0..1."""
    if not shares:
        return 0, 0.0
    behind = np.log(np.clip(shares, 1e-4, 1 - 1e-4))
    before = np.log1p(-np.clip(shares, 1e-4, 1 - 1e-4))
    counts = range(len(shares))
    scores = np.array([before[: len(shares) - count].sum() + behind[len(shares) - count :].sum() for count in counts])
    likely = np.exp(scores - scores.max())
    return int(scores.argmax()), float(1 / likely.sum())


def _with_gaps(places: list[StripDigit]) -> list[StripDigit]:
    """With an unreadable place wherever the distance between neighbours has room for one."""
    if len(places) < FEWEST_PLACES:
        return places
    middles = np.array([(place.box[0] + place.box[2]) / 2 for place in places])
    distances = np.diff(middles)
    usual = float(np.median(distances))
    result = places[:1]
    for place, distance in zip(places[1:], distances, strict=True):
        missing = round(distance / usual) - 1 if distance > _GAP * usual else 0
        left = result[-1]
        for number in range(1, missing + 1):
            shift = usual * number
            box = (left.box[0] + shift, left.box[1], left.box[2] + shift, left.box[3])
            fraction = (left.fraction + place.fraction) / 2
            result.append(StripDigit(UNREADABLE, 0.0, fraction, 0.0, 0.0, box))
        result.append(place)
    return result


def _fault(places: Sequence[StripDigit], sure: float) -> str:
    if len(places) < FEWEST_PLACES:
        return f"only {len(places)} digits seen" if places else "no digits seen"
    if any(unreadable := [place.character == UNREADABLE for place in places]):
        return f"cannot read place {_numbers(unreadable)} of {len(places)}"
    if any(unsure := [place.confidence < sure for place in places]):
        return f"not sure of place {_numbers(unsure)} of {len(places)}"
    return ""


def _numbers(marked: Sequence[bool]) -> str:
    return ", ".join(str(number) for number, is_marked in enumerate(marked, start=1) if is_marked)
