"""The committed output: Parquet parts under `pages/`, which record the pages that are done.

There is no second source of truth. A part appears whole or not at all, its name is derived from the pages in it (a
repeated write replaces it), and a page is done when a part holds its row.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from common.storage import Storage
from pipelines.records import BaseRecord, records_to_table
from pipelines.select_rows import equals, rows_in, rows_not_in
from pipelines.states_index import STATES_SCHEMA, StatesIndex

PARTS = "pages"
FORMER = "former"  # rows of documents that are no longer what was read
_SCANNED_AHEAD = 64  # parts
_READ_AT_ONCE = 16
_WORTH_INDEXING = 64  # parts


class Ledger:
    """Reads and writes the parts of one output."""

    def __init__(self, output: Storage):
        self.output = output
        self._index = StatesIndex(output)

    def part_name(self, page_ids: Sequence[str]) -> str:
        """Return the name of the part that holds exactly these pages."""
        return f"part-{hashlib.sha256(''.join(page_ids).encode()).hexdigest()[:20]}.parquet"

    def commit(self, name: str, records: Sequence[BaseRecord]) -> None:
        """Write a part atomically."""
        self._write(f"{PARTS}/{name}", records_to_table(list(records)))

    def parts(self) -> list[str]:
        """Return the names of all committed parts."""
        return self.output.list(PARTS, ".parquet")

    def read_part(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """One part's rows; of a nested column `digits.list.element.confidence` names a field."""
        return pq.ParquetFile(io.BytesIO(self.output.read(f"{PARTS}/{name}"))).read(columns)

    def has_part(self, name: str) -> bool:
        return self.output.exists(f"{PARTS}/{name}")

    def scan(self, columns: list[str], names: Sequence[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
        """Name and rows of each part (of `names` only, when given), with only `columns` read; a few parts are held at a
        time."""
        names = self.parts() if names is None else names
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:  # reading many small objects is waiting, not work
            for start in range(0, len(names), _SCANNED_AHEAD):
                ahead = names[start : start + _SCANNED_AHEAD]
                yield from zip(ahead, pool.map(lambda name: self.read_part(name, columns), ahead), strict=True)

    def states(self) -> pa.Table:
        """Return rows of STATES_SCHEMA, one for each committed row: from the index, and from the parts that are not in
        it, which are added once they are many."""
        versions = self.output.versions(PARTS, ".parquet")
        indexed = self._index.load(versions)
        new = self._not_indexed(versions, set(indexed["part"].unique().to_pylist()))
        return pa.concat_tables([indexed, new]).combine_chunks()

    def index_new_parts(self) -> None:
        """Add parts to the index while a job runs, so that a run after a crash need not read them."""
        versions = self.output.versions(PARTS, ".parquet")
        self._not_indexed(versions, self._index.parts(versions))

    def _not_indexed(self, versions: Mapping[str, str], indexed: set[str]) -> pa.Table:
        new = [name for name in versions if name not in indexed]
        columns = [name for name in STATES_SCHEMA.names if name != "part"]
        tables = [
            table.append_column("part", pa.array([name] * len(table), pa.string())).cast(STATES_SCHEMA)
            for name, table in self.scan(columns, new)
        ]
        states = pa.concat_tables([STATES_SCHEMA.empty_table(), *tables])
        if len(new) >= _WORTH_INDEXING:
            self._index.add(states, versions)
        return states

    def drop_errors(self) -> int:
        """Take all error rows out, so that their pages count as not done; returns how many there were."""
        states = self.states()
        failed = states.filter(pa.array(equals(states["status"], "error")))
        for name in failed["part"].unique().to_pylist():
            rows = self.read_part(name)
            self._replace(name, rows.filter(pa.array(equals(rows["status"], "ok"))))
        return len(failed)

    def settle(self) -> pa.Table:
        """Leave exactly one row a page (a good one when there is one); returns the states that remain.

        A page is there twice only when a worker of a killed run, on another machine, committed after the next run had
        read the ledger.
        """
        states = self.states()
        counts = states.group_by("page_id").aggregate([("status", "count")])
        twice = counts.filter(pa.array(counts["status_count"].to_numpy() > 1))["page_id"]
        keep: dict[str, tuple[str, str]] = {}
        extra: dict[str, set[str]] = {}
        for row in rows_in(states, "page_id", twice).to_pylist():
            earlier = keep.get(row["page_id"])
            if earlier is None:
                keep[row["page_id"]] = (row["status"], row["part"])
                continue
            loser = row["part"]
            if earlier[0] == "error" and row["status"] == "ok":
                loser, keep[row["page_id"]] = earlier[1], (row["status"], row["part"])
            extra.setdefault(loser, set()).add(row["page_id"])
        if not extra:
            return states
        for name, page_ids in extra.items():
            self._take_out(name, page_ids)
        return self.states()

    def retire(self, page_ids: set[str], states: pa.Table) -> None:
        """Move rows, located by `states`, from the output's pages to `former/`, where nothing reads them."""
        gone = rows_in(states, "page_id", _column(page_ids))
        for name in gone["part"].unique().to_pylist():
            rows = self.read_part(name)
            former = rows_in(rows, "page_id", gone["page_id"])
            ids = former["page_id"].to_pylist()
            self._write(f"{FORMER}/{self.part_name(ids)}", former)  # first: a row is in one place or in both
            self._take_out(name, set(ids))

    def _take_out(self, name: str, page_ids: set[str]) -> None:
        rows = self.read_part(name)
        self._replace(name, rows_not_in(rows, "page_id", _column(page_ids)))

    def _replace(self, name: str, rows: pa.Table) -> None:
        if len(rows):
            self._write(f"{PARTS}/{name}", rows)
        else:
            self.output.delete(f"{PARTS}/{name}")

    def _write(self, path: str, table: pa.Table) -> None:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.output.write(path, buffer.getvalue())


def _column(page_ids: set[str]) -> pa.ChunkedArray:
    return pa.chunked_array([sorted(page_ids)], pa.string())
