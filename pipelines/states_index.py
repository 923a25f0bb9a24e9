"""What the committed parts hold, in a few files: a run of millions of pages need not read every part to resume.

A cache and no source of truth: what it says of a part counts only while the part has the version that it had when it
was read. An output whose index is deleted is read as any other, only later.
"""

import hashlib
import io
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from common.storage import OutputError, Storage
from pipelines.select_rows import rows_in

INDEX = "index"
# A row a page: what a job wants to know of the pages that are done.
STATES_SCHEMA = pa.schema(
    [
        ("page_id", pa.string()),
        ("status", pa.string()),
        ("document_uri", pa.string()),
        ("page_number", pa.int32()),
        ("page_count", pa.int32()),
        ("part", pa.string()),
    ]
)
_FILE_SCHEMA = STATES_SCHEMA.append(pa.field("version", pa.string()))
_PART_SCHEMA = pa.schema([_FILE_SCHEMA.field("part"), _FILE_SCHEMA.field("version")])
_MOST_FILES = 8  # more are made one
_FILES_AT_ONCE = 8

logger = logging.getLogger("ocray")


class StatesIndex:
    """The index of one output's parts."""

    def __init__(self, output: Storage):
        self._output = output

    def load(self, versions: Mapping[str, str]) -> pa.Table:
        """Return rows of STATES_SCHEMA for the parts among `versions` (name to version tag) that are in the index as
        they are now."""
        return self._valid(self._files(), versions, _FILE_SCHEMA).select(STATES_SCHEMA.names)

    def parts(self, versions: Mapping[str, str]) -> set[str]:
        """Return the names of the parts that `load` would know."""
        return set(self._valid(self._files(), versions, _PART_SCHEMA)["part"].unique().to_pylist())

    def add(self, states: pa.Table, versions: Mapping[str, str]) -> None:
        """Add the states of parts, which have these versions. An index that cannot be written is no reason to stop."""
        names = self._files()
        table = _with_versions(states, versions)
        if len(names) >= _MOST_FILES:
            table = pa.concat_tables([self._valid(names, versions, _FILE_SCHEMA), table])
        else:
            names = []
        try:
            written = self._write(table)
            for name in names:
                if name != written:
                    self._output.delete(f"{INDEX}/{name}")
        except OutputError as error:
            logger.warning("%s; the next run reads all parts again", error)

    def _files(self) -> list[str]:
        return self._output.list(INDEX, ".parquet")

    def _valid(self, names: list[str], versions: Mapping[str, str], schema: pa.Schema) -> pa.Table:
        tables = [schema.empty_table()]
        seen: set[str] = set()
        with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            for table in pool.map(lambda name: self._read(name, schema), names):
                parts = table.group_by(["part", "version"]).aggregate([])
                current = {
                    part
                    for part, version in zip(parts["part"].to_pylist(), parts["version"].to_pylist(), strict=True)
                    if versions.get(part) == version
                }
                current -= seen
                seen |= current
                if len(current) < len(parts):
                    table = rows_in(table, "part", pa.chunked_array([sorted(current)], pa.string()))
                tables.append(table)
        return pa.concat_tables(tables)

    def _read(self, name: str, schema: pa.Schema) -> pa.Table:
        try:
            content = io.BytesIO(self._output.read(f"{INDEX}/{name}"))
            return pq.read_table(content, columns=schema.names).cast(schema)
        except (FileNotFoundError, pa.ArrowInvalid, pa.ArrowKeyError):  # made one with others meanwhile, or damaged
            return schema.empty_table()

    def _write(self, table: pa.Table) -> str:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        content = buffer.getvalue()
        name = f"states-{hashlib.sha256(content).hexdigest()[:20]}.parquet"
        self._output.write(f"{INDEX}/{name}", content)
        return name


def _with_versions(states: pa.Table, versions: Mapping[str, str]) -> pa.Table:
    parts = states["part"].combine_chunks().dictionary_encode()
    tags = pa.array([versions[name] for name in parts.dictionary.to_pylist()], pa.string())
    return states.append_column("version", tags.take(parts.indices))
