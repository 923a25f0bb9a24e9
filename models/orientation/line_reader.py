"""Second look at a page of doubtful orientation: a few of its lines are read as they are and upside down.

A text recogniser is sure of its characters only the right way up, and has seen far more glyphs than the orientation
network. Scripts it cannot read leave it unsure both ways; then it has no say.
"""

from typing import NamedTuple

import cv2
import numpy as np

from models.orientation.preprocess import BACKGROUND_WINDOW, INK, crop_to_content, dark_print
from models.page_contrast import local_contrast
from models.text_recognition.predictor import TextRecognizer

LINES = 6
LINE_HEIGHTS = (7, 70)  # px
LINE_ASPECT = (3, 9)  # a shorter piece is no line; of a longer one only the beginning is read
_INK_SHARE = (0.15, 0.85)  # of the joined marks; less is dust, more a rule, a bar or a photo
_FILLED = 0.35  # share of its band that a line fills once its letters are joined
_JOIN = 21  # px between letters that still belong to one line
_THINNEST = 4  # px; joined marks less high are rules
MIN_CONFIDENCE = 0.7  # mean confidence of the better reading from which it counts; English comes to 0.77 and more
MIN_CHARACTERS = 8  # read in all; scratches and drawings read as a few strokes, with any confidence
MIN_LEAD = 0.1  # by which it must be better than the other; English leads by 0.19 and more


class LineReading(NamedTuple):
    """Evidence of lines: whether they are upright, the mean confidence (0..1) of the better direction, and how many
    characters it gave (weighted by confidence)."""

    upright: bool
    confidence: float
    characters: float


class LineReader:
    """Decides whether a level page is upright or upside down.

    Args:
        device: see `models.runtime.Network`.
        threads: CPU threads a call uses.
        precision: see `models.runtime.Network`.
    """

    def __init__(self, device: str = "cpu", threads: int = 1, precision: str = "auto"):
        self.recognizer = TextRecognizer(device=device, threads=threads, precision=precision, calibrated=False)

    def read(self, image: np.ndarray) -> LineReading | None:
        """Read lines of a uint8 page (grey or RGB) whose lines are level; None if they give no evidence."""
        lines = text_lines(crop_to_content(dark_print(image)))
        if not lines:
            return None
        as_is = self._read(lines)
        turned = self._read([np.ascontiguousarray(line[::-1, ::-1]) for line in lines])
        better = max(as_is, turned)
        if better[0] < MIN_CONFIDENCE or better[1] < MIN_CHARACTERS or abs(as_is[0] - turned[0]) < MIN_LEAD:
            return None
        return LineReading(as_is[0] > turned[0], *better)

    def _read(self, lines: list[np.ndarray]) -> tuple[float, float]:
        texts = self.recognizer(lines)
        characters = sum(text.confidence * len(text.text) for text in texts)
        return float(np.mean([text.confidence for text in texts])), float(characters)


def text_lines(grey: np.ndarray) -> list[np.ndarray]:
    """Up to `LINES` (h, w) crops of the text lines of a page, each levelled separately, the longest first (for their
    height). Lines may be a few degrees off level."""
    ink = (local_contrast(grey, BACKGROUND_WINDOW) > INK).astype(np.uint8)
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, _JOIN), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((_THINNEST, 1), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
    lines = []
    for label, (x, y, width, height, area) in enumerate(boxes.tolist()):
        if label == 0 or width < LINE_ASPECT[0] * LINE_HEIGHTS[0] or height < LINE_HEIGHTS[0]:
            continue
        inside = labels[y : y + height, x : x + width] == label
        share = float(ink[y : y + height, x : x + width][inside].mean())
        line = _levelled(inside)
        aspect = line.width / line.height
        if (
            LINE_HEIGHTS[0] <= line.height <= LINE_HEIGHTS[1]
            and aspect >= LINE_ASPECT[0]
            and area >= _FILLED * line.width * line.height
            and _INK_SHARE[0] < share < _INK_SHARE[1]
        ):
            lines.append((min(aspect, LINE_ASPECT[1]), x, y, line))
    lines.sort(key=lambda line: -line[0])
    return [_crop(grey, x, y, line) for _, x, y, line in lines[:LINES]]


class _Line(NamedTuple):
    slope: float  # of the line's middle, px down a px to the right
    top: float  # px above the middle at x = 0, both relative to the box
    width: int
    height: float


def _levelled(inside: np.ndarray) -> _Line:
    """Return the horizontal band that contains a component (h, w) bool."""
    rows, columns = np.nonzero(inside)
    x, y = columns - columns.mean(), rows - rows.mean()
    spread = float((x * x).sum())
    slope = float((x * y).sum()) / spread if spread else 0.0
    across = rows - slope * columns
    top, bottom = np.quantile(across, (0.01, 0.99))
    return _Line(slope, float(top), inside.shape[1], float(bottom - top) + 1)


def _crop(grey: np.ndarray, x: int, y: int, line: _Line) -> np.ndarray:
    """Return the beginning of a line whose box starts at (x, y), sheared level, with a margin for ascenders and
    descenders."""
    margin = max(3.0, 0.3 * line.height)
    size = (round(min(line.width, LINE_ASPECT[1] * line.height) + 2 * margin), round(line.height + 2 * margin))
    # From crop to page: columns move along, rows follow the slope.
    matrix = np.array([[1, 0, x - margin], [line.slope, 1, y + line.top - margin - line.slope * margin]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grey, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
