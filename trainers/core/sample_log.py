"""The log of a report: a row a sample, as Parquet and as tab-separated text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_log(rows: Sequence[Mapping[str, Any]], schema: pa.Schema, text: Path, table: Path) -> None:
    """Write the rows, whose keys are in the schema's order, to both files. In the text, white space within a value is
    single spaces, figures have four places and what is not known is empty."""
    pq.write_table(pa.Table.from_pylist(rows, schema), table, compression="zstd")
    with text.open("w", encoding="utf-8") as file:
        file.write("\t".join(schema.names) + "\n")
        for row in rows:
            file.write("\t".join(map(_cell, row.values())) + "\n")


def _cell(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else " ".join(str(value).split())
