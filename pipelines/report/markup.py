"""Small pieces of HTML: text in both languages, numbers, escaping."""

from html import escape

__all__ = ["both", "escape", "number", "svg_both", "unknown"]


def both(english: str, korean: str) -> str:
    """HTML that shows `english` or `korean` (both already HTML), as the reader's switch says."""
    return f'<span lang="en">{english}</span><span lang="ko">{korean}</span>'


def svg_both(english: str, korean: str) -> str:
    """The same inside an SVG `text`."""
    return f'<tspan lang="en">{english}</tspan><tspan lang="ko">{korean}</tspan>'


def unknown() -> str:
    return f'<span class="muted">{both("unknown", "알 수 없음")}</span>'


def number(value: float, digits: int = 3) -> str:
    """A number with thousands separators and about `digits` significant digits."""
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1) or value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}"
