"""Figures of a job, gathered in one pass over its committed parts.

Memory does not grow with the number of pages, but for one hash a document, which counts them.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic

import numpy as np
import pyarrow as pa

from pipelines.exports.store import RecordStore
from pipelines.records import R
from pipelines.select_rows import equals

SAMPLED_PAGES = 12
LISTED_ERRORS = 500

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


@dataclass
class Summary(Generic[R]):
    """Figures of all pages for the report, the same for every reader, and the records of the pages that it shows."""

    documents: int = 0
    ok: int = 0
    failed: int = 0
    timings: dict[str, Histogram] = field(default_factory=lambda: defaultdict(_milliseconds))
    devices: Counter[str] = field(default_factory=Counter)
    error_groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: list[dict] = field(default_factory=list)
    sampled: list[R] = field(default_factory=list)

    @property
    def pages(self) -> int:
        return self.ok + self.failed


def shared_pass(
    store: RecordStore[R], columns: list[str], summary: Summary[R]
) -> Iterator[tuple[int, int, pa.RecordBatch, np.ndarray]]:
    """Yield (part, first row, batch, mask of its good rows) over all parts, with `columns` and those of all readers.

    Along the way, the figures common to all readers are added to `summary`, which is complete after the pass.
    """
    documents: set[int] = set()
    # (-page id, part, row): page ids are hashes, so the least of them are a fair sample, the same at every run.
    sampled: list[tuple[int, int, int]] = []
    for part, first, batch in store.batches([*_SHARED_COLUMNS, *columns]):
        good = equals(batch["status"], "ok")
        documents.update(hash(uri) for uri in batch["document_uri"].to_pylist())
        summary.ok += int(good.sum())
        summary.failed += int((~good).sum())
        summary.devices.update(v for v in batch["device"].to_pylist() if v)
        _add_timings(summary, batch["timings_ms"])
        _add_errors(summary, batch, good)
        for row in np.flatnonzero(good).tolist():
            keep(sampled, (-int(batch["page_id"][row].as_py(), 16), part, first + row), SAMPLED_PAGES)
        yield part, first, batch, good
    summary.documents = len(documents)
    summary.sampled = [store.record(part, row) for _, part, row in sorted(sampled, reverse=True)]


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


def keep(heap: list, item: tuple, size: int) -> None:
    """Keep the `size` greatest items."""
    if len(heap) < size:
        heapq.heappush(heap, item)
    else:
        heapq.heappushpop(heap, item)
