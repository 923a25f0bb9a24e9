"""Columns of manifests that mean something to a reader, beside those that name documents."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from pipelines.sources.document import InputError


class RowError(Exception):
    """A manifest row that makes no sense to a reader; the message names the row and the remedy."""


class ManifestColumns(Protocol):
    """What a reader takes from the manifests of its documents; `pipelines.readers.meters.columns` is an example."""

    @property
    def manifest_fields(self) -> list[pa.Field]:
        """What the columns become in the job's own manifest, where a document without values has nulls."""
        ...

    def present(self, manifest: str, columns: Sequence[str]) -> list[str]:
        """Return which of the columns a manifest has. Raises InputError: it cannot have only these."""
        ...

    def values(self, manifest: str, row: int, cells: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the values of a row, by the names of `manifest_fields`; None if it has none.

        Args:
            manifest: its URI, for messages. row: its number, 1-based, without the header.
            cells: of the columns that are `present`: text, or what pyarrow makes of a cell.

        Raises:
            RowError: its values are invalid.
            InputError: no row of this manifest can be valid.
        """
        ...

    def describe(self, values: Mapping[str, Any]) -> str:
        """Return the values in words, for a message."""
        ...


def parquet_cells(column: pa.Array, uri: str, name: str) -> list[Any]:
    """Return the cells of a Parquet column as Python values; times to the microsecond.

    Raises:
        InputError: a column of lists, bytes or the like.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False).to_pylist()
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise InputError(f"{uri}: column {name!r} is {kind}, not text, numbers or times; name another one")
    return column.to_pylist()
