"""The reliability diagram (DeGroot and Fienberg, 1983) as inline SVG: how right lines are against how sure."""

from collections.abc import Sequence

from markupsafe import Markup

from common import svg
from trainers.recognition.metrics import ReliabilityBin

_LEFT, _TOP, _SIDE, _COUNTS = 48, 8, 300, 60  # px: the diagram's square, and the height of the counts beneath it
_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)


def reliability_diagram(bins: Sequence[ReliabilityBin]) -> Markup:
    """Return the diagram. Bars: the share of characters that are right, by confidence; a dot at each bin's means; the
    dashed diagonal is true confidence. Beneath, how many lines each bin holds."""
    across, up = svg.Linear(0, 1, _LEFT, _LEFT + _SIDE), svg.Linear(0, 1, _TOP + _SIDE, _TOP)
    bottom, most = _TOP + _SIDE, max((row.count for row in bins), default=1)
    count_height = svg.Linear(0, most, 0, _COUNTS)
    height = bottom + _COUNTS + 44
    chart = svg.element("svg", class_="reliability", viewBox=f"0 0 {_LEFT + _SIDE + 12} {height}", role="img")
    for tick in _TICKS:
        x, y, name = across(tick), up(tick), f"{tick:g}"
        chart.append(svg.element("line", class_="grid", x1=_LEFT, y1=y, x2=_LEFT + _SIDE, y2=y))
        chart.append(svg.element("text", name, x=_LEFT - 6, y=y + 4, text_anchor="end"))
        chart.append(svg.element("text", name, x=x, y=bottom + _COUNTS + 18, text_anchor="middle"))
    for row in bins:
        left, width = across(row.low) + 1, across(row.high) - across(row.low) - 2
        right, count = up(row.accuracy), count_height(row.count)
        figures = f"{row.low:.1f}–{row.high:.1f}: {row.count:,} · {row.confidence:.3f} → {row.accuracy:.3f}"
        chart.append(
            svg.element(
                "g",
                svg.element("title", figures),
                svg.element("rect", class_="accuracy", x=left, y=right, width=width, height=bottom - right),
                svg.element("rect", class_="count", x=left, y=bottom + _COUNTS - count + 4, width=width, height=count),
            )
        )
    chart.append(svg.element("line", class_="ideal", x1=across(0), y1=up(0), x2=across(1), y2=up(1)))
    chart.extend(svg.element("circle", cx=across(row.confidence), cy=up(row.accuracy), r=4) for row in bins)
    chart.append(svg.element("line", class_="axis", x1=_LEFT, y1=bottom, x2=_LEFT + _SIDE, y2=bottom))
    confidence = svg.both("confidence; beneath: number of lines", "신뢰도 (아래 막대는 글줄 수)")
    accuracy = svg.both("characters right", "맞은 글자의 비율")
    middle = {"text_anchor": "middle"}
    chart.append(svg.element("text", *confidence, x=across(0.5), y=bottom + _COUNTS + 36, **middle))
    chart.append(svg.element("text", *accuracy, transform=f"translate(13 {up(0.5):g}) rotate(-90)", **middle))
    return svg.markup(chart)
