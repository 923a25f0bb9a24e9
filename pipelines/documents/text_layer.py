"""The text that a PDF page holds as text: its lines with their places, read with PDFium in milliseconds.

Places are in pixels of the page as `render_pdf_page` draws it, so that both can be used together.
"""

import ctypes
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pypdfium2 as pdfium
from pypdfium2 import raw

from models.geometry import rounded
from pipelines.documents.limits import Limits
from pipelines.documents.pdf import opened_page, page_scale
from pipelines.documents.pdf_pictures import unread_places
from pipelines.documents.pdf_space import PageSpace
from pipelines.documents.text_soundness import doubt_about, problem_of

# In em of the smaller of two characters.
_SAME_BASELINE = 0.55  # a superscript is still in its line
_ONE_BASELINE = 0.3  # parts of a line that are drawn apart
_WORD_GAP = 0.25
_COLUMN_GAP, _COLUMN_GAP_BEHIND_SPACE = 1.0, 2.2  # justified lines have wide spaces
_BACK = -0.4
_ASCENT, _DESCENT = 0.82, 0.22  # of the usual faces: a line's polygon reaches so far from its baseline
_SCAN = 0.5  # share of the page; a picture larger than that may be a scan, which is turned in any way
_MOST_CHARACTERS = 100_000  # a newspaper's page has some 30,000
_INVISIBLE = 3
_NEARLY_WHITE = 245
_GLANCE_DPI, _LEAST_CONTRAST = 100, 20
_HYPHEN = "\x02"  # what PDFium makes of a hyphen at the end of a line


@dataclass
class LayerLine:
    """A line of text.

    Attributes:
        text: its words, with single spaces between them.
        polygon: 4 corners [x, y] in px, clockwise from the text's own top left.
        words: where each word begins and ends, as shares of the line's length.
    """

    text: str
    polygon: list[list[float]]
    words: list[list[float]]


@dataclass
class TextLayer:
    """The text of a page.

    Attributes:
        lines: in the order of the page's content.
        width, height, dpi: of the page as it is rendered, px.
        turned: quarter turn of most of the text, degrees counter-clockwise.
        unread: left, top, right, bottom, in px, of what shows something that is not in the text: pictures, form fields.
        problem: why the text cannot be used; empty if it can.
        doubt: why the text has to be compared with the picture; empty if that is not needed.
    """

    lines: list[LayerLine] = field(default_factory=list)
    width: int = 0
    height: int = 0
    dpi: float | None = None
    turned: int = 0
    unread: list[list[float]] = field(default_factory=list)
    problem: str = ""
    doubt: str = ""

    @property
    def look(self) -> Literal["nothing", "places", "page"]:
        """What of the page's picture has to be read, too."""
        if self.doubt:
            return "page"
        if not self.unread:
            return "nothing"
        area = sum((right - left) * (bottom - top) for left, top, right, bottom in self.unread)
        return "page" if area >= _SCAN * self.width * self.height else "places"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TextLayer":
        """Return the layer that `dataclasses.asdict` made `values` of."""
        lines = [LayerLine(**line) for line in values["lines"]]
        return cls(**{name: value for name, value in values.items() if name != "lines"}, lines=lines)


