"""Is a reading possible, given the other readings of its meter? And if not, which single reading was meant?

The readings to trust are the heaviest chain that does not fall and does not turn too fast (`models.meter.counter`), so
a misread figure condemns itself and not what follows it. All other readings are judged by the trusted ones before and
after them. Readings are texts: digits with leading zeros as shown, "." before the fraction, "x" for a place that cannot
be read.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from models.meter.counter import Clock, Counter, Shown, heaviest_chain, laps, places
from models.meter.misreadings import fills, only_meant

NEAREST = 200  # readings before and after a new one by which it is judged
MOST_LAPS = 100  # a counter that may roll over more often shows any digits at any time
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY = 86_400_000_000  # microseconds
_READING = re.compile(r"([0-9x]*)(?:\.([0-9x]+))?")


@dataclass(frozen=True, slots=True)
class Observation:
    """A meter read once.

    Attributes:
        time: aware (with a time zone).
        reading: as in the module's text; "" when nothing was read.
        confidences: 0..1, one a place (the point has none); empty when unknown.
        success: whether the reader vouches for it. Only readings it vouches for are a history for others.

    Raises:
        ValueError: a naive time, other characters in the reading, or another number of confidences than places.
    """

    time: datetime
    reading: str
    confidences: tuple[float, ...] = ()
    success: bool = True

    def __post_init__(self) -> None:
        if self.time.utcoffset() is None:
            raise ValueError(f"time {self.time} has no time zone: readings can only be put in order with one")
        if not _READING.fullmatch(self.reading):
            raise ValueError(f"reading {self.reading!r} is not of digits, x and one point before the fraction")
        if self.confidences and len(self.confidences) != sum(places(self.reading)):
            raise ValueError(
                f"reading {self.reading!r} has {sum(places(self.reading))} places and {len(self.confidences)} "
                "confidences"
            )

    @property
    def weight(self) -> int:
        """How likely the reading is right, in thousandths: whole numbers, so that equal chains are exactly equal."""
        return max(1, round(1000 * math.prod(self.confidences)))

    @property
    def microseconds(self) -> int:
        """Since 1970 in UTC; datetimes of one time zone compare by the wall clock, wrong when summer time ends."""
        return (self.time - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of an observation.

    Attributes:
        reading: as it was read, never changed.
        plausible: None when there is nothing to judge by.
        reason: "" when plausible, else a code, a colon and words with the figures. Codes of what is not plausible:
            `falls`, `too_fast` (against an earlier reading), `ahead`, `behind` (against a later one: above it, too far
            below it), `same_time`, `between` (against both), `places`; of what was not judged: `no_history`, `unread`,
            `max_rate`.
        repaired: the one reading that was meant, None where there is no such one or nothing to repair.
    """

    reading: str
    plausible: bool | None
    reason: str = ""
    repaired: str | None = None


def judge(
    observations: Iterable[Observation], max_rate: float | None = None, leading_zeros: bool = True
) -> list[Judgement]:
    """Judge all readings of one meter; their order does not matter, judgements come in the order given.

    A repaired reading differs from what was read in its x places, in its point, or by one misreading: a digit that is
    easily confused, or a wheel read one off while it rolled. It is given when no other x filled, digit changed or wheel
    one off fits the trusted readings before and after. A misreading is repaired only where more than one of them speaks
    against it and a reading next to it is trusted: where two long histories contradict each other, neither is taken for
    misreadings of the other. So a single misread digit is repaired rightly or not at all.

    A meter that was exchanged is another meter: judge it apart.

    >>> day = [datetime(2026, 5, d, tzinfo=timezone.utc) for d in (1, 2, 3, 4)]
    >>> judge(map(Observation, day, ["00123.4", "00125.1", "00726.0", "00127.3"]), max_rate=5)[2].repaired
    '00126.0'

    Args:
        max_rate: units a day, in the meter's units (1 = the place before the point). None: any rise is possible, and
            no roll-over.
        leading_zeros: whether the display shows them; the number of places before the point then never changes.

    Raises:
        ValueError: `max_rate` is not above 0.
    """
    if max_rate is not None and not 0 < max_rate < math.inf:
        raise ValueError(f"max_rate must be a number of units a day above 0, not {max_rate}")
    given = list(observations)
    # Sorted by content, so that ties fall alike whatever the order given.
    order = sorted(range(len(given)), key=lambda i: (given[i].microseconds, given[i].reading, given[i].confidences))
    judged = _judge_sorted([given[i] for i in order], max_rate, leading_zeros)
    return [judgement for _, judgement in sorted(zip(order, judged, strict=True), key=lambda pair: pair[0])]


