"""Figures of a job, gathered in one pass over its committed parts; those of a large job in shards, side by side on Ray.

Memory does not grow with the number of pages, but for one hash a document, which counts them.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
from typing_extensions import Self

from pipelines.exports.shards import over_shards
from pipelines.exports.store import RecordStore
from pipelines.records import R
from pipelines.select_rows import equals

SAMPLED_PAGES = 12
LISTED_ERRORS = 500
PARTS_A_SHARD = 200

_Summary = TypeVar("_Summary", bound="Summary")

_SHARED_COLUMNS = ["page_id", "document_uri", "page_number", "status", "error", "timings_ms", "device"]


class Histogram:
    """Counts of values between fixed `edges` (n + 1, ascending); values outside count in the outermost bins."""

    def __init__(self, edges: np.ndarray):
        self.edges = edges
        self.counts = np.zeros(len(edges) - 1, np.int64)
        self.sum = 0.0

    def add(self, values: np.ndarray) -> None:
        values = values[np.isfinite(values)]
        self.counts += np.histogram(np.clip(values, self.edges[0], self.edges[-1]), self.edges)[0]
        self.sum += float(values.sum())

    def merge(self, other: "Histogram") -> None:
        """Add the values that another histogram with the same edges counts."""
        self.counts = self.counts + other.counts  # what comes from Ray is read-only
        self.sum += other.sum

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        return self.sum / max(1, self.total)

    def quantile(self, share: float) -> float:
        """Return the value below which `share` of all values lie, interpolated within its bin."""
        below = np.concatenate([[0], np.cumsum(self.counts)])
        target = share * below[-1]
        number = min(int(np.searchsorted(below, target, side="right")) - 1, len(self.counts) - 1)
        while number > 0 and self.counts[number] == 0:
            number -= 1
        inside = (target - below[number]) / max(1, self.counts[number])
        return float(self.edges[number] + inside * (self.edges[number + 1] - self.edges[number]))

    def trimmed(self, bins: int) -> "Histogram":
        """Return the range that holds values, in at most about `bins` equal bins (neighbours joined)."""
        used = np.flatnonzero(self.counts)
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, len(self.counts))
        joined = max(1, -(-(last - first) // bins))
        first -= first % joined
        last = min(len(self.counts), -(-last // joined) * joined)
        starts = np.arange(first, last, joined)
        result = Histogram(np.append(self.edges[starts], self.edges[last]))
        result.counts = np.add.reduceat(self.counts[:last], starts)
        result.sum = self.sum
        return result


def _milliseconds() -> Histogram:
    """0.01 ms to 3 hours in bins 4 % wide: quantiles are right within that."""
    return Histogram(np.geomspace(0.01, 1e7, 529))


class Greatest:
    """The `size` greatest of the tuples that are added."""

    def __init__(self, size: int):
        self.size = size
        self._heap: list[tuple] = []

    def add(self, item: tuple) -> None:
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def merge(self, other: "Greatest") -> None:
        for item in other:
            self.add(item)

    def __iter__(self) -> Iterator[tuple]:
        """From the greatest on."""
        return iter(sorted(self._heap, reverse=True))


@dataclass
class Summary(Generic[R]):
    """Figures of pages for the report, the same for every reader; of all pages once those of all shards are merged.

    Attributes:
        document_hashes: of the URIs of the documents.
        sample: (-page id, part, row) of pages that were read. Page ids are hashes, so the least of them are a fair
            sample, the same at every run. sampled: their records, fetched after the pass.
    """

    document_hashes: set[bytes] = field(default_factory=set)
    ok: int = 0
    failed: int = 0
    timings: dict[str, Histogram] = field(default_factory=lambda: defaultdict(_milliseconds))
    devices: Counter[str] = field(default_factory=Counter)
    error_groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: list[dict] = field(default_factory=list)
    sample: Greatest = field(default_factory=lambda: Greatest(SAMPLED_PAGES))
    sampled: list[R] = field(default_factory=list)

    @property
    def documents(self) -> int:
        return len(self.document_hashes)

    @property
    def pages(self) -> int:
        return self.ok + self.failed

    def merge(self, other: Self) -> None:
        """Add the figures of other, later parts."""
        self.document_hashes |= other.document_hashes
        self.ok += other.ok
        self.failed += other.failed
        for stage, milliseconds in other.timings.items():
            self.timings[stage].merge(milliseconds)
        self.devices.update(other.devices)
        self.error_groups.update(other.error_groups)
        self.errors += other.errors[: LISTED_ERRORS - len(self.errors)]
        self.sample.merge(other.sample)

    def fetch(self, store: RecordStore[R]) -> None:
        """Fetch the records of the pages that are shown."""
        self.sampled = [store.record(part, row) for _, part, row in self.sample]


def gathered(store: RecordStore[R], gather: Callable[[RecordStore[R], range], _Summary]) -> _Summary:
    """Return the figures of all parts with the records that are shown.

    Args:
        store: the job's records. Where Ray is connected, each PARTS_A_SHARD parts are read by a task, on nodes with the
            store's labels.
        gather: returns the figures of a range of parts; it pickles.
    """
    count = len(store.parts)
    shards = (range(first, min(first + PARTS_A_SHARD, count)) for first in range(0, count, PARTS_A_SHARD))
    of_shard = partial(_gather, gather, store.output.uri, store.record_type, store.parts)
    summaries = over_shards(of_shard, shards, store.labels)
    summary = next(summaries)
    for later in summaries:
        summary.merge(later)
    summary.fetch(store)
    return summary


def _gather(
    gather: Callable[[RecordStore[R], range], _Summary],
    output_uri: str,
    record_type: type[R],
    names: list[str],
    parts: range,
) -> _Summary:
    return gather(RecordStore(output_uri, record_type, names), parts)


def shared_pass(
    store: RecordStore[R], parts: range, columns: list[str], summary: Summary[R]
) -> Iterator[tuple[int, int, pa.RecordBatch, np.ndarray]]:
    """Yield (part, first row, batch, mask of its good rows) over `parts`, with `columns` and those of all readers.

    Along the way, the figures common to all readers are added to `summary`, which is complete after the pass.
    """
    for part, first, batch in store.batches([*_SHARED_COLUMNS, *columns], parts=parts):
        good = equals(batch["status"], "ok")
        # Python's own hash of a text differs from process to process.
        uris = batch["document_uri"].unique().to_pylist()
        summary.document_hashes.update(blake2b(uri.encode(), digest_size=8).digest() for uri in uris)
        summary.ok += int(good.sum())
        summary.failed += int((~good).sum())
        summary.devices.update(v for v in batch["device"].to_pylist() if v)
        _add_timings(summary, batch["timings_ms"])
        _add_errors(summary, batch, good)
        for row in np.flatnonzero(good).tolist():
            summary.sample.add((-int(batch["page_id"][row].as_py(), 16), part, first + row))
        yield part, first, batch, good


def _add_timings(summary: Summary, timings: pa.MapArray) -> None:
    """Add a batch's map<stage, milliseconds>."""
    first, last = timings.offsets[0].as_py(), timings.offsets[-1].as_py()
    stages = timings.keys[first:last].dictionary_encode()
    milliseconds = floats(timings.items[first:last])
    codes = stages.indices.to_numpy(zero_copy_only=False)
    for code, stage in enumerate(stages.dictionary.to_pylist()):
        summary.timings[stage].add(milliseconds[codes == code])


def _add_errors(summary: Summary, batch: pa.RecordBatch, good: np.ndarray) -> None:
    for row in np.flatnonzero(~good).tolist():
        error = batch["error"][row].as_py() or {"stage": "unknown", "type": "unknown", "message": ""}
        summary.error_groups[error["stage"], error["type"]] += 1
        if len(summary.errors) < LISTED_ERRORS:
            uri, number = batch["document_uri"][row].as_py(), batch["page_number"][row].as_py()
            summary.errors.append({"document_uri": uri, "page_number": number, **error})


def floats(column: pa.Array) -> np.ndarray:
    """Return numbers as float64, null as NaN."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
