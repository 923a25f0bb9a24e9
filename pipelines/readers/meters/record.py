"""What the meters reader finds in a photo."""

from typing import Annotated, Any

import pyarrow as pa
from pydantic import AwareDatetime, Field
from typing_extensions import Self

from pipelines.records import BaseRecord, Models, Record, Timings


class Digit(Record):
    """One place of a meter's display, left to right."""

    character: str = Field(pattern="^[0-9x]$", description='"x": cannot be read')
    box: list[list[float]] = Field(description="4 corners [x, y] in px of the photo, from the digit's own top left")
    confidence: float = Field(ge=0, le=1)


class MeterRecord(BaseRecord):
    """One photo of a meter: read, whether or not the reading may be used, or failed."""

    success: bool = Field(default=False, description="whether the reading may be used")
    reason: str = Field(default="", description="why it may not")
    reading: str = Field(
        default="", description='digits as shown, "." before the fraction, "x" for an unreadable place'
    )
    confidence: float | None = Field(default=None, description="0..1, of the least sure place")
    meter_class: str = Field(default="", description="analog, digital, …_illegible; empty: no display was found")
    class_confidence: float | None = None
    screen_corners: list[list[float]] | None = Field(
        default=None, description="4 corners [x, y] of the display, from its top left in reading order"
    )
    digits: list[Digit] = Field(default_factory=list)
    fraction_digits: Annotated[int, pa.int16()] = Field(
        default=0, ge=0, description="how many of the last digits are behind the point"
    )
    meter_id: str | None = Field(default=None, description="which meter it is, as the manifest says")
    time: AwareDatetime | None = Field(default=None, description="when the photo was taken, as the manifest says")
    timings_ms: Timings = Field(default_factory=dict)
    models: Models = Field(default_factory=dict)
    device: str = ""

    def stage_confidence(self, stage: str) -> float | None:
        return self.confidence if stage == "meter" and self.success else None

    @classmethod
    def planned(cls, row: dict[str, Any]) -> Self:
        record = super().planned(row)
        record.meter_id, record.time = row.get("meter_id"), row.get("time")
        return record