def read_text_layer(content: bytes, uri: str, page_number: int, limits: Limits) -> TextLayer:
    """Return the text layer of a PDF page; without lines, if it has none.

    Raises:
        EncryptedDocument, UnreadableDocument, PageNotFound.
    """
    with opened_page(content, uri, page_number, limits.passwords) as page:
        scale = page_scale(page, limits)
        width, height = page.get_size()
        layer = TextLayer(width=math.ceil(width * scale), height=math.ceil(height * scale), dpi=round(scale * 72, 2))
        space = PageSpace(page, scale)
        characters = _Characters(page, space)
        if characters.count > _MOST_CHARACTERS:
            layer.problem = f"it has {characters.count:,} characters, more than a page can show"
            return layer
        if not characters.runs:
            return layer
        segments = _joined([segment for run in characters.runs for segment in run.segments()])
        segments = _without_hidden(segments, page, layer.width)
        layer.lines = [line for segment in segments if _is_inside(line := segment.line(), layer)]
        if not layer.lines:
            return layer
        layer.turned = _most_common_turn(segments)
        text = "\n".join(line.text for line in layer.lines)
        layer.problem = problem_of(text, characters.unmapped, characters.count)
        layer.doubt = "it is invisible: an earlier OCR" if characters.mostly_invisible else doubt_about(text)
        if not layer.doubt:
            layer.unread = unread_places(page, space, [_box(line.polygon) for line in layer.lines])
        return layer


@dataclass
class _Character:
    text: str
    start: float  # along the line's direction, px
    end: float
    baseline: float  # across it
    drawn: bool  # no space


@dataclass
class _Run:
    """Characters that follow each other in one direction and size."""

    direction: tuple[float, float]  # px, y down
    em: float
    characters: list[_Character] = field(default_factory=list)
    may_be_hidden: bool = False

    def segments(self) -> "list[_Segment]":
        """Split at line ends, and at gaps that separate columns."""
        parts: list[_Segment] = []
        last: _Character | None = None
        spaced = 0  # 1: PDFium has seen a gap, 2: the page has a space
        for character in self.characters:
            if not character.drawn:
                spaced = max(spaced, 2 if character.end > character.start else 1)
                continue
            new = last is None
            if last is not None:
                gap = (character.start - last.end) / self.em
                limit = _COLUMN_GAP_BEHIND_SPACE if spaced == 2 else _COLUMN_GAP
                off = abs(character.baseline - last.baseline) / self.em
                new = off > _SAME_BASELINE or gap > limit or character.start - last.start < _BACK * self.em
                spaced = spaced or gap > _WORD_GAP
            if new:
                parts.append(_Segment(self.direction, self.em, may_be_hidden=self.may_be_hidden))
            parts[-1].add(character, not new and bool(spaced))
            last, spaced = character, 0
        return parts


@dataclass
class _Segment:
    """A part of a line without wide gaps: words as (text, start, end)."""

    direction: tuple[float, float]
    em: float
    words: list[tuple[str, float, float]] = field(default_factory=list)
    may_be_hidden: bool = False
    baseline: float = 0.0
    _count: int = 0

    def add(self, character: _Character, spaced: bool) -> None:
        if spaced or not self.words:
            self.words.append((character.text, character.start, character.end))
        else:
            text, start, end = self.words[-1]
            self.words[-1] = text + character.text, min(start, character.start), max(end, character.end)
        self._count += 1
        self.baseline += (character.baseline - self.baseline) / self._count

    def join(self, other: "_Segment", spaced: bool) -> None:
        """Add a part that follows."""
        words = list(other.words)
        if not spaced:
            (text, start, end), (more, _, other_end) = self.words.pop(), words.pop(0)
            self.words.append((text + more, start, max(end, other_end)))
        self.words += words
        self.em = max(self.em, other.em)

    @property
    def start(self) -> float:
        return self.words[0][1]

    @property
    def end(self) -> float:
        return max(end for _, _, end in self.words)

    def line(self) -> LayerLine:
        along = np.array(self.direction)
        across = np.array([-along[1], along[0]])  # down, as the text is read
        start, end = self.start, max(self.end, self.start + 0.1 * self.em)
        top, bottom = self.baseline - _ASCENT * self.em, self.baseline + _DESCENT * self.em
        corners = [along * a + across * b for a, b in ((start, top), (end, top), (end, bottom), (start, bottom))]
        spans = [
            [round(max(0.0, (first - start) / (end - start)), 4), round(min(1.0, (last - start) / (end - start)), 4)]
            for _, first, last in self.words
        ]
        return LayerLine(" ".join(text for text, _, _ in self.words), rounded(np.array(corners)), spans)


