"""Labels of meters as tools write them: names of classes and digits, corners of displays, digits put in order.

The order of digits, the choice among overlapping ones and "x" for gaps follow the counter recognition system whose
label files `label_studio` and `tfrecord` read.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from common.cli import pair
from trainers.data.importers.quads import as_array, outside, quad_of_points
from trainers.data.importers.rows import MeterFound, RowError, Understood
from trainers.data.meter_sample import CHARACTERS, METER_CLASSES, UNREADABLE, Kind, MeterDigit, reading_of

FRACTION, DISPLAY, IGNORE = "fraction", "display", "ignore"
MEANINGS = (*METER_CLASSES, *CHARACTERS, FRACTION, DISPLAY, IGNORE)

_ILLEGIBLE = re.compile(r"illegible|unreadable|not (legible|readable)|non legible")
_ANALOG = re.compile(r"\banalog(ue)?\b|\bmechanical\b")
_DIGITAL = re.compile(r"\bdigital\b|\blcd\b")
_NONE = re.compile(r"none|no (meter|counter|display|screen)|background")
_FRACTION = re.compile(r"\bfraction(al)?\b|\bdecimals?\b|\bcomma\b")
_DISPLAY = re.compile(r"(\w+ )?(screen|display|roi)|counter|meter")
_READING = re.compile(r"(?=.*[0-9x])[0-9x]*(\.[0-9x]+)?")

_SAME_PLACE = 0.5  # of the narrower digit's width: digits that share more are in one place
_GAP = 1.75  # pitches between two digits, from which on a place between them is taken for missing
_STRIP_DIGITS = 0.3  # of the image's height, from which on digits are taken for those of a strip
_SAME_SHAPE = 0.02  # relative difference of two aspect ratios


class LabelNames:
    """What names in a source mean: classes, digits, the fraction area, the display.

    Args:
        more: further names with their meanings, one of `MEANINGS` each.
    """

    def __init__(self, more: Mapping[str, str] | None = None):
        self._more = {_plain(name): meaning for name, meaning in (more or {}).items()}
        self._seen: Counter[tuple[str, str]] = Counter()

    def meaning(self, name: str) -> str:
        """One of `MEANINGS`. Raises RowError: the name is unknown."""
        meaning = self._more.get(_plain(name)) or _known(_plain(name))
        if meaning is None:
            raise RowError("unknown label", f"{name!r}; say what it means with --label '{name}=analog', for example")
        self._seen[name, meaning] += 1
        return meaning

    def understood(self) -> Iterator[Understood]:
        """Yield the names seen so far with their meaning, if that is not the name itself."""
        for (name, meaning), count in self._seen.items():
            if name != meaning:
                yield Understood(f"{name!r} as {meaning}", count)


def add_label_argument(parser: argparse.ArgumentParser) -> None:
    """Add --label NAME=MEANING; its values, a list of pairs, are what `LabelNames` takes as a mapping."""
    text = f"meaning of a label name in the source, repeatable: {', '.join(MEANINGS)}"
    parser.add_argument("--label", action="append", type=_label, default=[], metavar="NAME=MEANING", help=text)


def _label(text: str) -> tuple[str, str]:
    name, meaning = pair(text)
    if meaning not in MEANINGS:
        raise argparse.ArgumentTypeError(f"unknown meaning {meaning!r}; known: {', '.join(MEANINGS)}")
    return name, meaning


@dataclass(frozen=True)
class DigitFound:
    """A digit as it is labelled; `quad`: float32 (4, 2), px; `confidence`: None where the source has none."""

    character: str
    quad: np.ndarray
    confidence: float | None = None


def display_corners(points: object) -> np.ndarray:
    """Corners of a display, float32 (4, 2), from a polygon clicked from the display's own top left.

    More than four points: the hull's edges that add the least area when their neighbours are prolonged go, one by one,
    until four are left; the corner nearest the first point comes first.

    Raises:
        RowError: fewer than four points, values that are not numbers, or no area.
    """
    try:
        polygon = np.array(points, np.float32).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise RowError("no polygon [[x, y], …]", repr(points)[:80]) from error
    if len(polygon) <= 4 or not np.isfinite(polygon).all():
        return as_array(quad_of_points(polygon.tolist()))
    hull = cv2.convexHull(polygon)[:, 0].astype(np.float64)
    while len(hull) > 4:
        reduced = [made for edge in range(len(hull)) if (made := _without_edge(hull, edge)) is not None]
        if not reduced:
            return as_array(quad_of_points(polygon.tolist()))
        hull = min(reduced, key=lambda made: cv2.contourArea(made.astype(np.float32)))
    if len(hull) < 4:
        return as_array(quad_of_points(polygon.tolist()))
    first = int(np.linalg.norm(hull - polygon[0], axis=1).argmin())
    return as_array(quad_of_points(np.roll(hull, -first, axis=0).tolist()))


def ordered_digits(
    found: Sequence[DigitFound], fractions: Sequence[np.ndarray], corners: np.ndarray | None
) -> tuple[tuple[MeterDigit, ...], str, int]:
    """Digits of a display as they are read, their reading, and how many were given up to overlapping ones.

    Along the display's upper edge (without `corners`, along the boxes' own), of digits in one place the one of larger
    confidence, else of larger area, stays; a gap of a digit's width becomes "x"; digits within a fraction area stand
    behind the point.

    Args:
        found: at least one digit, in any order.
        fractions: float32 (4, 2) px each, the areas behind the decimal point.
        corners: float32 (4, 2) px, the display's; None: not known.

    Raises:
        RowError: a digit of the fraction is before one of the integer part.
    """
    along = _direction([digit.quad for digit in found] if corners is None else [corners])
    places: list[DigitFound] = []
    for digit in sorted(found, key=_weight, reverse=True):
        if all(_shared(digit.quad, other.quad, along) <= _SAME_PLACE for other in places):
            places.append(digit)
    places.sort(key=lambda digit: float(digit.quad.mean(axis=0) @ along))
    digits = [
        MeterDigit(digit.character, None, _turned(digit.quad, along), _within(digit.quad, fractions, along))
        for digit in places
    ]
    digits = _with_gaps(digits, along)
    behind = [digit.fraction for digit in digits]
    if behind != sorted(behind):
        raise RowError("digits of the fraction are before the others", "".join(digit.character for digit in digits))
    return tuple(digits), reading_of(digits), len(found) - len(places)


def clean_reading(text: str, fraction_digits: int = 0) -> str:
    """Return a reading in the layout's form, its fraction padded with zeros to `fraction_digits`.

    A comma counts as the point, "X" as "x"; spaces go. Raises RowError: it is no reading.
    """
    reading = re.sub(r"\s", "", text).replace(",", ".").lower()
    if not reading:
        raise RowError("empty label")
    if not _READING.fullmatch(reading):
        raise RowError("reading is not a number", repr(text)[:60])
    whole, _, fraction = reading.partition(".")
    fraction = fraction.ljust(fraction_digits, "0")
    return f"{whole}.{fraction}" if fraction else whole


def kind_of(corners: np.ndarray | None, digits: Sequence[MeterDigit] | None, height: float) -> Kind:
    """ "strip" for an image without a display marked on it whose digits are tall, measured by its `height`."""
    tall = [np.ptp(digit.box[:, 1]) for digit in digits or () if digit.box is not None]
    return "strip" if corners is None and tall and np.median(tall) >= _STRIP_DIGITS * height else "photo"


def fitted(found: MeterFound, size: tuple[int, int]) -> tuple[np.ndarray | None, tuple[MeterDigit, ...] | None]:
    """Corners and digits of a meter in px of its image, `size`: width and height as it is seen (EXIF applied).

    Raises:
        RowError: the labels are for an image of another shape, or the display lies outside.
    """
    width, height = size
    scale = np.ones(2)
    if found.size is not None:
        scale = np.array([width / found.size[0], height / found.size[1]])
        if found.size != (1, 1) and abs(scale[0] / scale[1] - 1) > _SAME_SHAPE:
            expected = "{:g} × {:g}".format(*found.size)
            raise RowError(
                "image has another size than its labels",
                f"{width} × {height} px as it is seen (EXIF applied), labels for {expected}",
            )
    digits = found.digits
    if digits is not None:
        digits = tuple(
            replace(digit, box=None if digit.box is None else (digit.box * scale).astype(np.float32))
            for digit in digits
        )
        for digit in digits:
            if digit.box is not None and outside(tuple(digit.box.reshape(-1).tolist()), width, height):
                raise RowError("digit outside the image, or mostly so", digit.character)
    if found.kind == "strip":
        return as_array([0, 0, width, 0, width, height, 0, height]), digits
    if found.corners is None:
        return None, digits
    corners = as_array(quad_of_points((found.corners * scale).tolist()))
    if outside(tuple(corners.reshape(-1).tolist()), width, height):
        raise RowError("display outside the image, or mostly so")
    return corners, digits


def _plain(name: str) -> str:
    return re.sub(r"[\s_/-]+", " ", name).strip().casefold()


def _known(name: str) -> str | None:
    if len(name) == 1 and name in CHARACTERS:
        return name
    analog, digital = bool(_ANALOG.search(name)), bool(_DIGITAL.search(name))
    if analog != digital:
        return ("analog" if analog else "digital") + ("_illegible" if _ILLEGIBLE.search(name) else "")
    if _NONE.fullmatch(name):
        return "none"
    if name in ("?", "unknown") or _ILLEGIBLE.fullmatch(name):
        return UNREADABLE
    if _FRACTION.search(name):
        return FRACTION
    return DISPLAY if _DISPLAY.fullmatch(name) else None


def _without_edge(hull: np.ndarray, edge: int) -> np.ndarray | None:
    """Return a convex polygon with one edge removed: its neighbours are extended until they meet; None if they do
    not."""
    before, start, end, after = (hull[(edge + offset) % len(hull)] for offset in (-1, 0, 1, 2))
    ahead, back = start - before, end - after
    cross = ahead[0] * back[1] - ahead[1] * back[0]
    if abs(cross) < 1e-9:
        return None
    gap = end - start
    along = (gap[0] * back[1] - gap[1] * back[0]) / cross
    if along < 0:  # they part
        return None
    rest = [hull[(edge + offset) % len(hull)] for offset in range(2, len(hull))]
    return np.array([start + along * ahead, *rest])


def _direction(quads: Sequence[np.ndarray]) -> np.ndarray:
    """Return the (2,) unit vector along the upper edges, from left to right in reading direction."""
    edges: Any = sum(quad[1] - quad[0] + quad[2] - quad[3] for quad in quads)
    return edges / max(float(np.linalg.norm(edges)), 1e-9)


def _weight(digit: DigitFound) -> tuple[float, float]:
    return (digit.confidence or 0.0, cv2.contourArea(digit.quad))


def _span(quad: np.ndarray, along: np.ndarray) -> tuple[float, float]:
    places = quad @ along
    return float(places.min()), float(places.max())


def _shared(one: np.ndarray, other: np.ndarray, along: np.ndarray) -> float:
    """Return the share of the narrower quad's width that lies beside the other."""
    (start, end), (start2, end2) = _span(one, along), _span(other, along)
    return (min(end, end2) - max(start, start2)) / max(min(end - start, end2 - start2), 1e-9)


