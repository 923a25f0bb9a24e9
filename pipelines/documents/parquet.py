"""Encoded images in a column of a Parquet file, one document a row."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.documents.access import inaccessible, open_file
from pipelines.documents.errors import EmptyDocument, InaccessibleDocument

_ROWS_A_BATCH = 8
_BUFFER_BYTES = 1 << 20


def is_image_type(kind: pa.DataType) -> bool:
    """Whether a column can hold encoded images: binary, or a struct with a binary field `bytes`."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and is_image_type(kind.field(index).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def row_uri(uri: str, row: int) -> str:
    """URI of one row of a Parquet file: `file.parquet#row=17` (0-based)."""
    return f"{uri}#row={row}"


def base_uri(uri: str, row: int) -> str:
    """URI of the file, the reverse of `row_uri`; a URI with row -1 is the file itself."""
    return uri.removesuffix(f"#row={row}") if row >= 0 else uri


def open_parquet(uri: str) -> pq.ParquetFile:
    """An open Parquet file, local or remote, read in small pieces. Raises what storage and pyarrow raise."""
    file = open_file(uri, block_bytes=8 * _BUFFER_BYTES)
    return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)


class ParquetImages:
    """Random access to the rows of one image column; going forward costs one pass over the file, with little memory."""

    def __init__(self, uri: str, column: str):
        """
        Raises:
            InaccessibleDocument: the file cannot be opened, or has no such column.
        """
        self.uri, self.column = uri, column
        try:
            self._file = open_parquet(uri)
        except Exception as error:  # storage back ends and pyarrow raise many things
            raise inaccessible(uri, error) from error
        if column not in self._file.schema_arrow.names:
            names = ", ".join(self._file.schema_arrow.names)
            raise InaccessibleDocument(f"{uri}: no column {column!r}; it has {names}")
        sizes = [self._file.metadata.row_group(index).num_rows for index in range(self._file.num_row_groups)]
        self._starts = [0, *accumulate(sizes)]
        self._rows: Iterator[tuple[int, pa.Scalar]] = iter(())
        self._next, self._end = 0, 0

    def read(self, row: int) -> bytes:
        """Bytes of one row, 0-based.

        Raises:
            EmptyDocument: the row is null or empty. InaccessibleDocument: no such row, or the file is damaged.
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
            raise inaccessible(row_uri(self.uri, row), error) from error
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
