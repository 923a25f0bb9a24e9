"""Figures of a meters job: of its committed parts and of `readings.parquet`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from typing_extensions import Self

from pipelines.documents.access import open_file
from pipelines.exports.store import RecordStore
from pipelines.readers.meters.readings import READINGS, Findings
from pipelines.readers.meters.record import MeterRecord
from pipelines.report.summary import Greatest, Histogram, Summary, floats, gathered, shared_pass

IMPLAUSIBLE_PHOTOS = 12
UNREAD_PHOTOS = 8
_COLUMNS = ["success", "reason", "confidence", "meter_class", "class_confidence"]


def _shares() -> Histogram:
    return Histogram(np.linspace(0, 1, 41))


@dataclass
class MeterSummary(Summary[MeterRecord]):
    """Further figures of photos of meters for the report.

    Attributes:
        classes: photos of each class; "": without a display.
        class_confidence, confidence: of the class and of the reading, where a display was found.
        findings: their judgements; `judged`: whether `readings.parquet` exists.
        implausible, unread: records that are shown. judgements: rows of `readings.parquet` by page id, of all shown.
        implausible_places: (part, row) by page id. least_unread: (-page id, part, row).
    """

    classes: Counter[str] = field(default_factory=Counter)
    class_confidence: Histogram = field(default_factory=_shares)
    confidence: Histogram = field(default_factory=_shares)
    findings: Findings = field(default_factory=Findings)
    judged: bool = False
    implausible: list[MeterRecord] = field(default_factory=list)
    unread: list[MeterRecord] = field(default_factory=list)
    judgements: dict[str, dict[str, Any]] = field(default_factory=dict)
    implausible_places: dict[str, tuple[int, int]] = field(default_factory=dict)
    least_unread: Greatest = field(default_factory=lambda: Greatest(UNREAD_PHOTOS))

    def merge(self, other: Self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - only its like
        super().merge(other)
        self.classes.update(other.classes)
        self.class_confidence.merge(other.class_confidence)
        self.confidence.merge(other.confidence)
        self.findings.add(other.findings)
        self.implausible_places |= other.implausible_places
        self.least_unread.merge(other.least_unread)

    def fetch(self, store: RecordStore[MeterRecord]) -> None:
        super().fetch(store)
        self.unread = [store.record(part, row) for _, part, row in self.least_unread]
        self.implausible = [store.record(*place) for _, place in sorted(self.implausible_places.items())]


def summarize_meters(store: RecordStore[MeterRecord]) -> MeterSummary:
    """One pass over all parts and two over the judged readings; memory does not grow with the photos."""
    findings = Findings()
    wanted = _implausible(store, findings)
    summary = gathered(store, partial(_gather, wanted))
    summary.findings.add(findings)
    summary.judged = store.output.exists(READINGS)
    shown = {record.page_id for record in (*summary.implausible, *summary.unread, *summary.sampled)}
    for rows in _judged(store, ["page_id", "meter_id", "time", "plausible", "reason", "repaired"]):
        summary.judgements |= {row["page_id"]: row for row in rows if row["page_id"] in shown}
    return summary


def _gather(wanted: set[str], store: RecordStore[MeterRecord], parts: range) -> MeterSummary:
    summary = MeterSummary()
    for part, first, batch, good in shared_pass(store, parts, _COLUMNS, summary):
        found = good & np.array([bool(name) for name in batch["meter_class"].to_pylist()], bool)
        summary.classes.update(np.array(batch["meter_class"].to_pylist(), object)[good].tolist())
        summary.class_confidence.add(floats(batch["class_confidence"])[found])
        summary.confidence.add(floats(batch["confidence"])[found])
        for row, photo in enumerate(batch.select(["page_id", "status", "success", "reason"]).to_pylist()):
            page_id = photo.pop("page_id")
            summary.findings.count_photo(**photo)
            if page_id in wanted:
                summary.implausible_places[page_id] = (part, first + row)
            if good[row] and not photo["success"]:
                summary.least_unread.add((-int(page_id, 16), part, first + row))
    return summary


def _implausible(store: RecordStore[MeterRecord], findings: Findings) -> set[str]:
    """Page ids of the implausible readings that are shown, a fair sample; counts all judgements on the way."""
    chosen = Greatest(IMPLAUSIBLE_PHOTOS)
    for rows in _judged(store, ["page_id", "plausible", "reason", "repaired"]):
        for row in rows:
            findings.count_judgement(row["plausible"], row["reason"], row["repaired"])
            if row["plausible"] is False:
                chosen.add((-int(row["page_id"], 16), row["page_id"]))
    return {page_id for _, page_id in chosen}


def _judged(store: RecordStore[MeterRecord], columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows of `readings.parquet`, some at a time; nothing when the job has not got that far."""
    if store.output.exists(READINGS):
        with open_file(f"{store.output.uri}/{READINGS}") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(columns=columns):
                yield batch.to_pylist()
