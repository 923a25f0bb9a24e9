"""The one definition of what is read: a record a page. Parquet schema and API models come from the same classes.

Each reader has its record (`RECORDS`): what all have in common, and what it finds. Polygons are four (x, y) corners in
pixels of the ORIGINAL page as decoded (EXIF rotation applied, nothing else), clockwise from the text's own top-left
corner. `orientation_degrees + skew_degrees` is how far the page stands turned counter-clockwise; turning it clockwise
by the sum makes it upright.
"""

import hashlib
from typing import Any, ClassVar, Literal, TypeVar

import pyarrow as pa
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageError(Record):
    """Why a page could not be read: the stage that failed, the exception's type and its message."""

    stage: str
    type: str
    message: str


class PlannedPage(Record):
    """Which page it is, and whether it was read. The part of a record that stands before what a reader finds."""

    page_id: str
    document_uri: str
    page_number: int = Field(ge=1, description="1-based")
    page_count: int = Field(ge=0, description="pages of the document; 0 when it could not be opened")
    width: int = Field(default=0, ge=0, description="px; 0 when unknown")
    height: int = Field(default=0, ge=0, description="px; 0 when unknown")
    status: Literal["ok", "error"] = "ok"
    error: PageError | None = None


class BaseRecord(PlannedPage):
    """What the records of all readers have in common: the page, and how it was read.

    A reader's record is `class R(BaseRecord, Found)` with `Found(PlannedPage)` holding what it reads: pydantic takes
    fields from the last base to the first, so they stand between the page and how it was read.
    """

    arrow_schema: ClassVar[pa.Schema]

    timings_ms: dict[str, float] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    device: str = ""

    @classmethod
    def planned(cls, row: dict[str, Any]) -> "BaseRecord":
        """The record of a page that is to be read, from a row of MANIFEST_SCHEMA."""
        names = ("page_id", "document_uri", "page_number", "page_count", "error")
        status = "ok" if row["error"] is None else "error"
        return cls(status=status, **{name: row[name] for name in names})


class Line(Record):
    """One text line, in reading order within its page."""

    text: str
    confidence: float = Field(ge=0, le=1)
    polygon: list[list[float]] = Field(description="4 corners [x, y], clockwise from the text's top left")
    language: str


class _DocumentFields(PlannedPage):
    skew_degrees: float | None = None
    skew_confidence: float | None = None
    orientation_degrees: int | None = None
    orientation_confidence: float | None = None
    text: str = ""
    lines: list[Line] = Field(default_factory=list)


class PageRecord(BaseRecord, _DocumentFields):
    """One page, read or failed."""


class Digit(Record):
    """One place of a meter's display, left to right."""

    character: str = Field(pattern="^[0-9x]$", description='"x": cannot be read')
    box: list[list[float]] = Field(description="4 corners [x, y] in px of the photo, from the digit's own top left")
    confidence: float = Field(ge=0, le=1)


class _MeterFields(PlannedPage):
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
    fraction_digits: int = Field(default=0, ge=0, description="how many of the last digits are behind the point")
    meter_id: str | None = Field(default=None, description="which meter it is, as the manifest says")
    time: AwareDatetime | None = Field(default=None, description="when the photo was taken, as the manifest says")


class MeterRecord(BaseRecord, _MeterFields):
    """One photo of a meter, read (whatever is thought of the reading) or failed."""

    @classmethod
    def planned(cls, row: dict[str, Any]) -> "MeterRecord":
        record = super().planned(row)
        record.meter_id, record.time = row["meter_id"], row["time"]
        return record


# The records of each reader, by the name its configuration has as `reader`.
RECORDS: dict[str, type[BaseRecord]] = {"documents": PageRecord, "meters": MeterRecord}


def page_id(document_uri: str, version: str, page_number: int) -> str:
    """Stable id of a page: 16 hex characters of SHA-256 over URI, the document's version tag and the page number.

    The version tag (ETag, or size and modification time) makes a changed file a new page.
    """
    return hashlib.sha256(f"{document_uri}\n{version}\n{page_number}".encode()).hexdigest()[:16]


