"""One rendered page from one seed."""

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainers.render.canvas import Desk, RenderedLine
from trainers.render.fonts import FontSet, system_fonts
from trainers.render.layouts import LAYOUTS
from trainers.render.texts.source import TextSource, shipped_texts

KINDS: tuple[str, ...] = tuple(LAYOUTS)
Split = Literal["train", "validation"]
_LEAST_TEXT = 24  # characters that let a person tell which side is up, on a damaged page too


@dataclass(frozen=True)
class RenderedPage:
    """`image` (H, W, 3) uint8 RGB, upright, skew exactly 0; `lines` in the order they were set."""

    image: np.ndarray
    kind: str
    lines: list[RenderedLine]


def render_page(
    seed: int | tuple[int, ...],
    *,
    texts: TextSource | None = None,
    fonts: FontSet | None = None,
    kind: str | None = None,
    split: Split = "train",
) -> RenderedPage:
    """Render a clean, upright page; `degrade` adds what scanners and cameras do, after the page has been turned.

    All lines of set text are exactly horizontal, but for side numbers, stamps and handwriting. The result depends on
    the arguments alone.

    Args:
        seed: whatever differs from page to page.
        texts: what to write (default: the shipped lists). fonts: what to write it in (default: the system's fonts).
        kind: one of `KINDS`; None draws one by weight.
        split: whose texts and font families to use; the two splits share none.

    Raises:
        ValueError: unknown kind or split.
        FontsMissingError: no font for the page's script.
    """
    if split not in ("train", "validation"):
        raise ValueError(f'unknown split {split!r}: "train" or "validation"')
    if kind is not None and kind not in LAYOUTS:
        raise ValueError(f"unknown kind of page {kind!r}: one of {', '.join(KINDS)}")
    key = tuple(seed) if isinstance(seed, tuple) else (seed,)
    rng = random.Random(f"{[int(s) for s in key]} {split}")
    drawn = rng.choices(KINDS, [weight for _, weight in LAYOUTS.values()])[0]
    kind = kind or drawn
    desk = Desk(rng, fonts or system_fonts(), texts or shipped_texts(), split)
    page = LAYOUTS[kind][0](desk)
    while sum(len(line.text) for line in page.lines) < _LEAST_TEXT:
        page = LAYOUTS[kind][0](desk)
    return RenderedPage(np.array(page.image), kind, page.lines)
