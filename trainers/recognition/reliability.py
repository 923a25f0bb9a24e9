"""The reliability diagram (DeGroot and Fienberg, 1983) as inline SVG: how right lines are against how sure."""

from collections.abc import Sequence

from trainers.core.report_page import both
from trainers.recognition.metrics import ReliabilityBin

_LEFT, _TOP, _SIDE, _COUNTS = 48, 8, 300, 60  # px: the diagram's square, and the height of the counts beneath it


def reliability_diagram(bins: Sequence[ReliabilityBin]) -> str:
    """Bars: the share of characters that are right, by confidence; a dot at each bin's means; the dashed diagonal is
    true confidence. Beneath, how many lines each bin holds."""
    bottom = _TOP + _SIDE
    most = max((row.count for row in bins), default=1)
    parts = []
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        x, y = _x(tick), _y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.0f}" x2="{_LEFT + _SIDE}" y2="{y:.0f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<text x="{x:.0f}" y="{bottom + _COUNTS + 18}" text-anchor="middle">{tick:g}</text>')
    for row in bins:
        left, width = _x(row.low) + 1, _x(row.high) - _x(row.low) - 2
        height = _COUNTS * row.count / most
        says = f"<title>{row.low:.1f}–{row.high:.1f}: {row.count:,} · {row.confidence:.3f} → {row.accuracy:.3f}</title>"
        parts += [
            f'<g>{says}<rect class="accuracy" x="{left:.1f}" y="{_y(row.accuracy):.1f}" width="{width:.1f}" '
            f'height="{bottom - _y(row.accuracy):.1f}"/>',
            f'<rect class="count" x="{left:.1f}" y="{bottom + _COUNTS - height + 4:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"/></g>',
        ]
    parts.append(f'<line class="ideal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>')
    parts += [f'<circle cx="{_x(row.confidence):.1f}" cy="{_y(row.accuracy):.1f}" r="4"/>' for row in bins]
    parts.append(f'<line class="axis" x1="{_LEFT}" y1="{bottom}" x2="{_LEFT + _SIDE}" y2="{bottom}"/>')
    confidence = both("confidence; beneath: number of lines", "신뢰도 (아래 막대는 글줄 수)", "tspan")
    accuracy = both("characters right", "맞은 글자의 비율", "tspan")
    across, down = _LEFT + _SIDE / 2, _TOP + _SIDE / 2
    parts.append(f'<text x="{across}" y="{bottom + _COUNTS + 36}" text-anchor="middle">{confidence}</text>')
    parts.append(f'<text transform="translate(13 {down}) rotate(-90)" text-anchor="middle">{accuracy}</text>')
    height = bottom + _COUNTS + 44
    return f'<svg class="reliability" viewBox="0 0 {_LEFT + _SIDE + 12} {height}" role="img">{"".join(parts)}</svg>'


def _x(value: float) -> float:
    return _LEFT + _SIDE * value


def _y(value: float) -> float:
    return _TOP + _SIDE * (1 - value)