_QUAD = pa.list_(pa.list_(pa.float32()))
_UTC = pa.timestamp("us", tz="UTC")

_LINE = pa.struct([("text", pa.string()), ("confidence", pa.float32()), ("polygon", _QUAD), ("language", pa.string())])
_DIGIT = pa.struct([("character", pa.string()), ("box", _QUAD), ("confidence", pa.float32())])


def _schema(found: list[tuple[str, pa.DataType]]) -> pa.Schema:
    """The columns of a reader's records: those of all readers, and what it found."""
    return pa.schema(
        [
            ("page_id", pa.string()),
            ("document_uri", pa.string()),
            ("page_number", pa.int32()),
            ("page_count", pa.int32()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("status", pa.string()),
            ("error", pa.struct([("stage", pa.string()), ("type", pa.string()), ("message", pa.string())])),
            *found,
            ("timings_ms", pa.map_(pa.string(), pa.float32())),
            ("models", pa.map_(pa.string(), pa.string())),
            ("device", pa.string()),
        ]
    )


PAGE_SCHEMA = PageRecord.arrow_schema = _schema(
    [
        ("skew_degrees", pa.float32()),
        ("skew_confidence", pa.float32()),
        ("orientation_degrees", pa.int16()),
        ("orientation_confidence", pa.float32()),
        ("text", pa.string()),
        ("lines", pa.list_(_LINE)),
    ]
)

METER_SCHEMA = MeterRecord.arrow_schema = _schema(
    [
        ("success", pa.bool_()),
        ("reason", pa.string()),
        ("reading", pa.string()),
        ("confidence", pa.float32()),
        ("meter_class", pa.string()),
        ("class_confidence", pa.float32()),
        ("screen_corners", _QUAD),
        ("digits", pa.list_(_DIGIT)),
        ("fraction_digits", pa.int16()),
        ("meter_id", pa.string()),
        ("time", _UTC),
    ]
)

# One row a photo, in `readings.parquet`: what is thought of its reading among the others of its meter.
READINGS_SCHEMA = pa.schema(
    [
        ("page_id", pa.string()),
        ("document_uri", pa.string()),
        ("meter_id", pa.string()),
        ("time", _UTC),
        ("reading", pa.string()),
        ("success", pa.bool_()),
        ("plausible", pa.bool_()),
        ("reason", pa.string()),
        ("repaired", pa.string()),
    ]
)

# One row a page that is to be read. `version` is the document's ETag or "size-mtime"; `row` points into a Parquet file
# whose rows hold encoded images (-1: the URI itself is the document); `image_column` names that column. The last three
# are null but for photos of meters whose manifest says them; `max_rate` in the meter's units a day.
MANIFEST_SCHEMA = pa.schema(
    [
        ("page_id", pa.string()),
        ("document_uri", pa.string()),
        ("version", pa.string()),
        ("page_number", pa.int32()),
        ("page_count", pa.int32()),
        ("row", pa.int64()),
        ("image_column", pa.string()),
        ("error", PAGE_SCHEMA.field("error").type),
        ("meter_id", pa.string()),
        ("time", _UTC),
        ("max_rate", pa.float64()),
    ]
)


_Records = TypeVar("_Records", bound=BaseRecord)


def records_to_table(records: list[BaseRecord]) -> pa.Table:
    """Arrow table of records (at least one, all of one reader) in their `arrow_schema`."""
    rows = [record.model_dump() for record in records]
    for row in rows:
        row["timings_ms"], row["models"] = list(row["timings_ms"].items()), list(row["models"].items())
    return pa.Table.from_pylist(rows, schema=records[0].arrow_schema)


def table_to_records(table: pa.Table, record_type: type[_Records] = PageRecord) -> list[_Records]:
    """The reverse of `records_to_table`; columns the table lacks keep their defaults."""
    rows = table.to_pylist(maps_as_pydicts="strict")
    return [record_type.model_validate(row) for row in rows]