class _Characters:
    """The characters of a page in runs."""

    def __init__(self, page: pdfium.PdfPage, space: PageSpace):
        self.runs: list[_Run] = []
        self.count = self.unmapped = 0
        self._invisible = 0
        text_page = page.get_textpage()
        try:
            count = text_page.count_chars()
            if count > _MOST_CHARACTERS:
                self.count = count
            else:
                self._read(text_page.raw, count, space)
        finally:
            text_page.close()

    @property
    def mostly_invisible(self) -> bool:
        return self._invisible > self.count / 2

    def _read(self, text_page: Any, count: int, space: PageSpace) -> None:
        matrix, box = raw.FS_MATRIX(), raw.FS_RECTF()
        x, y = ctypes.c_double(), ctypes.c_double()
        current = None
        invisible = False
        high = 0
        for index in range(count):
            code = raw.FPDFText_GetUnicode(text_page, index)
            if 0xD800 <= code < 0xDC00:
                high = code
                continue
            if 0xDC00 <= code < 0xE000 and high:
                code, high = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00), 0
            character = "-" if chr(code) == _HYPHEN else chr(code)
            drawn = not (character.isspace() or code == 0)
            if not drawn and raw.FPDFText_IsGenerated(text_page, index):
                # Line ends are found by places: PDFium ends lines after each character of text that runs up or down.
                if self.runs and character == " ":
                    self.runs[-1].characters.append(_Character(" ", 0, 0, 0, False))
                continue
            handle = raw.FPDFText_GetTextObject(text_page, index)
            if handle and (address := ctypes.addressof(handle.contents)) != current:
                current = address
                raw.FPDFText_GetMatrix(text_page, index, matrix)
                size = raw.FPDFText_GetFontSize(text_page, index)
                run = _run(matrix, size, space)
                run.may_be_hidden = _may_be_hidden(handle)
                invisible = raw.FPDFTextObj_GetTextRenderMode(handle) == _INVISIBLE
                if not self.runs or not _is_same(self.runs[-1], run):
                    self.runs.append(run)
            if not self.runs or not raw.FPDFText_GetCharOrigin(text_page, index, x, y):
                continue
            run = self.runs[-1]
            raw.FPDFText_GetLooseCharBox(text_page, index, box)
            run.characters.append(_placed(character, drawn, (x.value, y.value), box, run, space))
            if drawn:
                self.count += 1
                self._invisible += invisible
                self.unmapped += raw.FPDFText_HasUnicodeMapError(text_page, index) == 1


def _run(matrix: raw.FS_MATRIX, size: float, space: PageSpace) -> _Run:
    x, y = space.vector(matrix.a, matrix.b)
    length = math.hypot(x, y) or 1.0
    up = math.hypot(*space.vector(matrix.c, matrix.d)) or length
    x, y = round(x / length, 4), round(y / length, 4)
    return _Run((x, y), max(0.1, abs(size) * up))


def _may_be_hidden(text_object: Any) -> bool:
    """Whether text belongs to a group that can be switched off, or is nearly white."""
    name, length = (raw.FPDF_WCHAR * 8)(), ctypes.c_ulong()
    for index in range(raw.FPDFPageObj_CountMarks(text_object)):
        mark = raw.FPDFPageObj_GetMark(text_object, index)
        raw.FPDFPageObjMark_GetName(mark, name, ctypes.sizeof(name), length)
        if bytes(name)[: length.value].decode("utf-16-le", "replace").rstrip("\0") == "OC":
            return True
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFPageObj_GetFillColor(text_object, red, green, blue, alpha)
    return min(red.value, green.value, blue.value) >= _NEARLY_WHITE or alpha.value == 0


