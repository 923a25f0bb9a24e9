"""What the exports of text are written from: Page, Block, Line, Word, whatever engine read them.

Coordinates are pixels of the ORIGINAL page, polygons float32 (4, 2) clockwise from the text's own top-left corner,
angles degrees counter-clockwise as seen. Words are a line's text split at spaces, each where the record says; where it
does not, each has the share of the line's length that its characters take.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, groupby

import numpy as np

from models.geometry import wrap_degrees
from pipelines.exports.publish import NOT_TEXT, xml_text
from pipelines.readers.documents.record import Line as LineRecord
from pipelines.readers.documents.record import PageRecord

# A detected line's polygon reaches from ascenders to descenders; its baseline lies about this share of its height above
# the lower edge (0.2 em is the usual descent of Korean and Latin faces).
DESCENT = 0.2


@dataclass(frozen=True)
class Word:
    """A run of characters without spaces; its confidence is the line's."""

    text: str
    confidence: float
    polygon: np.ndarray


@dataclass(frozen=True)
class Line:
    """One text line."""

    words: tuple[Word, ...]
    confidence: float
    language: str
    polygon: np.ndarray
    source: str = "pixels"  # or text_layer
    row: int = 0

    @cached_property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @cached_property
    def angle(self) -> float:
        """How far the line is turned counter-clockwise, in (-180, 180]."""
        x, y = self.polygon[1] - self.polygon[0] + self.polygon[2] - self.polygon[3]
        return wrap_degrees(float(np.degrees(np.arctan2(-y, x))))

    @cached_property
    def height(self) -> float:
        """Mean length of the polygon's left and right sides, px."""
        return float(np.linalg.norm(self.polygon[[3, 2]] - self.polygon[[0, 1]], axis=1).mean())

    @cached_property
    def baseline(self) -> np.ndarray:
        """(2, 2) float32: where the baseline starts and ends."""
        return baseline(self.polygon)


@dataclass(frozen=True)
class Block:
    """Lines that belong together; `kind` and `number` are those of the record."""

    lines: tuple[Line, ...]
    kind: str = "text"
    number: int = 0

    @cached_property
    def points(self) -> np.ndarray:
        """All corners of all lines, (4 n, 2)."""
        return np.concatenate([line.polygon for line in self.lines])


@dataclass(frozen=True)
class Page:
    """One page, its record and its blocks; a failed page has no blocks and an `error`."""

    record: PageRecord
    blocks: tuple[Block, ...]

    @property
    def angle(self) -> float:
        """How far the page is turned counter-clockwise, in (-180, 180]; turning it back makes it upright."""
        return wrap_degrees(self.record.turned_degrees)

    @property
    def error(self) -> str | None:
        """What went wrong, in one line, or None."""
        if self.record.status == "ok":
            return None
        error = self.record.error
        return xml_text(f"{error.stage}: {error.type}: {error.message}") if error else "unknown error"

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the lines, None when there are none."""
        values = [line.confidence for block in self.blocks for line in block.lines]
        return sum(values) / len(values) if values else None

    def box(self, points: np.ndarray) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of `points` in whole px, within the page."""
        low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
        limit = np.array([self.record.width, self.record.height])
        (left, top), (right, bottom) = np.clip(low, 0, limit), np.clip(high, 0, limit)
        return int(left), int(top), int(right), int(bottom)


def build_page(record: PageRecord) -> Page:
    """Return the tree of one record."""
    if record.status != "ok":
        return Page(record, ())
    blocks = []
    for number, records in groupby(record.lines, key=lambda line: line.block):
        lines = tuple(line for line in map(_build_line, records) if line.words)
        if lines:
            kind = record.blocks[number].kind if number < len(record.blocks) else "text"
            blocks.append(Block(lines, kind, number))
    return Page(record, tuple(blocks))


def baseline(polygon: np.ndarray) -> np.ndarray:
    """Start and end of the baseline of a text polygon, (2, 2)."""
    return polygon[[3, 2]] + DESCENT * (polygon[[0, 1]] - polygon[[3, 2]])


def _build_line(line: LineRecord) -> Line:
    polygon = np.asarray(line.polygon, np.float32)
    text = NOT_TEXT.sub("", line.text)
    matches = list(re.finditer(r"\S+", text))
    if len(line.words) == len(matches):
        shares = np.array(line.words).reshape(-1, 2)
    else:
        ends = [0.0, *accumulate(_advance(character) for character in text)]
        places = [(ends[match.start()], ends[match.end()]) for match in matches]
        shares = np.array(places).reshape(-1, 2) / (ends[-1] or 1)
    words = tuple(
        Word(match.group(), line.confidence, part)
        for match, part in zip(matches, _slices(polygon, shares), strict=True)
    )
    return Line(words, line.confidence, line.language, polygon, line.source, line.row)


@lru_cache(maxsize=20_000)
def _advance(character: str) -> float:
    """Return a character's usual width, relative to other characters."""
    if character.isspace():
        return 0.7
    if unicodedata.combining(character):
        return 0.0
    return 2.0 if unicodedata.east_asian_width(character) in "WF" else 1.1


def _slices(polygon: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the parts of a text polygon between shares (n, 2), 0..1, of its length: (n, 4, 2) float32."""
    start, end = shares[:, :1], shares[:, 1:]
    top_left, top_right, bottom_right, bottom_left = polygon
    top, bottom = top_right - top_left, bottom_right - bottom_left
    corners = [top_left + start * top, top_left + end * top, bottom_left + end * bottom, bottom_left + start * bottom]
    return np.stack(corners, axis=1).astype(np.float32)
