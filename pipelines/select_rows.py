"""Rows of Arrow tables by the values of a column."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# pyarrow makes these functions when it is imported, so type checkers do not see them.
_equal, _is_in, _invert = (getattr(pc, name) for name in ("equal", "is_in", "invert"))


def rows_in(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    """Return the rows whose value is one of `values`, in their order."""
    return table.filter(_is_in(table[column], values.combine_chunks()))


def rows_not_in(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    """Return the rows whose value is none of `values`, in their order."""
    return table.filter(_invert(_is_in(table[column], values.combine_chunks())))


def equals(column: pa.Array | pa.ChunkedArray, value: str) -> np.ndarray:
    """Return which values of a column are `value`: bool, one for each."""
    return _equal(column, value).to_numpy(zero_copy_only=False)
