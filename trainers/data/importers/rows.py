"""What importers yield, and the checks that every label passes."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import ExpectedError
from trainers.data.layouts import Region
from trainers.data.meter_sample import Kind, MeterClass, MeterDigit
from trainers.data.splits import Split


class ImportSourceError(ExpectedError):
    """A source that cannot be imported at all; the message names the file and the remedy."""


class RowError(Exception):
    """A row that cannot be imported.

    Attributes:
        reason: a short phrase that rows with the same fault share; they are counted by it.
        detail: what is particular to this row, or nothing.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class LeftOut:
    """A row that is not imported: `place` as `FILE:LINE`, `FILE:KEY` or `FILE:annotation ID`, and why."""

    place: str
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Skipped:
    """Rows that were not requested, for example annotations of single characters."""

    what: str
    count: int = 1


@dataclass(frozen=True)
class LineFound:
    """A line as the source has it; `image` as encoded bytes, or the path of the image file."""

    place: str
    name: str
    image: bytes | Path
    text: str
    source: str
    group: str | None = None


@dataclass(frozen=True)
class PageFound:
    """A page as the source has it. `size`: width and height in px that its labels refer to, if known."""

    place: str
    name: str
    image: bytes | Path
    regions: tuple[Region, ...]
    source: str
    group: str | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Understood:
    """How names of a source were understood, for example a class in another spelling, and how often."""

    what: str
    count: int = 1


@dataclass(frozen=True, eq=False)
class MeterFound:
    """An image of a meter as the source has it; see `trainers.data.meter_sample` for the fields.

    Attributes:
        corners: of a photo's display; a strip's are filled in.
        size: width and height of the frame that corners and boxes are given in, which may be another than the image's
            px as long as the image has this shape; (1, 1): they are shares of its width and height.
        split: where the source says it; None: the group or the name decides.
    """

    place: str
    name: str
    image: bytes | Path
    source: str
    kind: Kind
    meter_class: MeterClass | None
    corners: np.ndarray | None = None
    reading: str | None = None
    leading_zeros: bool = True
    digits: tuple[MeterDigit, ...] | None = None
    group: str | None = None
    size: tuple[float, float] | None = None
    split: Split | None = None


Row = LineFound | PageFound | MeterFound | LeftOut | Skipped | Understood

# Control and format characters (zero-width space, byte order mark …), halves of surrogate pairs, line separators.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def clean_label(text: str | None) -> str:
    """Return the label in Unicode's form NFC, without leading or trailing spaces.

    Raises:
        RowError: nothing is left, or it holds characters that cannot be seen (tabs and line breaks among them).
    """
    label = unicodedata.normalize("NFC", text or "").strip(" ")
    if not label.strip():
        raise RowError("empty label")
    for character in label:
        if unicodedata.category(character) in _INVISIBLE:
            raise RowError("control character in the label", f"U+{ord(character):04X} in {label[:60]!r}")
    return label
