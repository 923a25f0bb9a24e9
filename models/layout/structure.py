"""What the blocks of a page are: titles, paragraphs, lists, tables, headers, footers, page numbers.

From places and texts of lines alone, all lengths in units of the page's median line height. A table is a run of rows
one above the other of which several have cells side by side, and whose cells stand in columns.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from models.layout.reading_order import level_boxes

Kind = Literal["text", "title", "table", "list", "header", "footer", "page_number", "figure"]

_TITLE_HEIGHT, _TITLE_LENGTH, _TITLE_ROWS = 1.3, 100, 3
_LEVELS = (2.0, 1.55)  # heights of titles of the first and of the second level
_EDGE = 0.08  # share of the page's height that headers and footers stand in
_EDGE_GAP, _EDGE_ROWS = 1.0, 2
_TABLE_GAP = 2.6  # white between rows of one table
_ROW_GAP = 0.45  # less white than that, where rows have more between them: the cell's next line
_SAME_COLUMN = 0.3  # of the narrower of two cells must be one above the other
_LEAST_FILLED = 0.5  # share of a table's cells in its rows of several cells
_MOST_COLUMNS = 30
_PROSE = 0.7  # of a table's width: a single cell that is wider is a line of text
BULLET = re.compile(
    r"\s*(?:[•·▪■□○●◦‣※▶►➤✓☑☐①-⑳㉠-㉻]|(?:[–—*-]|\d{1,3}[.)]|\(\d{1,3}\)|\([가-힣a-zA-Z]\)|[가-하][.)]|[a-zA-Z][.)])\s)"
)
_PAGE_NUMBER = re.compile(
    r"[\W_]*(?:page|p\.|쪽|면)?[\W_]*\d{1,4}\s*(?:(?:/|of|-|–|중)\s*\d{1,4})?\s*(?:쪽|면)?[\W_]*", re.IGNORECASE
)


@dataclass
class Cell:
    """A cell of a table; `lines` are indices of lines, from top to bottom. It may span columns."""

    row: int
    column: int
    lines: list[int]
    column_span: int = 1


@dataclass
class Block:
    """Lines that belong together.

    Attributes:
        kind: what they are; `level` is that of a title, from 1.
        rows: indices of lines, each row from left to right.
        cells: of a table.
    """

    kind: Kind
    rows: list[list[int]]
    level: int | None = None
    cells: list[Cell] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """How many columns a table has."""
        return max((cell.column + cell.column_span for cell in self.cells), default=0)

    @property
    def lines(self) -> list[int]:
        """All lines in reading order."""
        return [line for row in self.rows for line in row]


def page_structure(
    polygons: Sequence[np.ndarray], texts: Sequence[str], blocks: Sequence[Sequence[Sequence[int]]], height: float
) -> list[Block]:
    """Return the blocks of a page with their kinds, in reading order.

    Args:
        polygons: (4, 2) a line: TL, TR, BR, BL in px of the upright page, y down.
        texts: of the lines.
        blocks: `reading_order` of the lines; lines may be missing.
        height: of the upright page, px.
    """
    if not any(row for block in blocks for row in block):
        return []
    boxes = level_boxes(np.stack(list(polygons)).astype(np.float64))
    used = [line for block in blocks for row in block for line in row]
    unit = max(1.0, float(np.median((boxes[:, 3] - boxes[:, 1])[used])))
    boxes = boxes / unit
    found = _with_tables([[list(row) for row in block if row] for block in blocks], boxes)
    for number, block in enumerate(found):
        if block.kind == "text":
            others = found[:number] + found[number + 1 :]
            block.kind, block.level = _kind(block, others, boxes, texts, height / unit)
    return found


def _with_tables(blocks: list[list[list[int]]], boxes: np.ndarray) -> list[Block]:
    """Take tables out of blocks; the rows of one table may be blocks of their own."""
    numbers = [number for number, block in enumerate(blocks) for _ in block]
    rows = [row for block in blocks for row in block]
    result: list[Block] = []
    last = -1  # the block that the last row of text was of
    position = 0
    while position < len(rows):
        end = _table_end(rows, position, boxes)
        table = _table(rows[position:end], boxes) if end - position > 1 else None
        if table is not None:
            result.append(table)
            last, position = -1, end
            continue
        number, row = numbers[position], rows[position]
        if number == last:
            result[-1].rows.append(row)
        else:
            result.append(Block("text", [row]))
        last, position = number, position + 1
    return result


def _table_end(rows: list[list[int]], start: int, boxes: np.ndarray) -> int:
    """Return where a run of rows that may be a table ends; it begins with a row of several cells."""
    if len(rows[start]) < 2:
        return start
    left, right = _extent(rows[start], boxes)
    end, bottom = start + 1, boxes[rows[start], 3].max()
    for position in range(start + 1, len(rows)):
        row = rows[position]
        row_left, row_right = _extent(row, boxes)
        gap = boxes[row, 1].min() - bottom
        shared = min(right, row_right) - max(left, row_left)
        if not -1.0 < gap <= _TABLE_GAP or shared < 0.5 * min(right - left, row_right - row_left):
            break
        if len(row) == 1 and row_right - row_left > _PROSE * (right - left):
            break
        bottom = max(bottom, boxes[row, 3].max())
        if len(row) > 1:
            end = position + 1
            left, right = min(left, row_left), max(right, row_right)
        elif gap < _ROW_GAP and position == end:
            end = position + 1  # the next line of the last cell
    return end


def _extent(row: list[int], boxes: np.ndarray) -> tuple[float, float]:
    return float(boxes[row, 0].min()), float(boxes[row, 2].max())


def _table(rows: list[list[int]], boxes: np.ndarray) -> Block | None:
    """Return the table of some rows; None if their cells stand in no columns."""
    columns = _columns(rows, boxes)
    several = [row for row in rows if len(row) > 1]
    filled = sum(len(row) for row in several) / max(1, len(several) * len(columns))
    if len(several) < 2 or not 2 <= len(columns) <= _MOST_COLUMNS or filled < _LEAST_FILLED:
        return None
    cells: list[Cell] = []
    number = -1
    gaps = [boxes[below, 1].min() - boxes[above, 3].max() for above, below in pairwise(rows)]
    usual = float(np.median(gaps))
    for place, row in enumerate(rows):
        continues = place > 0 and len(row) < len(columns) and usual > 2 * _ROW_GAP and gaps[place - 1] < _ROW_GAP
        if not continues:
            number += 1
        for line in row:
            first, last = _spanned(boxes[line], columns)
            above = [cell for cell in cells if cell.row == number and cell.column == first]
            if above:
                above[0].lines.append(line)
                above[0].column_span = max(above[0].column_span, last - first + 1)
            else:
                cells.append(Cell(number, first, [line], last - first + 1))
    return Block("table", rows, cells=sorted(cells, key=lambda cell: (cell.row, cell.column)))


def _columns(rows: list[list[int]], boxes: np.ndarray) -> list[tuple[float, float]]:
    """Return left and right of a table's columns: narrow cells one above the other; wide ones may span several."""
    columns: list[tuple[float, float]] = []
    for line in sorted((line for row in rows for line in row), key=lambda line: boxes[line, 2] - boxes[line, 0]):
        left, right = float(boxes[line, 0]), float(boxes[line, 2])
        under = [
            column
            for column in columns
            if min(right, column[1]) - max(left, column[0]) > _SAME_COLUMN * min(right - left, column[1] - column[0])
        ]
        if not under:
            columns.append((left, right))
        elif len(under) == 1:
            columns.remove(under[0])
            columns.append((min(left, under[0][0]), max(right, under[0][1])))
    columns.sort()
    # A heading on the left over numbers on the right: no row has a cell in both.
    filled = np.zeros((len(rows), len(columns)), bool)
    for row, lines in enumerate(rows):
        filled[row, [_spanned(boxes[line], columns)[0] for line in lines]] = True
    merged: list[tuple[float, float]] = []
    used = np.zeros(len(rows), bool)
    for number, (left, right) in enumerate(columns):
        if merged and not (used & filled[:, number]).any():
            merged[-1] = merged[-1][0], max(merged[-1][1], right)
            used |= filled[:, number]
        else:
            merged.append((left, right))
            used = filled[:, number].copy()
    return merged


