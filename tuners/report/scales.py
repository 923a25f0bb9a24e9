"""Positions of a setting's values on an axis: at named levels, logarithmic or linear."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.svg import nice_ticks
from tuners.results import ABSENT, DASH, cell, is_number, spans_decades, text

MOST_LEVELS = 6  # up to this many repeated numbers are spaced evenly, each with its label


@dataclass(frozen=True)
class Scale:
    """An axis of one setting.

    Attributes:
        positions: of the values, in the order they came.
        ticks: position and label.
        low, high: ends of the axis, with a margin.
    """

    positions: list[float]
    ticks: list[tuple[float, str]]
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Scale":
        """Return the scale for the values; absent ones get a level below the others, labelled (–)."""
        present = [value for value in values if value is not ABSENT]
        numeric = all(map(is_number, present))
        levels = sorted(set(present)) if numeric else sorted({text(value) for value in present})
        if not numeric or len(levels) == 1 or (len(levels) <= MOST_LEVELS and len(levels) < len(present)):
            index = {level: float(at) for at, level in enumerate(levels)}
            placed = [index[value if numeric else text(value)] for value in present]
            ticks = [(at, cell(level)) for level, at in index.items()]
            low, high, step = 0.0, len(levels) - 1.0, 1.0
        else:
            log = spans_decades(present)
            placed = [math.log10(value) if log else float(value) for value in present]
            low, high = min(placed), max(placed)
            ticks = _log_ticks(low, high) if log else [(value, f"{value:g}") for value in nice_ticks(low, high)]
            step = 0.12 * (high - low)
        if len(present) < len(values):
            low -= step
            ticks = [(low, f"({DASH})"), *ticks]
        margin = 0.04 * (high - low) or 0.5
        given = iter(placed)
        positions = [low if value is ABSENT else next(given) for value in values]
        return cls(positions, ticks, low - margin, high + margin)

    @classmethod
    def of_figures(cls, values: Sequence[float], *, log: bool) -> "Scale":
        """Return the scale of a metric: never levels; logarithmic only if `log` allows it and the values span
        decades."""
        log = log and spans_decades(values)
        placed = [math.log10(value) if log else value for value in values]
        low, high = min(placed), max(placed)
        ticks = _log_ticks(low, high) if log else [(value, f"{value:g}") for value in nice_ticks(low, high)]
        margin = 0.04 * (high - low) or 0.5
        return cls(placed, ticks, low - margin, high + margin)


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Powers of ten, with 3 times each where there are few."""
    factors = (1, 3) if high - low < 3.5 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [(power + math.log10(factor), f"{factor * 10.0**power:g}") for power in powers for factor in factors]
    return [(at, label) for at, label in ticks if low - 1e-9 <= at <= high + 1e-9]
