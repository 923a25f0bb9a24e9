"""Figures of a documents job: its committed parts."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import Self

from pipelines.exports.store import RecordStore
from pipelines.readers.documents.record import PageRecord
from pipelines.report.summary import Greatest, Histogram, Summary, floats, gathered, shared_pass

WORST_PAGES = 8
_COLUMNS = ["skew_degrees", "skew_confidence", "orientation_degrees", "lines.list.element.confidence"]


@dataclass
class PageSummary(Summary[PageRecord]):
    """What the report shows of pages of documents besides; `least_sure`: (-mean confidence, part, row) of the worst."""

    lines: int = 0
    without_text: int = 0
    skew: Histogram = field(default_factory=lambda: Histogram(np.linspace(-180, 180, 1441)))
    skew_confidence: Histogram = field(default_factory=lambda: Histogram(np.linspace(0, 1, 21)))
    orientation: Counter[int] = field(default_factory=Counter)
    line_confidence: Histogram = field(default_factory=lambda: Histogram(np.linspace(0, 1, 41)))
    least_sure: Greatest = field(default_factory=lambda: Greatest(WORST_PAGES))
    worst: list[PageRecord] = field(default_factory=list)

    def merge(self, other: Self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - only its like
        super().merge(other)
        self.lines += other.lines
        self.without_text += other.without_text
        self.skew.merge(other.skew)
        self.skew_confidence.merge(other.skew_confidence)
        self.orientation.update(other.orientation)
        self.line_confidence.merge(other.line_confidence)
        self.least_sure.merge(other.least_sure)

    def fetch(self, store: RecordStore[PageRecord]) -> None:
        super().fetch(store)
        self.worst = [store.record(part, row) for _, part, row in self.least_sure]


def summarize(store: RecordStore[PageRecord]) -> PageSummary:
    """One pass over all parts of a documents job, then the records of the sampled and the worst pages."""
    return gathered(store, _gather)


def _gather(store: RecordStore[PageRecord], parts: range) -> PageSummary:
    summary = PageSummary()
    for part, first, batch, good in shared_pass(store, parts, _COLUMNS, summary):
        summary.skew.add(floats(batch["skew_degrees"]))
        summary.skew_confidence.add(floats(batch["skew_confidence"]))
        summary.orientation.update(v for v in batch["orientation_degrees"].to_pylist() if v is not None)
        confidences = _mean_confidences(summary, batch, good)
        for row in np.flatnonzero(good & np.isfinite(confidences)).tolist():
            summary.least_sure.add((-float(confidences[row]), part, first + row))
    return summary


def _mean_confidences(summary: PageSummary, batch: pa.RecordBatch, good: np.ndarray) -> np.ndarray:
    """Mean line confidence of each page, (rows,) float; NaN for a page without lines. Counts all lines on the way."""
    lines = batch["lines"]
    lengths = pc.fill_null(lines.value_lengths(), 0).to_numpy(zero_copy_only=False)
    values = floats(lines.flatten().field("confidence"))
    summary.line_confidence.add(values)
    summary.lines += len(values)
    summary.without_text += int((good & (lengths == 0)).sum())
    ends = np.cumsum(lengths)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    with np.errstate(invalid="ignore"):
        return (sums[ends] - sums[ends - lengths]) / np.where(lengths, lengths, np.nan)
