"""Reading order of a page's text lines: rows, columns, blocks.

The rule, in four steps, all lengths in units of the page's median line height:

1. *Level*: the median direction of the lines is turned out, so slight skew does not matter.
2. *Rows*: lines beside each other are one row (a table's cells, a receipt's item and price), unless one
   is running text and the other stands in another column: it is running text too, or as wide, or stands under or over
   other running text.
3. *Cuts*: recursive XY-cut (Nagy and Seth, 1984). A white corridor from top to bottom separates columns, read left to
   right. Where there is none, the page is cut across into the tallest bands that have one, read top to bottom.
4. *Blocks*: rows that follow each other closely in one column are a block.
"""

from dataclasses import dataclass

import numpy as np

_SAME_ROW = 0.5  # of the lower line's height must overlap for two lines to be in one row
_PROSE_WIDTH = 9.0  # running text has lines at least this wide,
_PROSE_LINES = 3  # and at least this many of them in one column
_CORRIDOR = 0.8  # narrowest white corridor between columns
_BLOCK_GAP = 0.9  # white above a row that starts a new block
_LINE_GAP = 1.2  # largest white between the lines of one paragraph


@dataclass(frozen=True, slots=True)
class _Row:
    lines: tuple[int, ...]
    left: float
    top: float
    right: float
    bottom: float


def reading_order(polygons: list[np.ndarray]) -> list[list[list[int]]]:
    """Order text lines as a person reads them.

    Args:
        polygons: (4, 2) a line: TL, TR, BR, BL in px, y down.

    Returns:
        Blocks of rows of indices into `polygons`: every index once; a row's lines from left to right.
    """
    if not polygons:
        return []
    boxes = level_boxes(np.stack(polygons).astype(np.float64))
    unit = max(1.0, float(np.median(boxes[:, 3] - boxes[:, 1])))
    boxes /= unit
    ordered: list[list[_Row]] = []
    _cut(_rows(boxes), ordered)
    return [[list(row.lines) for row in block] for column in ordered for block in _blocks(column)]


def level_boxes(quads: np.ndarray) -> np.ndarray:
    """Boxes (N, 4: left, top, right, bottom) of (N, 4, 2) quadrilaterals after their median slope is turned out."""
    across = quads[:, 1] - quads[:, 0] + quads[:, 2] - quads[:, 3]
    wide = across[np.linalg.norm(across, axis=1) >= np.median(np.linalg.norm(across, axis=1))]
    angle = float(np.median(np.arctan2(wide[:, 1], wide[:, 0])))
    cos, sin = np.cos(angle), np.sin(angle)
    turned = quads @ np.array([[cos, -sin], [sin, cos]])
    # The mean of the two ends rather than the extremes: a line with its own small slope keeps its height.
    left, right = turned[:, [0, 3], 0].mean(axis=1), turned[:, [1, 2], 0].mean(axis=1)
    top, bottom = turned[:, [0, 1], 1].mean(axis=1), turned[:, [2, 3], 1].mean(axis=1)
    first, last = np.column_stack([left, top]), np.column_stack([right, bottom])
    return np.hstack([np.minimum(first, last), np.maximum(first, last)])


def _rows(boxes: np.ndarray) -> list[_Row]:
    """Join lines beside each other, except running text."""
    columns = _Columns(boxes)
    rows: list[list[int]] = []
    for index in np.lexsort((boxes[:, 0], boxes[:, 1])).tolist():
        # Lines come from top to bottom: rows far above cannot match. The last line of a row is nearest and mostly
        # decides; a row may have thousands (a halftone's dots).
        recent = rows[-40:]
        near = _beside(boxes[index], boxes[np.array([row[-1] for row in recent], int)])
        for row in (recent[place] for place in np.flatnonzero(near)[::-1]):
            if _beside(boxes[index], boxes[row]).all() and not columns.separate(index, row):
                row.append(index)
                break
        else:
            rows.append([index])
    joined = []
    for row in rows:
        row.sort(key=lambda index: boxes[index, 0])
        members = boxes[row]
        # Boxes of neighbouring lines often overlap a little: only their middle half counts for cuts.
        quarter = (members[:, 3] - members[:, 1]) / 4
        joined.append(
            _Row(
                tuple(row),
                float(members[:, 0].min()),
                float((members[:, 1] + quarter).min()),
                float(members[:, 2].max()),
                float((members[:, 3] - quarter).max()),
            )
        )
    return joined


