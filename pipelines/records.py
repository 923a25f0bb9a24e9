"""What all readers' records have in common: a record a page, from whose class its Parquet columns are derived.

Each reader has its own record, in its folder below `pipelines.readers`. Corners are (x, y) in pixels of the ORIGINAL
page as decoded (EXIF rotation applied, nothing else).
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import Self

from pipelines.arrow_types import arrow_schema


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageError(Record):
    """Why a page could not be read: the stage that failed, the exception's type and its message."""

    stage: str
    type: str
    message: str


class BaseRecord(Record):
    """The page, and whether it was read. A reader's record adds what it finds, and ends with how the page was read:

        class BrightnessRecord(BaseRecord):
            brightness: float | None = None
            timings_ms: Timings = Field(default_factory=dict)
            models: Models = Field(default_factory=dict)
            device: str = ""

    The last three are declared by each record, since columns are in the order of their declaration.
    """

    page_id: str
    document_uri: str
    page_number: int = Field(ge=1, description="1-based")
    page_count: int = Field(ge=0, description="pages of the document; 0 when it could not be opened")
    width: int = Field(default=0, ge=0, description="px; 0 when unknown")
    height: int = Field(default=0, ge=0, description="px; 0 when unknown")
    dpi: float | None = Field(
        default=None, description="pixels per inch, across and down; None if the file does not say"
    )
    status: Literal["ok", "error"] = "ok"
    error: PageError | None = None

    if TYPE_CHECKING:
        timings_ms: "Timings" = Field(default_factory=dict)
        models: "Models" = Field(default_factory=dict)
        device: str = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        lacking = [name for name in ("timings_ms", "models", "device") if name not in cls.model_fields]
        if lacking:
            raise TypeError(f"{cls.__name__} lacks {', '.join(lacking)}; see pipelines.records.BaseRecord")

    @classmethod
    @cache
    def arrow_schema(cls) -> pa.Schema:
        """Return the columns of a table of these records."""
        return arrow_schema(cls)

    def stage_confidence(self, stage: str) -> float | None:
        """Return how sure a stage was of this page, 0..1; None if it gives no confidence. For metrics of serving."""
        return None

    @classmethod
    def planned(cls, row: dict[str, Any]) -> Self:
        """Return the record of a page that is to be read, from a row of its reader's manifest."""
        names = ("page_id", "document_uri", "page_number", "page_count", "error")
        status = "ok" if row["error"] is None else "error"
        return cls(status=status, **{name: row[name] for name in names})


Timings = dict[str, float]  # stage -> milliseconds
Models = dict[str, str]  # stage -> name of its bundle


def page_id(document_uri: str, version: str, page_number: int) -> str:
    """Return the stable id of a page: 16 hex characters of SHA-256 over URI, the document's version tag and the page
    number.

    The version tag (ETag, or size and modification time) makes a changed file a new page.
    """
    return hashlib.sha256(f"{document_uri}\n{version}\n{page_number}".encode()).hexdigest()[:16]


# One row a page that is to be read. `version` is the document's ETag or "size-mtime"; `row` points into a Parquet file
# whose rows hold encoded images (-1: the URI itself is the document); `image_column` names that column. The columns
# of `pipelines.sources.columns.ManifestColumns` come after them.
MANIFEST_SCHEMA = pa.schema(
    [
        ("page_id", pa.string()),
        ("document_uri", pa.string()),
        ("version", pa.string()),
        ("page_number", pa.int32()),
        ("page_count", pa.int32()),
        ("row", pa.int64()),
        ("image_column", pa.string()),
        ("error", pa.struct(list(arrow_schema(PageError)))),
    ]
)


R = TypeVar("R", bound=BaseRecord)


def records_to_table(records: Sequence[BaseRecord]) -> pa.Table:
    """Return the table of some records, at least one and all of one class, in their `arrow_schema`."""
    rows = [record.model_dump() for record in records]
    for row in rows:
        row["timings_ms"], row["models"] = list(row["timings_ms"].items()), list(row["models"].items())
    return pa.Table.from_pylist(rows, schema=records[0].arrow_schema())


def table_to_records(table: pa.Table, record_type: type[R]) -> list[R]:
    """Return the records of a table; columns that it lacks keep their defaults."""
    rows = table.to_pylist(maps_as_pydicts="strict")
    return [record_type.model_validate(row) for row in rows]