def _without_hidden(segments: list[_Segment], page: pdfium.PdfPage, width: int) -> list[_Segment]:
    """Leave out, of text that may be hidden, what is not seen on the page, which is `width` px wide."""
    if not any(segment.may_be_hidden for segment in segments):
        return segments
    bitmap = page.render(scale=_GLANCE_DPI / 72, grayscale=True)  # pyright: ignore[reportArgumentType] - typed int
    try:
        shown = bitmap.to_numpy().reshape(bitmap.height, bitmap.width, -1)[:, :, 0].copy()
    finally:
        bitmap.close()
    scale = shown.shape[1] / max(1, width)

    def is_seen(segment: _Segment) -> bool:
        left, top, right, bottom = (max(0, int(value * scale)) for value in _box(segment.line().polygon))
        place = shown[top : bottom + 1, left : right + 1]
        return place.size > 0 and int(place.max()) - int(place.min()) >= _LEAST_CONTRAST

    return [segment for segment in segments if not segment.may_be_hidden or is_seen(segment)]


def _is_same(run: _Run, other: _Run) -> bool:
    """Whether characters of both can be in one line: sub- and superscripts are smaller."""
    turned = abs(run.direction[0] * other.direction[1] - run.direction[1] * other.direction[0])
    if run.may_be_hidden != other.may_be_hidden:
        return False
    forward = run.direction[0] * other.direction[0] + run.direction[1] * other.direction[1] > 0
    return forward and turned < 0.02 and 0.5 < run.em / other.em < 2.0


def _placed(
    text: str, drawn: bool, origin: tuple[float, float], box: raw.FS_RECTF, run: _Run, space: PageSpace
) -> _Character:
    x, y = space.point(*origin)
    across, down = run.direction
    start, baseline = x * across + y * down, y * across - x * down
    if abs(across * down) < 0.01:
        corners = (space.point(box.left, box.bottom), space.point(box.right, box.top))
        ends = [px * across + py * down for px, py in corners]
        start, end = min(start, *ends) if not drawn else min(ends), max(ends)
    else:
        end = start + run.em  # at most; words are told apart by their spaces
    return _Character(text, start, max(start, end), baseline, drawn)


def _joined(segments: list[_Segment]) -> list[_Segment]:
    """Join parts of one line that follow each other on the page, not in its content: a word in bold, say."""
    rows: list[list[_Segment]] = []
    for part in sorted(segments, key=lambda part: (part.direction, part.baseline)):
        first = rows[-1][0] if rows else None
        if (
            first is not None
            and first.direction == part.direction
            and part.baseline - first.baseline < _ONE_BASELINE * min(first.em, part.em)
        ):
            rows[-1].append(part)
        else:
            rows.append([part])
    joined: list[_Segment] = []
    for row in rows:
        row.sort(key=lambda part: part.start)
        whole = row[:1]
        for part in row[1:]:
            last = whole[-1]
            gap = (part.start - last.end) / min(last.em, part.em)
            if _BACK < gap < _COLUMN_GAP and 0.5 < last.em / part.em < 2.0:
                last.join(part, spaced=gap > _WORD_GAP)
            else:
                whole.append(part)
        joined += whole
    place = {id(part): number for number, part in enumerate(segments)}
    return sorted(joined, key=lambda part: place[id(part)])


def _most_common_turn(segments: list[_Segment]) -> int:
    turns: Counter[int] = Counter()
    for segment in segments:
        x, y = segment.direction
        degrees = round(math.degrees(math.atan2(-y, x)) / 90) * 90 % 360
        turns[degrees] += sum(len(text) for text, _, _ in segment.words)
    return turns.most_common(1)[0][0] if turns else 0


def _box(polygon: list[list[float]]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def _is_inside(line: LayerLine, layer: TextLayer) -> bool:
    """Whether the middle of a line is on the page: what is cropped away is not read from pixels either."""
    left, top, right, bottom = _box(line.polygon)
    return 0 <= (left + right) / 2 <= layer.width and 0 <= (top + bottom) / 2 <= layer.height
