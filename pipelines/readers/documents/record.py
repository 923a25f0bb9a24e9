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
