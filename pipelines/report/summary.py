"""Figures of a job, gathered in one pass over its committed parts.

Memory does not grow with the number of pages, but for one hash a document, which counts them.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.exports.store import RecordStore
from pipelines.records import BaseRecord, PageRecord

SAMPLED_PAGES = 12
WORST_PAGES = 8
LISTED_ERRORS = 500

_SHARED_COLUMNS = ["page_id", "document_uri", "page_number", "status", "error", "timings_ms", "device"]
_PAGE_COLUMNS = ["skew_degrees", "skew_confidence", "orientation_degrees", "lines.list.element.confidence"]


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
        """The value below which `share` of all values lie, interpolated within its bin."""
        below = np.concatenate([[0], np.cumsum(self.counts)])
        target = share * below[-1]
        number = min(int(np.searchsorted(below, target, side="right")) - 1, len(self.counts) - 1)
        while number > 0 and self.counts[number] == 0:
            number -= 1
        inside = (target - below[number]) / max(1, self.counts[number])
        return float(self.edges[number] + inside * (self.edges[number + 1] - self.edges[number]))

    def trimmed(self, bins: int) -> "Histogram":
        """The stretch that holds values, in at most about `bins` equal bins (neighbours joined)."""
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
class Summary:
    """What the report tells of all pages, whatever read them, and the records of those that it shows."""

    documents: int = 0
    ok: int = 0
    failed: int = 0
    timings: dict[str, Histogram] = field(default_factory=lambda: defaultdict(_milliseconds))
    devices: Counter[str] = field(default_factory=Counter)
    error_groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: list[dict] = field(default_factory=list)
    sampled: list[BaseRecord] = field(default_factory=list)

    @property
    def pages(self) -> int:
        return self.ok + self.failed


@dataclass
class PageSummary(Summary):
    """What it tells of pages of documents besides."""

    lines: int = 0
    without_text: int = 0
    skew: Histogram = field(default_factory=lambda: Histogram(np.linspace(-180, 180, 1441)))
    skew_confidence: Histogram = field(default_factory=lambda: Histogram(np.linspace(0, 1, 21)))
    orientation: Counter[int] = field(default_factory=Counter)
    line_confidence: Histogram = field(default_factory=lambda: Histogram(np.linspace(0, 1, 41)))
    worst: list[PageRecord] = field(default_factory=list)


def shared_pass(
    store: RecordStore, columns: list[str], summary: Summary
) -> Iterator[tuple[int, int, pa.RecordBatch, np.ndarray]]:
    """(part, first row, batch, which of its rows are good) over all parts, with `columns` and those of all readers.

    On the way what is told of all readers is added to `summary`; it is complete when the pass is.
    """
    documents: set[int] = set()
    # (-page id, part, row): page ids are hashes, so the least of them are a fair sample, the same at every run.
    sampled: list[tuple[int, int, int]] = []
    for part, first, batch in store.batches([*_SHARED_COLUMNS, *columns]):
        good = pc.equal(batch["status"], "ok").to_numpy(zero_copy_only=False)
        documents.update(hash(uri) for uri in batch["document_uri"].to_pylist())
        summary.ok += int(good.sum())
        summary.failed += int((~good).sum())
        summary.devices.update(v for v in batch["device"].to_pylist() if v)
        for timings in batch["timings_ms"].to_pylist():
            for stage, milliseconds in timings or ():
                summary.timings[stage].add(np.array([milliseconds]))
        _add_errors(summary, batch, good)
        for row in np.flatnonzero(good).tolist():
            keep(sampled, (-int(batch["page_id"][row].as_py(), 16), part, first + row), SAMPLED_PAGES)
        yield part, first, batch, good
    summary.documents = len(documents)
    summary.sampled = [store.record(part, row) for _, part, row in sorted(sampled, reverse=True)]


def summarize(store: RecordStore) -> PageSummary:
    """One pass over all parts of a documents job, then the records of the sampled and the worst pages."""
    summary = PageSummary()
    worst: list[tuple[float, int, int]] = []  # (-mean confidence, part, row)
    for part, first, batch, good in shared_pass(store, _PAGE_COLUMNS, summary):
        summary.skew.add(floats(batch["skew_degrees"]))
        summary.skew_confidence.add(floats(batch["skew_confidence"]))
        summary.orientation.update(v for v in batch["orientation_degrees"].to_pylist() if v is not None)
        confidences = _mean_confidences(summary, batch, good)
        for row in np.flatnonzero(good & np.isfinite(confidences)).tolist():
            keep(worst, (-float(confidences[row]), part, first + row), WORST_PAGES)
    summary.worst = [store.record(part, row) for _, part, row in sorted(worst, reverse=True)]
    return summary


def _mean_confidences(summary: PageSummary, batch: pa.RecordBatch, good: np.ndarray) -> np.ndarray:
    """Mean line confidence of each page, (rows,) float; NaN for a page without lines. Counts all lines on the way."""
    lines = batch["lines"]
    lengths = pc.fill_null(pc.list_value_length(lines), 0).to_numpy(zero_copy_only=False)
    values = floats(lines.flatten().field("confidence"))
    summary.line_confidence.add(values)
    summary.lines += len(values)
    summary.without_text += int((good & (lengths == 0)).sum())
    ends = np.cumsum(lengths)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    with np.errstate(invalid="ignore"):
        return (sums[ends] - sums[ends - lengths]) / np.where(lengths, lengths, np.nan)


def _add_errors(summary: Summary, batch: pa.RecordBatch, good: np.ndarray) -> None:
    for row in np.flatnonzero(~good).tolist():
        error = batch["error"][row].as_py() or {"stage": "unknown", "type": "unknown", "message": ""}
        summary.error_groups[error["stage"], error["type"]] += 1
        if len(summary.errors) < LISTED_ERRORS:
            uri, number = batch["document_uri"][row].as_py(), batch["page_number"][row].as_py()
            summary.errors.append({"document_uri": uri, "page_number": number, **error})


def floats(column: pa.Array) -> np.ndarray:
    """Numbers as float64, null as NaN."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def keep(heap: list, item: tuple, size: int) -> None:
    """Keep the `size` greatest items."""
    if len(heap) < size:
        heapq.heappush(heap, item)
    else:
        heapq.heappushpop(heap, item)