def _beside(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which of the others (N, 4) are beside a box (4,): bool (N,)."""
    overlap = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    apart = np.maximum(box[0], others[:, 0]) - np.minimum(box[2], others[:, 2])
    lower = np.minimum(box[3] - box[1], others[:, 3] - others[:, 1])
    return (overlap >= _SAME_ROW * lower) & (apart > -0.5)


class _Columns:
    """The columns of running text on a page, from boxes (N, 4)."""

    def __init__(self, boxes: np.ndarray):
        self.column = _running_text(boxes)  # of each line, or -1
        self.wide = boxes[:, 2] - boxes[:, 0] >= _PROSE_WIDTH
        labels = np.unique(self.column[self.column >= 0])
        self.extents = {
            label: (boxes[self.column == label, 0].min(), boxes[self.column == label, 2].max()) for label in labels
        }
        self.boxes = boxes

    def separate(self, line: int, row: list[int]) -> bool:
        """Return whether a line beside those of a row is of another column."""
        return any(self._apart(line, other) or self._apart(other, line) for other in row)

    def _apart(self, line: int, other: int) -> bool:
        """Return whether a line is running text, and the other one of another column."""
        if self.column[line] < 0:
            return False
        if self.column[other] >= 0 or self.wide[other]:
            return True
        left, right = self.extents[self.column[line]]
        return any(
            (start >= right or end <= left)
            and start - 0.5 <= self.boxes[other, 0]
            and self.boxes[other, 2] <= end + 0.5
            for start, end in self.extents.values()
        )


def _running_text(boxes: np.ndarray) -> np.ndarray:
    """Return the column of running text that each line belongs to, or -1: stacked lines, mostly wide, with short ones
    among them."""
    count = len(boxes)
    column = np.arange(count)
    order = np.argsort(boxes[:, 1])
    for position, upper in enumerate(order):
        below = order[position + 1 :]
        gap = boxes[below, 1] - boxes[upper, 3]
        shared = np.minimum(boxes[below, 2], boxes[upper, 2]) - np.maximum(boxes[below, 0], boxes[upper, 0])
        narrower = np.minimum(boxes[below, 2] - boxes[below, 0], boxes[upper, 2] - boxes[upper, 0])
        next_lines = below[(gap < _LINE_GAP) & (gap > -0.6) & (shared >= 0.5 * narrower)]
        next_lines = next_lines[~_under_another(boxes[next_lines])]
        if len(next_lines) == 1:
            # A line over two others (a heading over columns) belongs to neither.
            column[column == column[next_lines[0]]] = column[upper]
    widths = boxes[:, 2] - boxes[:, 0]
    for label in np.unique(column):
        members = column == label
        if members.sum() < _PROSE_LINES or np.median(widths[members]) < _PROSE_WIDTH:
            column[members] = -1
    return column


def _under_another(boxes: np.ndarray) -> np.ndarray:
    """Return which of some boxes (N, 4) lie under another one of them: where lines are set tightly, the line after the
    next is near enough to be the next."""
    shared = np.minimum(boxes[:, None, 2], boxes[None, :, 2]) - np.maximum(boxes[:, None, 0], boxes[None, :, 0])
    widths = boxes[:, 2] - boxes[:, 0]
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    lower = boxes[:, None, 1] > middles[None, :]
    return np.any(lower & (shared >= 0.5 * np.minimum(widths[:, None], widths[None, :])), axis=1)


def _cut(rows: list[_Row], ordered: list[list[_Row]]) -> None:
    """Append the columns of `rows` to `ordered`, each a list of rows from top to bottom."""
    columns = _columns(rows)
    if len(columns) > 1:
        for column in columns:
            _cut(column, ordered)
        return
    bands = _bands(rows)
    if len(bands) == 1:
        ordered.append(sorted(rows, key=lambda row: (row.top, row.left)))
        return
    plain: list[_Row] = []
    for band in bands:
        if len(_columns(band)) == 1:
            plain += sorted(band, key=lambda row: (row.top, row.left))
            continue
        if plain:
            ordered.append(plain)
            plain = []
        _cut(band, ordered)
    if plain:
        ordered.append(plain)


def _columns(rows: list[_Row]) -> list[list[_Row]]:
    """Split rows at every white corridor that runs through all of them, left to right."""
    columns: list[list[_Row]] = []
    right = -np.inf
    for row in sorted(rows, key=lambda row: row.left):
        if row.left - right >= _CORRIDOR:
            columns.append([])
        columns[-1].append(row)
        right = max(right, row.right)
    return columns


def _bands(rows: list[_Row]) -> list[list[_Row]]:
    """Split rows across, top to bottom, into the tallest bands that keep a white corridor."""
    slices: list[list[_Row]] = []
    bottom = -np.inf
    for row in sorted(rows, key=lambda row: row.top):
        if row.top >= bottom:
            slices.append([])
        slices[-1].append(row)
        bottom = max(bottom, row.bottom)
    bands = [slices[0]]
    for part in slices[1:]:
        if len(_columns(bands[-1] + part)) > 1:
            bands[-1] = bands[-1] + part
        else:
            bands.append(part)
    return bands


def _blocks(column: list[_Row]) -> list[list[_Row]]:
    """Split a column's rows where the white between them is wider than between the lines of a paragraph."""
    blocks = [[column[0]]]
    for row in column[1:]:
        above = blocks[-1][-1]
        # Tops and bottoms are those of the middle half: the white of touching lines is about half a line already.
        if row.top - above.bottom > _BLOCK_GAP + 0.5 or row.left > above.right or row.right < above.left:
            blocks.append([])
        blocks[-1].append(row)
    return blocks
