"""From a display's places to a reading that may be trusted, or a reason why there is none.

A mechanical counter's wheel turns with the one to its right while that goes from 9 to 0, and is at a whole digit
otherwise. That a wheel between two digits counts as the lower one until its neighbour is past 0 the network has learned
from readings; correcting it by the positions it sees made readings worse (a wheel set askew looks like a turning one).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.meter_digits.predictor import UNREADABLE, DigitDecoding, StripDigit

# Of the usual distance between places; a wider gap holds a place that was not seen. An LCD's point takes room too.
_GAP, _LCD_GAP = 1.6, 1.7
# Of that distance: a counter whose end is further from the middle of a wheel has one more there. Corners that cut into
# the last wheel are common; anything before the first one is mostly the counter's frame.
_ROOM_BEFORE, _ROOM_BEHIND = 1.1, 0.8
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


def to_reading(
    places: Sequence[StripDigit], decoding: DigitDecoding, counter: tuple[float, float] | None = None
) -> Reading:
    """
    Args:
        places: left to right, as `models.meter_digits.predictor.decode` gives them.
        decoding: from which confidence a place is read, and the reading trusted.
        counter: where a mechanical counter begins and ends, px of the strip: its wheels fill it. None: digits may
            begin anywhere, as an LCD's do.
    """
    places = _with_gaps(list(places), counter)
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
    """Return the most probable number of fraction digits, each place's probability given it, and its own probability
    among all numbers, 0..1."""
    if not shares:
        return 0, 0.0
    behind = np.log(np.clip(shares, 1e-4, 1 - 1e-4))
    before = np.log1p(-np.clip(shares, 1e-4, 1 - 1e-4))
    counts = range(len(shares))
    scores = np.array([before[: len(shares) - count].sum() + behind[len(shares) - count :].sum() for count in counts])
    likely = np.exp(scores - scores.max())
    return int(scores.argmax()), float(1 / likely.sum())


def _with_gaps(places: list[StripDigit], counter: tuple[float, float] | None) -> list[StripDigit]:
    """With an unreadable place wherever the distance between neighbours, or from the end of the counter, has room for
    one."""
    if len(places) < FEWEST_PLACES:
        return places
    middles = np.array([(place.box[0] + place.box[2]) / 2 for place in places])
    distances = np.diff(middles)
    most = _GAP if counter else _LCD_GAP
    result = places[:1]
    for number, (place, distance) in enumerate(zip(places[1:], distances, strict=True)):
        # Along a counter seen at an angle distances grow.
        beside = np.concatenate([distances[max(0, number - 2) : number], distances[number + 1 : number + 3]])
        usual = float(np.median(beside if counter else distances))
        missing = round(distance / usual) - 1 if distance > most * usual else 0
        result += [_unseen(result[-1], place, usual * (count + 1)) for count in range(missing)]
        result.append(place)
    if counter:
        usual = float(np.median(distances))
        if middles[0] - counter[0] > _ROOM_BEFORE * usual:
            result.insert(0, _unseen(places[0], places[0], -usual))
        if counter[1] - middles[-1] > _ROOM_BEHIND * usual:
            result.append(_unseen(places[-1], places[-1], usual))
    return result


def _unseen(beside: StripDigit, other: StripDigit, shift: float) -> StripDigit:
    """Return the place `shift` px to the right of a place that was seen; `other` is its seen neighbour on the other
    side."""
    left, top, right, bottom = beside.box
    fraction = (beside.fraction + other.fraction) / 2
    return StripDigit(UNREADABLE, 0.0, fraction, 0.0, 0.0, (left + shift, top, right + shift, bottom))


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