def judge_new(
    new: Observation, history: Iterable[Observation], max_rate: float | None = None, leading_zeros: bool = True
) -> Judgement:
    """Judge one reading by the `NEAREST` of its meter before and after it; the rest is as for `judge`."""
    ordered = sorted(history, key=lambda each: each.microseconds)
    at = bisect_right(ordered, new.microseconds, key=lambda each: each.microseconds)
    return judge([new, *ordered[max(0, at - NEAREST) : at + NEAREST]], max_rate, leading_zeros)[0]


def _judge_sorted(placed: Sequence[Observation], max_rate: float | None, leading_zeros: bool) -> list[Judgement]:
    whole = [each for each in placed if each.success and each.reading.replace(".", "").isdecimal()]
    if not whole:
        return [_unjudged(each) for each in placed]
    counter = Counter.of(((each.reading, each.weight) for each in whole), leading_zeros)
    clock = Clock(counter, max_rate)
    ticks = [clock.ticks(each.microseconds) for each in placed]
    shown = [
        Shown(number, int(digits), ticks[number], each.weight)
        for number, each in enumerate(placed)
        if each.success and (digits := counter.digits(each.reading)).isdecimal()
    ]
    wraps = laps(shown, counter, clock)
    if max(wraps) > MOST_LAPS:
        reason = (
            f"max_rate: at {max_rate:g} a day a counter of {counter} places could roll over {max(wraps) - 1:,} times "
            "in this history, so nothing can be judged"
        )
        return [Judgement(each.reading, None, reason) for each in placed]
    chain = heaviest_chain(shown, wraps, counter, clock)
    history = _History([_Trusted(placed[number], ticks[number], value) for number, value in chain], counter, clock)
    trusted = {number for number, _ in chain}
    numbers = [each.number for each in shown]
    judged = []
    for number, each in enumerate(placed):
        if number in trusted and len(chain) > 1:
            judged.append(Judgement(each.reading, True))
        elif number in trusted or not _any_digit(each.reading):
            judged.append(_unjudged(each))
        else:
            beside = numbers[max(0, bisect_left(numbers, number) - 1) : bisect_right(numbers, number) + 1]
            judged.append(history.judge(each, ticks[number], may_misread=not trusted.isdisjoint(beside)))
    return judged


def _unjudged(observation: Observation) -> Judgement:
    read = _any_digit(observation.reading)
    reason = "no_history: no other reading to judge by" if read else "unread: no digit was read"
    return Judgement(observation.reading, None, reason)


def _any_digit(reading: str) -> bool:
    return any(character.isdecimal() for character in reading)


@dataclass(frozen=True, slots=True)
class _Trusted:
    """An observation to judge by; `value` in steps, with the laps."""

    observation: Observation
    ticks: int
    value: int