def _within(quad: np.ndarray, areas: Sequence[np.ndarray], along: np.ndarray) -> bool:
    centre = sum(_span(quad, along)) / 2
    return any(start <= centre <= end for start, end in (_span(area, along) for area in areas))


def _turned(quad: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the quad starting at the digit's own top left: its first edge is the one nearest the reading direction."""
    edges = np.roll(quad, -1, axis=0) - quad
    first = int(((edges @ along) / np.maximum(np.linalg.norm(edges, axis=1), 1e-9)).argmax())
    return np.roll(quad, -first, axis=0).astype(np.float32)


def _with_gaps(digits: Sequence[MeterDigit], along: np.ndarray) -> list[MeterDigit]:
    """Return the digits with an "x" for each gap between two into which another would fit."""
    if len(digits) < 3:  # a pitch cannot be estimated
        return list(digits)
    centres = np.array([sum(_span(digit.known_box, along)) / 2 for digit in digits])
    steps = np.diff(centres) / max(float(np.median(np.diff(centres))), 1e-9)
    filled = [digits[0]]
    for step, digit in zip(steps.tolist(), digits[1:], strict=True):
        missing = max(0, int(step - _GAP + 1))
        filled += [MeterDigit(UNREADABLE, fraction=filled[-1].fraction)] * missing + [digit]
    return filled
