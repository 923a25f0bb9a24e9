"""Charts as inline SVG: histogram, columns, bars with quantiles. Axes carry units; a mark's figure is its tooltip."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report.markup import escape, number, svg_both
from pipelines.report.summary import Histogram

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 14, 46


@dataclass(frozen=True)
class Axis:
    """An axis title in both languages."""

    english: str
    korean: str


def histogram(data: Histogram, x: Axis, y: Axis, unit: str = "") -> str:
    """Columns over a numeric axis."""
    low, high = float(data.edges[0]), float(data.edges[-1])
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    peak = _round_up(int(data.counts.max()))
    marks = []
    for count, start, end in zip(data.counts.tolist(), data.edges[:-1].tolist(), data.edges[1:].tolist(), strict=True):
        if count:
            left, width = LEFT + (start - low) * scale, max(1.0, (end - start) * scale - 1)
            tooltip = f"{_tick(start)}…{_tick(end)}{unit}: {number(count)}"
            marks.append(_column(left, width, count, peak, tooltip))
    ticks = [(LEFT + (value - low) * scale, f"{_tick(value)}{unit}") for value in nice_ticks(low, high, 6)]
    return _frame(marks, ticks, peak, x, y)


def columns(values: Sequence[tuple[str, int]], x: Axis, y: Axis) -> str:
    """One column a named value."""
    peak = _round_up(1.1 * max(count for _, count in values))  # room for the figures on the columns
    slot = (WIDTH - LEFT - RIGHT) / len(values)
    marks, ticks = [], []
    for index, (name, count) in enumerate(values):
        centre = LEFT + slot * (index + 0.5)
        marks.append(_column(centre - slot * 0.3, slot * 0.6, count, peak, f"{name}: {number(count)}"))
        ticks.append((centre, name))
        top = _y(count, peak)
        marks.append(_text("value", centre, top - 4, number(count), "middle"))
    return _frame(marks, ticks, peak, x, y)


@dataclass(frozen=True)
class Bar:
    """One stage's time in ms: mean, median and 90th percentile, and its share (0..1) of the whole."""

    name: str
    mean: float
    p50: float
    p90: float
    share: float


def bars(rows: Sequence[Bar], x: Axis) -> str:
    """Horizontal bars to the mean; a line from p50 (dot) to p90 (stroke)."""
    width, left, right, row_height, top = 1140, 150, 330, 34, 28
    figures_at = [width - right + offset for offset in (95, 170, 245, 322)]
    highest = max(0.001, *(max(row.mean, row.p90) for row in rows))
    ticks = nice_ticks(0, highest, 6)
    end = max(highest, ticks[-1])
    scale = (width - left - right) / end
    height = top + row_height * len(rows) + 40
    bottom = top + row_height * len(rows)
    parts = []
    for value in ticks:
        at = left + value * scale
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{top - 6}" x2="{at:.1f}" y2="{bottom}"/>')
        parts.append(_text("tick", at, bottom + 16, number(value), "middle"))
    for index, row in enumerate(rows):
        y = top + row_height * index + row_height / 2
        x50, x90 = left + row.p50 * scale, left + row.p90 * scale
        figures = [number(row.mean), number(row.p50), number(row.p90), f"{row.share:.0%}"]
        parts += [
            f"<g><title>{escape(row.name)}: mean {number(row.mean)} ms, p50 {number(row.p50)} ms, "
            f"p90 {number(row.p90)} ms</title>",
            _text("name", left - 10, y + 4, escape(row.name), "end"),
            f'<rect class="bar" x="{left}" y="{y - 8:.1f}" width="{max(1.0, row.mean * scale):.1f}" height="16"/>',
            f'<line class="whisker" x1="{x50:.1f}" y1="{y:.1f}" x2="{x90:.1f}" y2="{y:.1f}"/>',
            f'<circle class="median" cx="{x50:.1f}" cy="{y:.1f}" r="4"/>',
            f'<line class="whisker" x1="{x90:.1f}" y1="{y - 6:.1f}" x2="{x90:.1f}" y2="{y + 6:.1f}"/>',
            *(_text("figure", at, y + 4, text, "end") for at, text in zip(figures_at, figures, strict=True)),
            "</g>",
        ]
    names = (svg_both("mean ms", "평균 ms"), "p50 ms", "p90 ms", svg_both("share", "비율"))
    parts += [_text("tick", at, 12, name, "end") for at, name in zip(figures_at, names, strict=True)]
    centre = left + (width - left - right) / 2
    parts.append(_title(centre, height - 6, x))
    return _svg(width, height, parts, x)


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """At most about `most` round values (1, 2, 2.5 or 5 times a power of ten apart) in low..high."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame(marks: Sequence[str], ticks: Sequence[tuple[float, str]], peak: float, x: Axis, y: Axis) -> str:
    bottom = HEIGHT - BOTTOM
    parts = []
    for value in nice_ticks(0, peak, 4):
        if value == int(value):  # counts are whole
            at = _y(value, peak)
            parts.append(f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>')
            parts.append(_text("tick", LEFT - 6, at + 4, number(value), "end"))
    parts += marks
    parts.append(f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>')
    parts += [_text("tick", at, bottom + 16, name, "middle") for at, name in ticks]
    parts.append(_title(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8, x))
    middle = TOP + (bottom - TOP) / 2
    parts.append(
        f'<text class="label" transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{svg_both(escape(y.english), escape(y.korean))}</text>"
    )
    return _svg(WIDTH, HEIGHT, parts, x)


def _round_up(count: float) -> float:
    """The next tick at or above `count`, so that the highest column ends below a labelled line."""
    ticks = nice_ticks(0, max(1, count), 4)
    return ticks[-1] if ticks[-1] >= count else ticks[-1] + ticks[1]


def _column(left: float, width: float, count: int, peak: float, tooltip: str) -> str:
    top = _y(count, peak)
    return (
        f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{HEIGHT - BOTTOM - top:.1f}">'
        f"<title>{escape(tooltip)}</title></rect>"
    )


def _y(count: float, peak: float) -> float:
    bottom = HEIGHT - BOTTOM
    return bottom - (bottom - TOP) * count / peak


def _tick(value: float) -> str:
    return f"{round(value, 3):g}".replace("-", "−")


def _title(at: float, y: float, axis: Axis) -> str:
    return _text("label", at, y, svg_both(escape(axis.english), escape(axis.korean)), "middle")


def _text(kind: str, x: float, y: float, content: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{content}</text>'


def _svg(width: int, height: int, parts: Sequence[str], axis: Axis) -> str:
    label = escape(f"{axis.english} · {axis.korean}")
    return f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