class _History:
    """The trusted readings of a meter in order of time, to judge other readings by."""

    def __init__(self, trusted: Sequence[_Trusted], counter: Counter, clock: Clock):
        self._trusted, self._counter, self._clock = trusted, counter, clock
        self._ticks = [each.ticks for each in trusted]

    def judge(self, observation: Observation, now: int, may_misread: bool) -> Judgement:
        """Judge an observation with at least one digit that is not trusted itself, at `now` ticks; `may_misread`:
        whether a misread digit may be repaired."""
        reading, counter = observation.reading, self._counter
        at = bisect_right(self._ticks, now)
        before, after = self._get(at - 1), self._get(at)
        spans = self._spans(now, before, after)
        bare = reading.replace(".", "")
        digits = counter.digits(reading)
        if not digits:
            whole, fraction = places(reading)
            reason = f"places: {reading} has {whole} + {fraction}, this meter {counter}"
            # With as many digits in all, only the point was misread.
            meant = fills(bare, spans) if len(bare) == counter.whole + counter.fraction else []
            return Judgement(reading, False, reason, counter.reading(meant[0]) if len(meant) == 1 else None)
        if filled := fills(digits, spans):
            only = "x" in reading and len(filled) == 1
            return Judgement(reading, True, "", counter.reading(filled[0][-len(bare) :]) if only else None)
        reason = self._reason(observation, digits, now, before, after)
        if "x" in digits or not may_misread:
            return Judgement(reading, False, reason)
        # Where a single trusted reading speaks against this one, that one may as well be wrong.
        others = (self._spans(now, self._get(at - 2), after), self._spans(now, before, self._get(at + 1)))
        if any(fills(digits, other) for other in others):
            return Judgement(reading, False, reason)
        meant = only_meant(bare, spans)
        return Judgement(reading, False, reason, counter.reading(meant) if meant else None)

    def _get(self, at: int) -> _Trusted | None:
        return self._trusted[at] if 0 <= at < len(self._trusted) else None

    def _spans(self, now: int, before: _Trusted | None, after: _Trusted | None) -> list[tuple[int, int]]:
        """Return what the counter may show at `now`: spans of steps, both ends included."""
        capacity, steps = self._counter.capacity, self._clock.steps
        least, most = [], []
        if before:
            least.append(before.value)
            most.append(before.value + steps(now - before.ticks))
        if after:
            least.append(after.value - steps(after.ticks - now))
            most.append(after.value)
        if self._clock.max_rate is None:
            least.append(0)
            most.append(capacity - 1)
        if not least:
            return [(0, capacity - 1)]
        low, high = max(least), min(most)
        if high < low:
            return []
        if high - low >= capacity:
            return [(0, capacity - 1)]
        low, high = low % capacity, high % capacity
        return [(low, high)] if low <= high else [(low, capacity - 1), (0, high)]

    def _reason(
        self, observation: Observation, digits: str, now: int, before: _Trusted | None, after: _Trusted | None
    ) -> str:
        reading, capacity = observation.reading, self._counter.capacity
        lowest, highest = int(digits.replace("x", "0")), int(digits.replace("x", "9"))
        following = f"{reading} after {_dated(before, observation)}" if before else ""
        preceding = f"before {_dated(after, observation)}" if after else ""
        if before and not fills(digits, self._spans(now, before, None)):
            earlier = before.value % capacity
            if before.ticks == now:
                return f"same_time: {reading} and {before.observation.reading} at {observation.time:%Y-%m-%d %H:%M}"
            if highest < earlier:
                return f"falls: {following}"
            if lowest > earlier:
                return f"too_fast: {following}, {self._pace(lowest - earlier, before, observation)}"
        elif after and not fills(digits, self._spans(now, None, after)):
            later = after.value % capacity
            if lowest > later:
                return f"ahead: {reading} {preceding}"
            if highest < later:
                return f"behind: {reading} {preceding}, {self._pace(later - highest, after, observation)}"
        return f"between: {following or reading}{' and ' * bool(before and after)}{preceding}"

    def _pace(self, steps: int, other: _Trusted, observation: Observation) -> str:
        shown = f"{steps / 10**self._counter.fraction:.{self._counter.fraction}f}"
        days = abs(other.observation.microseconds - observation.microseconds) / _DAY
        return f"{shown} in {days:.3g} days where {self._clock.max_rate:g} a day is the most"


def _dated(trusted: _Trusted, observation: Observation) -> str:
    """Return a trusted reading and its date; also the time, if it is of the same day as the observation."""
    time = trusted.observation.time
    when = "%Y-%m-%d %H:%M" if time.date() == observation.time.date() else "%Y-%m-%d"
    return f"{trusted.observation.reading} on {time:{when}}"
