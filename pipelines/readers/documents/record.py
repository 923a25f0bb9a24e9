"""What the documents reader finds on a page."""

from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field

from pipelines.records import BaseRecord, Models, Record, Timings


class Line(Record):
    """One text line, in reading order within its page."""

    text: str
    confidence: float = Field(ge=0, le=1)
    polygon: list[list[float]] = Field(description="4 corners [x, y], clockwise from the text's top left")
    language: str
    words: list[list[float]] = Field(
        default_factory=list,
        description="where each word of the text begins and ends, as shares of the line's length; empty if unknown",
    )
    source: Literal["pixels", "text_layer"] = "pixels"
    block: int = Field(default=0, ge=0, description="number of its block in the page's `blocks`")
    row: int = Field(default=0, ge=0, description="of its block; lines side by side are one row")
    column: int = Field(default=0, ge=0, description="of a table; in other blocks its place in the row")


class Block(Record):
    """What some of a page's lines are together."""

    # As `models.layout.structure.Kind`, which clients, who need this record alone, do not import.
    kind: Literal["text", "title", "table", "list", "header", "footer", "page_number", "figure"] = "text"
    level: int | None = Field(default=None, description="of a title, from 1")


class Cell(Record):
    """A cell of a table that has text; all others are empty."""

    row: int = Field(ge=0)
    column: int = Field(ge=0)
    row_span: int = Field(default=1, ge=1)
    column_span: int = Field(default=1, ge=1)
    text: str = Field(description="the lines of the cell, a newline between them")
    polygon: list[list[float]] = Field(description="4 corners [x, y] around its lines, clockwise from its top left")


class Table(Record):
    """A table: its cells by rows, in each from left to right."""

    block: int = Field(ge=0, description="number of its block in the page's `blocks`")
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    cells: list[Cell]

    @property
    def grid(self) -> list[list[str]]:
        """The texts of all cells, row by row; empty ones, and those under another cell's span, are empty texts."""
        grid = [[""] * self.columns for _ in range(self.rows)]
        for cell in self.cells:
            grid[cell.row][cell.column] = cell.text
        return grid

    @property
    def text(self) -> str:
        """Its rows as lines, with a tab between cells, empty ones included up to the last that is not."""
        return "\n".join("\t".join(" ".join(cell.split("\n")) for cell in row).rstrip("\t") for row in self.grid)


class PageRecord(BaseRecord):
    """One page, read or failed.

    `orientation_degrees + skew_degrees` is how far the page is turned counter-clockwise; turning it clockwise by
    the sum makes it upright. Polygons run clockwise from the text's own top-left corner.
    """

    skew_degrees: float | None = None
    skew_confidence: float | None = None
    orientation_degrees: Annotated[int, pa.int16()] | None = None
    orientation_confidence: float | None = None
    withheld_degrees: float | None = Field(
        default=None,
        description="how far the page seems to be turned, too unsurely to turn it by: angles that were withheld are 0, "
        "their confidences those of what was found",
    )
    source: Literal["pixels", "text_layer", "both"] = "pixels"
    text_layer_problem: str | None = Field(
        default=None, description="why the text layer that the page has was not used; it was read from its pixels"
    )
    text: str = ""
    lines: list[Line] = Field(default_factory=list)
    blocks: list[Block] = Field(default_factory=list)
    tables: list[Table] = Field(default_factory=list)
    timings_ms: Timings = Field(default_factory=dict)
    models: Models = Field(default_factory=dict)
    device: str = ""

    def stage_confidence(self, stage: str) -> float | None:
        if stage == "text_recognition" and self.lines:
            return sum(line.confidence for line in self.lines) / len(self.lines)
        return {"deskew": self.skew_confidence, "orientation": self.orientation_confidence}.get(stage)

    @property
    def turned_degrees(self) -> float:
        """How far the page is turned counter-clockwise; an angle that no stage has found counts as 0."""
        return (self.orientation_degrees or 0) + (self.skew_degrees or 0.0)
