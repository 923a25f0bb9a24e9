"""Reading committed records back: page by page, document by document, in bounded memory.

An index of 16 bytes per page (and each URI once) locates every record; the records themselves are fetched row
group by row group, a few of which are kept. A job of a million pages is never held as a whole.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, Generic

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.storage import Storage
from pipelines.ledger import PARTS, Ledger
from pipelines.output import job_card
from pipelines.records import R, table_to_records
from pipelines.select_rows import equals

KEPT_ROW_GROUPS = 8
# Parts are small; most of the time is waiting for storage.
_READ_AHEAD = 64
_READ_AT_ONCE = 8


@dataclass(frozen=True)
class StoredDocument:
    """One document's place in the store: its URI, and (part, row) of each of its pages in page order."""

    uri: str
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class StoredDocuments:
    """All documents of a store: of document `i` the URI, and the places of its pages from `bounds[i]` on."""

    uris: list[str]
    places: np.ndarray
    bounds: np.ndarray

    @property
    def pages(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[StoredDocument]:
        for number, uri in enumerate(self.uris):
            yield StoredDocument(uri, self.places[self.bounds[number] : self.bounds[number + 1]])


class RecordStore(Generic[R]):
    """The records committed under an output, local or any fsspec URI; all are of `record_type`. `parts` are those that
    another store of the same output has listed. `labels`: Ray labels of the nodes that may read much of it.

    Raises:
        FileNotFoundError: nothing has been committed there.
    """

    def __init__(
        self,
        output_uri: str,
        record_type: type[R],
        parts: list[str] | None = None,
        labels: Mapping[str, str] | None = None,
    ):
        self.output = Storage(output_uri)
        self.parts = Ledger(self.output).parts() if parts is None else parts
        if not self.parts:
            raise FileNotFoundError(f"{output_uri} holds no committed pages ({PARTS}/*.parquet); run the job first")
        self.record_type = record_type
        self.labels = dict(labels or {})
        self._row_groups: dict[int, np.ndarray] = {}
        self._tables: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()

    def job(self) -> dict[str, Any]:
        """`job.json`, or an empty dictionary when the job has not written it (yet)."""
        return job_card(self.output)

    def batches(
        self, columns: list[str], rows: int = 1024, parts: range | None = None
    ) -> Iterator[tuple[int, int, pa.RecordBatch]]:
        """Yield (part, first row, batch) over `parts`, by default all, with only `columns` read. Some parts are read
        ahead."""

        def read(part: int) -> list[pa.RecordBatch]:
            with self._open(part) as stream:
                return list(pq.ParquetFile(stream).iter_batches(batch_size=rows, columns=columns))

        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            wanted = range(len(self.parts)) if parts is None else parts
            for start in range(0, len(wanted), _READ_AHEAD):
                ahead = wanted[start : start + _READ_AHEAD]
                for part, batches in zip(ahead, pool.map(read, ahead), strict=True):
                    first = 0
                    for batch in batches:
                        yield part, first, batch
                        first += batch.num_rows

    def documents(self) -> StoredDocuments:
        """Return every document once, in the order in which the parts first name them; pages in page order.

        Each page once: of rows for the same page, which only outputs of earlier versions hold, one that was read.
        """
        codes: list[np.ndarray] = []
        pages: list[np.ndarray] = []
        failed: list[np.ndarray] = []
        places: list[np.ndarray] = []
        known: dict[str, int] = {}
        for part, first, batch in self.batches(["document_uri", "page_number", "status"], rows=65536):
            column = batch.column("document_uri").dictionary_encode()
            numbers = np.array([known.setdefault(uri, len(known)) for uri in column.dictionary.to_pylist()], np.int32)
            codes.append(numbers[column.indices.to_numpy(zero_copy_only=False)])
            pages.append(batch.column("page_number").to_numpy(zero_copy_only=False))
            failed.append(~equals(batch.column("status"), "ok"))
            rows = np.arange(first, first + batch.num_rows, dtype=np.int32)
            places.append(np.column_stack([np.full_like(rows, part), rows]))
        if not known:
            return StoredDocuments([], np.zeros((0, 2), np.int32), np.zeros(1, np.int64))
        code, page, place = np.concatenate(codes), np.concatenate(pages), np.concatenate(places)
        order = np.lexsort((np.concatenate(failed), page, code))
        again = (np.diff(code[order]) == 0) & (np.diff(page[order]) == 0)
        order = order[np.concatenate([[True], ~again])]
        bounds = np.searchsorted(code[order], np.arange(len(known) + 1))
        return StoredDocuments(list(known), place[order], bounds)

    def records(self, document: StoredDocument) -> Iterator[R]:
        """Yield the pages of a document, fetched one by one."""
        for part, row in document.places.tolist():
            yield self.record(part, row)

    def record(self, part: int, row: int) -> R:
        """Return the record at `row` of part number `part`."""
        starts = self._starts(part)
        group = int(np.searchsorted(starts, row, side="right")) - 1
        return table_to_records(self._table(part, group).slice(row - int(starts[group]), 1), self.record_type)[0]

    def _open(self, part: int) -> BinaryIO:
        name = f"{PARTS}/{self.parts[part]}"
        if self.output.is_local:
            return open(self.output.path(name), "rb")
        return BytesIO(self.output.read(name))  # one request, with patience, beats a few

    def _starts(self, part: int) -> np.ndarray:
        """First row of each row group of a part."""
        if part not in self._row_groups:
            with self._open(part) as stream:
                footer = pq.ParquetFile(stream).metadata
            sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
            self._row_groups[part] = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        return self._row_groups[part]

    def _table(self, part: int, group: int) -> pa.Table:
        key = (part, group)
        if key not in self._tables:
            with self._open(part) as stream:
                file = pq.ParquetFile(stream)
                known = [name for name in self.record_type.arrow_schema().names if name in file.schema_arrow.names]
                self._tables[key] = file.read_row_group(group, columns=known)
            while len(self._tables) > KEPT_ROW_GROUPS:
                self._tables.popitem(last=False)
        self._tables.move_to_end(key)
        return self._tables[key]
