"""SVG for pages of HTML, built as elements, so that every text and attribute is escaped; scales and ticks of charts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup

Value = str | float
Child = Element | str


def element(tag: str, *children: Child, **attributes: Value) -> Element:
    """Return an SVG element.

    Args:
        children: elements, and texts between them.
        attributes: `_` within a name becomes `-` and one at its end is dropped (`text_anchor`, `class_`). Numbers are
            px with one decimal; give text where that is too coarse.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): _written(value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def both(english: str, korean: str) -> tuple[Element, Element]:
    """Return the children of a `text` that show one of two languages, as the page's switch says."""
    return element("tspan", english, lang="en"), element("tspan", korean, lang="ko")


def points(corners: Iterable[Iterable[float]]) -> str:
    """Return the `points` of a polygon from (x, y) in px."""
    return " ".join(",".join(map(_written, corner)) for corner in corners)


def markup(drawing: Element) -> Markup:
    """Return an element as HTML."""
    return Markup(ElementTree.tostring(drawing, encoding="unicode"))


@dataclass(frozen=True)
class Linear:
    """A linear axis from `low` at `start` px to `high` at `end` px."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round values (1, 2, 2.5 or 5 times a power of ten apart) in low..high, about `most` at most; `low` alone
    where `high` is not above it."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.10g}") for index in range(first, last + 1)]


def _written(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
