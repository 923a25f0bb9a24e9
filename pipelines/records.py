"""The one definition of what is read: a record a page. Parquet schema and API models come from the same classes.

Polygons are four (x, y) corners in pixels of the ORIGINAL page as decoded (EXIF rotation applied, nothing else),
clockwise from the text's own top-left corner. `orientation_degrees + skew_degrees` is how far the page stands turned
counter-clockwise; turning it clockwise by the sum makes it upright.
"""

import hashlib
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageError(Record):
    """Why a page could not be read: the stage that failed, the exception's type and its message."""

    stage: str
    type: str
    message: str


class Line(Record):
    """One text line, in reading order within its page."""

    text: str
    confidence: float = Field(ge=0, le=1)
    polygon: list[list[float]] = Field(description="4 corners [x, y], clockwise from the text's top left")
    language: str


class PageRecord(Record):
    """One page, read or failed."""

    page_id: str
    document_uri: str
    page_number: int = Field(ge=1, description="1-based")
    page_count: int = Field(ge=0, description="pages of the document; 0 when it could not be opened")
    width: int = Field(default=0, ge=0, description="px; 0 when unknown")
    height: int = Field(default=0, ge=0, description="px; 0 when unknown")
    status: Literal["ok", "error"] = "ok"
    error: PageError | None = None
    skew_degrees: float | None = None
    skew_confidence: float | None = None
    orientation_degrees: int | None = None
    orientation_confidence: float | None = None
    text: str = ""
    lines: list[Line] = Field(default_factory=list)
    timings_ms: dict[str, float] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    device: str = ""


def page_id(document_uri: str, version: str, page_number: int) -> str:
    """Stable id of a page: 16 hex characters of SHA-256 over URI, the document's version tag and the page number.

    The version tag (ETag, or size and modification time) makes a changed file a new page.
    """
    return hashlib.sha256(f"{document_uri}\n{version}\n{page_number}".encode()).hexdigest()[:16]


_LINE = pa.struct(
    [
        ("text", pa.string()),
        ("confidence", pa.float32()),
        ("polygon", pa.list_(pa.list_(pa.float32()))),
        ("language", pa.string()),
    ]
)

PAGE_SCHEMA = pa.schema(
    [
        ("page_id", pa.string()),
        ("document_uri", pa.string()),
        ("page_number", pa.int32()),
        ("page_count", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("status", pa.string()),
        ("error", pa.struct([("stage", pa.string()), ("type", pa.string()), ("message", pa.string())])),
        ("skew_degrees", pa.float32()),
        ("skew_confidence", pa.float32()),
        ("orientation_degrees", pa.int16()),
        ("orientation_confidence", pa.float32()),
        ("text", pa.string()),
        ("lines", pa.list_(_LINE)),
        ("timings_ms", pa.map_(pa.string(), pa.float32())),
        ("models", pa.map_(pa.string(), pa.string())),
        ("device", pa.string()),
    ]
)

# One row a page that is to be read. `version` is the document's ETag or "size-mtime"; `row` points into a Parquet file
# whose rows hold encoded images (-1: the URI itself is the document); `image_column` names that column.
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
    ]
)


def records_to_table(records: list[PageRecord]) -> pa.Table:
    """Arrow table of records in PAGE_SCHEMA."""
    rows = [record.model_dump() for record in records]
    for row in rows:
        row["timings_ms"], row["models"] = list(row["timings_ms"].items()), list(row["models"].items())
    return pa.Table.from_pylist(rows, schema=PAGE_SCHEMA)


def table_to_records(table: pa.Table) -> list[PageRecord]:
    """The reverse of `records_to_table`; columns the table lacks keep their defaults."""
    rows = table.to_pylist(maps_as_pydicts="strict")
    return [PageRecord.model_validate(row) for row in rows]
