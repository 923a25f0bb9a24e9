"""Charts as inline SVG: histogram, columns, bars with quantiles. Axes carry units; a mark's figure is its tooltip."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from markupsafe import Markup

from common.svg import Child, Linear, both, element, markup, nice_ticks
from pipelines.report.numbers import number
from pipelines.report.summary import Histogram

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 14, 46


@dataclass(frozen=True)
class Axis:
    """An axis title in both languages."""

    english: str
    korean: str


@dataclass(frozen=True)
class Bar:
    """One stage's time in ms: mean, median and 90th percentile, and its share (0..1) of the whole."""

    name: str
    mean: float
    p50: float
    p90: float
    share: float


def histogram(data: Histogram, x: Axis, y: Axis, unit: str = "") -> Markup:
    """Draw columns over a numeric axis."""
    low, high = float(data.edges[0]), float(data.edges[-1])
    across, up = Linear(low, high, LEFT, WIDTH - RIGHT), _counts(_round_up(int(data.counts.max())))
    marks = []
    for count, start, end in zip(data.counts.tolist(), data.edges[:-1].tolist(), data.edges[1:].tolist(), strict=True):
        if count:
            left, width = across(start), max(1.0, across(end) - across(start) - 1)
            marks.append(_column(left, width, count, up, f"{_tick(start)}…{_tick(end)}{unit}: {number(count)}"))
    ticks = [(across(value), f"{_tick(value)}{unit}") for value in nice_ticks(low, high, 6)]
    return _frame(marks, ticks, up, x, y)


def columns(values: Sequence[tuple[str, int]], x: Axis, y: Axis) -> Markup:
    """Draw one column for each named value."""
    up = _counts(_round_up(1.1 * max(count for _, count in values)))  # room for the figures on the columns
    slot = (WIDTH - LEFT - RIGHT) / len(values)
    marks, ticks = [], []
    for index, (name, count) in enumerate(values):
        centre = LEFT + slot * (index + 0.5)
        marks.append(_column(centre - slot * 0.3, slot * 0.6, count, up, f"{name}: {number(count)}"))
        marks.append(_text("value", centre, up(count) - 4, "middle", number(count)))
        ticks.append((centre, name))
    return _frame(marks, ticks, up, x, y)


def bars(rows: Sequence[Bar], x: Axis) -> Markup:
    """Draw horizontal bars to the mean; a line from p50 (dot) to p90 (stroke)."""
    width, left, right, row_height, top = 1140, 150, 330, 34, 28
    figures_at = [width - right + offset for offset in (95, 170, 245, 322)]
    highest = max(0.001, *(max(row.mean, row.p90) for row in rows))
    ticks = nice_ticks(0, highest, 6)
    across = Linear(0, max(highest, ticks[-1]), left, width - right)
    bottom = top + row_height * len(rows)
    parts: list[Element] = []
    for value in ticks:
        parts.append(_line("grid", across(value), top - 6, across(value), bottom))
        parts.append(_text("tick", across(value), bottom + 16, "middle", number(value)))
    for index, row in enumerate(rows):
        y = top + row_height * index + row_height / 2
        x50, x90 = across(row.p50), across(row.p90)
        mean, p50, p90 = number(row.mean), number(row.p50), number(row.p90)
        figures = zip(figures_at, (mean, p50, p90, f"{row.share:.0%}"), strict=True)
        parts.append(
            element(
                "g",
                element("title", f"{row.name}: mean {mean} ms, p50 {p50} ms, p90 {p90} ms"),
                _text("name", left - 10, y + 4, "end", row.name),
                element("rect", class_="bar", x=left, y=y - 8, width=max(1.0, across(row.mean) - left), height=16),
                _line("whisker", x50, y, x90, y),
                element("circle", class_="median", cx=x50, cy=y, r=4),
                _line("whisker", x90, y - 6, x90, y + 6),
                *(_text("figure", at, y + 4, "end", text) for at, text in figures),
            )
        )
    names = (both("mean ms", "평균 ms"), ("p50 ms",), ("p90 ms",), both("share", "비율"))
    parts += [_text("tick", at, 12, "end", *name) for at, name in zip(figures_at, names, strict=True)]
    height = bottom + 40
    parts.append(_text("label", left + (width - left - right) / 2, height - 6, "middle", *both(x.english, x.korean)))
    return _svg(width, height, parts, x)


def _frame(marks: Sequence[Element], ticks: Sequence[tuple[float, str]], up: Linear, x: Axis, y: Axis) -> Markup:
    bottom = HEIGHT - BOTTOM
    parts: list[Element] = []
    for value in nice_ticks(0, up.high, 4):
        if value == int(value):  # counts are whole
            parts.append(_line("grid", LEFT, up(value), WIDTH - RIGHT, up(value)))
            parts.append(_text("tick", LEFT - 6, up(value) + 4, "end", number(value)))
    parts += marks
    parts.append(_line("axis", LEFT, bottom, WIDTH - RIGHT, bottom))
    parts += [_text("tick", at, bottom + 16, "middle", name) for at, name in ticks]
    centre = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(_text("label", centre, HEIGHT - 8, "middle", *both(x.english, x.korean)))
    upwards = f"translate(12 {TOP + (bottom - TOP) / 2:.0f}) rotate(-90)"
    parts.append(element("text", *both(y.english, y.korean), class_="label", transform=upwards, text_anchor="middle"))
    return _svg(WIDTH, HEIGHT, parts, x)


def _counts(peak: float) -> Linear:
    """Return the axis of counts, from the bottom up."""
    return Linear(0, peak, HEIGHT - BOTTOM, TOP)


def _round_up(count: float) -> float:
    """Return the next tick at or above `count`, so that the highest column ends below a labelled line."""
    ticks = nice_ticks(0, max(1, count), 4)
    return ticks[-1] if ticks[-1] >= count else ticks[-1] + ticks[1]


def _column(left: float, width: float, count: int, up: Linear, tooltip: str) -> Element:
    top = up(count)
    title = element("title", tooltip)
    return element("rect", title, class_="bar", x=left, y=top, width=width, height=HEIGHT - BOTTOM - top)


def _tick(value: float) -> str:
    return f"{round(value, 3):g}".replace("-", "−")


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    return element("line", class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def _text(kind: str, x: float, y: float, anchor: str, *content: Child) -> Element:
    return element("text", *content, class_=kind, x=x, y=y, text_anchor=anchor)


def _svg(width: int, height: int, parts: Sequence[Element], axis: Axis) -> Markup:
    label = f"{axis.english} · {axis.korean}"
    view_box = f"0 0 {width} {height}"
    return markup(element("svg", *parts, class_="chart", viewBox=view_box, role="img", aria_label=label))
