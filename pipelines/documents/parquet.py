"""Encoded images in a column of a Parquet file, one document a row."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.documents.access import open_file
from pipelines.documents.errors import EmptyDocument, InaccessibleDocument, access_error
from pipelines.documents.rows import row_uri

_ROWS_A_BATCH = 8
_BUFFER_BYTES = 1 << 20


def is_image_type(kind: pa.DataType) -> bool:
    """Return whether a column can hold encoded images: binary, or a struct with a binary field `bytes`."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and is_image_type(kind.field(index).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def image_column(schema: pa.Schema, wanted: str | None) -> str | None:
    """Return the column of images in a Parquet file: the `wanted` one if it exists, otherwise the only one of such a
    type."""
    images = [field.name for field in schema if is_image_type(field.type)]
    if wanted in schema.names:
        return wanted if wanted in images else None
    return images[0] if len(images) == 1 else None


def open_parquet(uri: str) -> pq.ParquetFile:
    """Open a Parquet file, local or remote, to be read in small pieces. Raises what storage and pyarrow raise."""
    file = open_file(uri, block_bytes=8 * _BUFFER_BYTES)
    return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)


class ParquetImages:
    """Random access to the rows of one image column; going forward costs one pass over the file, with little memory."""

    def __init__(self, uri: str, column: str = ""):
        """
        Args:
            uri: of the file.
            column: its name; empty: the only column of images.

        Raises:
            InaccessibleDocument: the file cannot be opened, or has no such column. StorageUnavailable.
        """
        self.uri, self.wanted = uri, column
        try:
            self._file = open_parquet(uri)
        except Exception as error:  # storage back ends and pyarrow raise many things
            raise access_error(uri, error) from error
        schema = self._file.schema_arrow
        self.column = column or image_column(schema, None)
        if self.column not in schema.names:
            missing = f"no column {column!r}" if column else "not one column of images; name it with --image-column"
            raise InaccessibleDocument(f"{uri}: {missing}; it has {', '.join(schema.names)}")
        sizes = [self._file.metadata.row_group(index).num_rows for index in range(self._file.num_row_groups)]
        self._starts = [0, *accumulate(sizes)]
        self._rows: Iterator[tuple[int, pa.Scalar]] = iter(())
        self._next, self._end = 0, 0

    def read(self, row: int) -> bytes:
        """Bytes of one row, 0-based.

        Raises:
            EmptyDocument: the row is null or empty. InaccessibleDocument: no such row, or the file is damaged.
            StorageUnavailable.
        """
        if not 0 <= row < self._starts[-1]:
            raise InaccessibleDocument(f"{row_uri(self.uri, row)}: the file has {self._starts[-1]} rows; list it again")
        try:
            if not self._next <= row < self._end:
                group = bisect_right(self._starts, row) - 1
                self._rows, self._next, self._end = self._scan(group), self._starts[group], self._starts[group + 1]
            for index, value in self._rows:
                self._next = index + 1
                if index == row:
                    content = value.as_py()
                    break
            else:
                raise EOFError(f"its row group ends before row {row}")
        except Exception as error:  # as above
            self._next = self._end = 0
            raise access_error(row_uri(self.uri, row), error) from error
        if not content:
            raise EmptyDocument(f"{row_uri(self.uri, row)}: column {self.column!r} is null or empty in this row")
        return content

    def close(self) -> None:
        self._rows = iter(())
        self._file.close(force=True)

    def _scan(self, group: int) -> Iterator[tuple[int, pa.Scalar]]:
        index = self._starts[group]
        for batch in self._file.iter_batches(_ROWS_A_BATCH, row_groups=[group], columns=[self.column]):
            column = batch.column(0)
            if pa.types.is_struct(column.type):
                column = column.field("bytes")
            for value in column:
                yield index, value
                index += 1