def _spanned(box: np.ndarray, columns: list[tuple[float, float]]) -> tuple[int, int]:
    """Return the first and the last column that a cell stands in."""
    shared = [min(box[2], right) - max(box[0], left) for left, right in columns]
    under = [
        number
        for number, (part, (left, right)) in enumerate(zip(shared, columns, strict=True))
        if part > _SAME_COLUMN * min(box[2] - box[0], right - left)
    ]
    if not under:
        nearest = int(np.argmax(shared))
        return nearest, nearest
    return under[0], under[-1]


def _kind(
    block: Block, others: list[Block], boxes: np.ndarray, texts: Sequence[str], height: float
) -> tuple[Kind, int | None]:
    lines = block.lines
    text = " ".join(texts[line] for line in lines)
    top, bottom = boxes[lines, 1].min(), boxes[lines, 3].max()
    edge = "header" if bottom < _EDGE * height else "footer" if top > (1 - _EDGE) * height else None
    if edge and len(block.rows) <= _EDGE_ROWS:
        if _PAGE_NUMBER.fullmatch(text):
            return "page_number", None
        rest = [line for other in others for line in other.lines]
        if rest and _gap_to(rest, boxes, top, bottom, edge) >= _EDGE_GAP and _height(lines, boxes) < _TITLE_HEIGHT:
            return edge, None
    if (
        len(block.rows) <= _TITLE_ROWS
        and all(len(row) == 1 for row in block.rows)
        and len(text) <= _TITLE_LENGTH
        and (high := _height(lines, boxes)) >= _TITLE_HEIGHT
        and any(character.isalpha() for character in text)
    ):
        return "title", 1 + sum(high < least for least in _LEVELS)
    starts = sum(bool(BULLET.match(texts[row[0]])) for row in block.rows)
    if starts >= 2 or (starts and len(block.rows) <= 2 and BULLET.match(texts[block.rows[0][0]])):
        return "list", None
    return "text", None


def _height(lines: list[int], boxes: np.ndarray) -> float:
    return float(np.median(boxes[lines, 3] - boxes[lines, 1]))


def _gap_to(rest: list[int], boxes: np.ndarray, top: float, bottom: float, edge: str) -> float:
    """Return the white between a header or footer and the rest of the page, which must be on one side of it."""
    if edge == "header":
        below = boxes[rest, 1] > (top + bottom) / 2
        return float((boxes[rest, 1][below] - bottom).min()) if below.any() else 0.0
    above = boxes[rest, 3] < (top + bottom) / 2
    return float((top - boxes[rest, 3][above]).min()) if above.any() else 0.0
