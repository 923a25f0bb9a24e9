"""Lines of a page into its record: in reading order, by block, row and column, with tables and text."""

from collections.abc import Sequence

import numpy as np

from models.geometry import bounding_box, box_corners, invert_affine, rounded, transform_points, turn_matrix
from models.layout.structure import Block, page_structure
from pipelines.readers.documents.record import Block as BlockRecord
from pipelines.readers.documents.record import Cell, Line, PageRecord, Table


def upright_map(record: PageRecord) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the 2 x 3 map from pixels of a page to those of the whole page upright, and its width and height."""
    return turn_matrix(record.width, record.height, -record.turned_degrees)


def lay_out(record: PageRecord, lines: Sequence[Line], blocks: Sequence[Sequence[Sequence[int]]]) -> None:
    """Set a record's lines, blocks, tables and text.

    Args:
        lines: of the page; those without text are left out.
        blocks: `reading_order` of the lines, as rows of indices.
    """
    matrix, (_, height) = upright_map(record)
    kept = [[[line for line in row if lines[line].text.strip()] for row in block] for block in blocks]
    upright = [transform_points(matrix, np.array(line.polygon, np.float32)) for line in lines]
    found = page_structure(upright, [line.text for line in lines], kept, height)
    record.lines, record.blocks, record.tables = [], [], []
    texts = []
    for number, block in enumerate(found):
        record.blocks.append(BlockRecord(kind=block.kind, level=block.level))
        for line, row, column in _places(block):
            lines[line].block, lines[line].row, lines[line].column = number, row, column
            record.lines.append(lines[line])
        if block.kind == "table":
            table = _table(block, number, lines, upright, matrix)
            record.tables.append(table)
            texts.append(table.text)
        else:
            texts.append("\n".join("\t".join(lines[line].text for line in row) for row in block.rows))
    record.text = "\n\n".join(texts)


def _places(block: Block) -> list[tuple[int, int, int]]:
    """Return (line, row, column) of a block's lines in reading order."""
    if block.kind == "table":
        return [(line, cell.row, cell.column) for cell in block.cells for line in cell.lines]
    return [(line, number, column) for number, row in enumerate(block.rows) for column, line in enumerate(row)]


def _table(
    block: Block, number: int, lines: Sequence[Line], upright: Sequence[np.ndarray], matrix: np.ndarray
) -> Table:
    back = invert_affine(matrix)
    cells = []
    for cell in block.cells:
        corners = box_corners(*bounding_box(np.concatenate([upright[line] for line in cell.lines])))
        cells.append(
            Cell(
                row=cell.row,
                column=cell.column,
                row_span=1,
                column_span=cell.column_span,
                text="\n".join(lines[line].text for line in cell.lines),
                polygon=rounded(transform_points(back, corners)),
            )
        )
    return Table(block=number, rows=1 + max(cell.row for cell in cells), columns=block.columns, cells=cells)
