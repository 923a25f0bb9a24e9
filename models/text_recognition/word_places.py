"""Where words stand in the crop of a line: about where the recogniser saw their characters, exactly at their ink."""

import re
from itertools import pairwise

import numpy as np

_INK = 0.25  # of the contrast of a line's darkest columns: columns with less are blank
_RULE = 0.4  # of it: rows of which nine tenths have more are a rule
_APART = 0.3  # of the crop's height: what stands so far beside a line's end is not of its text
_ROOM = 0.02  # of the crop's height, left around a word's ink, as faces have it beside their letters
_EDGE = 0.02  # of the crop's height above and below are left out: neighbouring lines reach into them


def word_places(text: str, places: tuple[float, ...], crop: np.ndarray) -> list[list[float]]:
    """Return where each word of a line begins and ends, as shares of the crop's width.

    Between two words is the widest gap between the last character of one and the first character of the next.

    Args:
        text: what was read; words are what spaces separate.
        places: of each character, about where it is, as a share of the width; see `RecognizedText`.
        crop: (h, w) or (h, w, C) uint8.

    Returns:
        [start, end] a word; nothing if `places` are not those of the text.
    """
    words = [match.span() for match in re.finditer(r"\S+", text)]
    if len(places) != len(text) or not words:
        return []
    ink = _ink(crop)
    width = len(ink)
    columns = [min(width - 1, int(place * width)) for place in places]
    starts = [_first_ink(ink, columns[words[0][0]], crop.shape[0])]
    ends = []
    for (_, end), (start, _) in pairwise(words):
        last, first = columns[end - 1], columns[start]
        gap_start, gap_end = _gap(ink[last : max(last, first) + 1])
        ends.append(last + gap_start)
        starts.append(last + gap_end)
    ends.append(width - _first_ink(ink[::-1], width - 1 - columns[words[-1][1] - 1], crop.shape[0]))
    room = _ROOM * crop.shape[0]
    between = [min(room, (start - end) / 3) for end, start in zip(ends, starts[1:], strict=False)]
    before, after = [min(room, starts[0]), *between], [*between, min(room, width - ends[-1])]
    return [
        [round((start - left) / width, 4), round((max(start, end) + right) / width, 4)]
        for start, end, left, right in zip(starts, ends, before, after, strict=True)
    ]


def _ink(crop: np.ndarray) -> np.ndarray:
    """Return which columns of a crop have ink, (w,) bool: a pixel that differs from the paper, whichever is darker.
    Rows that differ nearly everywhere, a rule under the text, do not count."""
    grey = crop if crop.ndim == 2 else crop[:, :, min(1, crop.shape[2] - 1)]
    edge = int(_EDGE * len(grey))
    grey = grey[edge : len(grey) - edge].astype(np.int16)
    off = np.abs(grey - np.median(grey))
    darkest = off.max(axis=0)
    text = np.quantile(off, 0.1, axis=1) <= _RULE * np.quantile(darkest, 0.9)
    if text.any():
        darkest = off[text].max(axis=0)
    low, high = float(np.quantile(darkest, 0.02)), float(np.quantile(darkest, 0.9))
    return darkest > low + _INK * (high - low)


def _gap(ink: np.ndarray) -> tuple[int, int]:
    """Return where the widest blank part of some columns begins and ends; their middle, if there is none."""
    edges = np.diff(np.concatenate([[True], ink, [True]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges == -1), np.flatnonzero(edges == 1)
    if not len(starts):
        return len(ink) // 2, len(ink) // 2
    widest = int((ends - starts).argmax())
    return int(starts[widest]), int(ends[widest])


def _first_ink(ink: np.ndarray, character: int, height: int) -> int:
    """Return the first column of the text that ends the columns up to `character`, from left to right."""
    before = np.flatnonzero(ink[: character + 1])
    if not len(before):
        return character
    # From the character back to where nothing stands for a while.
    breaks = np.flatnonzero(np.diff(before) > _APART * height)
    return int(before[breaks[-1] + 1] if len(breaks) else before[0])
