"""Counters: their places, how far they can turn in a time, and which of their readings go together.

A *step* is one digit of the last place. A counter never falls, except that it rolls over as a whole (99999.999 to
00000.000), and takes at most a given number of steps per day. A reading is what the counter shows, rounded down.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

_DAY = 86_400_000_000  # microseconds


def places(reading: str) -> tuple[int, int]:
    """Places of a reading before and after the point."""
    whole, _, fraction = reading.partition(".")
    return len(whole), len(fraction)


@dataclass(frozen=True, slots=True)
class Counter:
    """The places of a counter. `leading_zeros`: whether it shows them; without, readings may have fewer places."""

    whole: int
    fraction: int
    leading_zeros: bool = True

    @classmethod
    def of(cls, readings: Iterable[tuple[str, int]], leading_zeros: bool = True) -> "Counter":
        """Return the layout of places with the largest weight among readings; the first of equal ones."""
        weights: Tally[tuple[int, int]] = Tally()
        for reading, weight in readings:
            weights[places(reading)] += weight
        (whole, fraction), _ = weights.most_common(1)[0]
        if not leading_zeros:
            whole = max(other for other, behind in weights if behind == fraction)
        return cls(whole, fraction, leading_zeros)

    def __str__(self) -> str:
        return f"{self.whole} + {self.fraction}" if self.leading_zeros else f"up to {self.whole} + {self.fraction}"

    @property
    def capacity(self) -> int:
        """So many steps after which it shows the same again."""
        return 10 ** (self.whole + self.fraction)

    def digits(self, reading: str) -> str:
        """Digits and x of all the counter's places; "" for a reading with other places."""
        whole, fraction = places(reading)
        fits = whole == self.whole or (not self.leading_zeros and whole < self.whole)
        if not reading or fraction != self.fraction or not fits:
            return ""
        return reading.replace(".", "").rjust(self.whole + self.fraction, "0")

    def reading(self, digits: str) -> str:
        """Digits with the point; the reverse of `digits`, also for fewer places before the point."""
        return f"{digits[: -self.fraction]}.{digits[-self.fraction :]}" if self.fraction else digits


class Clock:
    """Time in ticks, `unit` of which allow a counter one step. Whole numbers, so that comparisons are exact.

    Args:
        counter: whose steps.
        max_rate: units a day, 1 = the place before the point. None: any later moment allows any rise.
    """

    def __init__(self, counter: Counter, max_rate: float | None):
        self.max_rate = max_rate
        steps = Fraction(counter.capacity * _DAY if max_rate is None else max_rate).limit_denominator(10**9)
        if max_rate is not None:
            steps *= 10**counter.fraction
        self.unit = steps.denominator * _DAY
        self._per_microsecond = steps.numerator

    def ticks(self, microseconds: int) -> int:
        return microseconds * self._per_microsecond

    def steps(self, ticks: int) -> int:
        """Return the most steps that can be seen in a number of ticks: a fraction of a step may turn the wheel."""
        return -(-ticks // self.unit)


class Shown(NamedTuple):
    """A counter read once: `number` names it, `value` in steps, `ticks` of the counter's clock, `weight` above 0."""

    number: int
    value: int
    ticks: int
    weight: int


def laps(readings: Sequence[Shown], counter: Counter, clock: Clock) -> list[int]:
    """For each reading in order of time, on how many laps of the counter it may lie (1: only the first). Without a
    rate there is no roll-over: any fall could be one."""
    if clock.max_rate is None:
        return [1] * len(readings)
    highest, start = max(each.value for each in readings), readings[0].ticks
    return [
        # Each reading before may have been rounded in favour of the next by one step.
        1 + max(0, (highest + clock.steps(each.ticks - start) + at - each.value) // counter.capacity)
        for at, each in enumerate(readings)
    ]


def heaviest_chain(
    readings: Sequence[Shown], laps: Sequence[int], counter: Counter, clock: Clock
) -> list[tuple[int, int]]:
    """Return the readings with the largest sum of weights that can all be true, as (number, value with wraps) by time.

    Of equally heavy chains the one that rises least, then the one that ends earliest. O(n log n), n the sum of laps, as
    for increasing subsequences (Fredman, 1975): one reading can follow another when neither its value nor its *slack*
    is less, slack being the steps the rate allows until then less the value; in slack a step of rounding is forgiven.
    """
    copies = sorted(
        (each.value + lap * counter.capacity, each.ticks, each.number, each.weight)
        for each, most in zip(readings, laps, strict=True)
        for lap in range(most)
    )
    slack = [ticks - value * clock.unit for value, ticks, _, _ in copies]
    slacks = sorted(set(slack))
    best = [(0, 0, -1)] * (len(slacks) + 1)  # Fenwick tree of the best by slack: weight, first value, copy
    parents, ends = [], []
    # By value, then time: all that a copy may follow come before it, and only slack is left to compare.
    for copy, (value, ticks, _, weight) in enumerate(copies):
        before = (0, value, -1)
        at = bisect_left(slacks, slack[copy] + clock.unit)
        while at:
            if best[at][0] and best[at] > before:
                before = best[at]
            at &= at - 1
        entry = (before[0] + weight, before[1], copy)
        parents.append(before[2])
        ends.append((-entry[0], value - before[1], ticks, copy))
        at = bisect_left(slacks, slack[copy]) + 1
        while at <= len(slacks):
            if entry > best[at]:
                best[at] = entry
            at += at & -at
    copy = min(ends)[-1]
    chain = []
    while copy >= 0:
        chain.append((copies[copy][2], copies[copy][0]))
        copy = parents[copy]
    return chain[::-1]
