"""Figures of a meters job: of its committed parts and of `readings.parquet`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipelines.documents.access import open_file
from pipelines.exports.store import RecordStore
from pipelines.readers.meters.readings import READINGS, Findings
from pipelines.readers.meters.record import MeterRecord
from pipelines.report.summary import Histogram, Summary, floats, keep, shared_pass

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
    """

    classes: Counter[str] = field(default_factory=Counter)
    class_confidence: Histogram = field(default_factory=_shares)
    confidence: Histogram = field(default_factory=_shares)
    findings: Findings = field(default_factory=Findings)
    judged: bool = False
    implausible: list[MeterRecord] = field(default_factory=list)
    unread: list[MeterRecord] = field(default_factory=list)
    judgements: dict[str, dict[str, Any]] = field(default_factory=dict)


def summarize_meters(store: RecordStore[MeterRecord]) -> MeterSummary:
    """One pass over all parts and two over the judged readings; memory does not grow with the photos."""
    summary = MeterSummary()
    wanted = _implausible(store, summary)
    places: dict[str, tuple[int, int]] = {}
    unread: list[tuple[int, int, int]] = []
    for part, first, batch, good in shared_pass(store, _COLUMNS, summary):
        found = good & np.array([bool(name) for name in batch["meter_class"].to_pylist()], bool)
        summary.classes.update(np.array(batch["meter_class"].to_pylist(), object)[good].tolist())
        summary.class_confidence.add(floats(batch["class_confidence"])[found])
        summary.confidence.add(floats(batch["confidence"])[found])
        for row, photo in enumerate(batch.select(["page_id", "status", "success", "reason"]).to_pylist()):
            page_id = photo.pop("page_id")
            summary.findings.count_photo(**photo)
            if page_id in wanted:
                places[page_id] = (part, first + row)
            if good[row] and not photo["success"]:
                keep(unread, (-int(page_id, 16), part, first + row), UNREAD_PHOTOS)
    summary.unread = [store.record(part, row) for _, part, row in sorted(unread, reverse=True)]
    summary.implausible = [store.record(*places[page_id]) for page_id in sorted(places)]
    shown = {record.page_id for record in (*summary.implausible, *summary.unread, *summary.sampled)}
    for rows in _judged(store, ["page_id", "meter_id", "time", "plausible", "reason", "repaired"]):
        summary.judgements |= {row["page_id"]: row for row in rows if row["page_id"] in shown}
    return summary


def _implausible(store: RecordStore[MeterRecord], summary: MeterSummary) -> set[str]:
    """Page ids of the implausible readings that are shown, a fair sample; counts all judgements on the way."""
    summary.judged = store.output.exists(READINGS)
    chosen: list[tuple[int, str]] = []
    for rows in _judged(store, ["page_id", "plausible", "reason", "repaired"]):
        for row in rows:
            summary.findings.count_judgement(row["plausible"], row["reason"], row["repaired"])
            if row["plausible"] is False:
                keep(chosen, (-int(row["page_id"], 16), row["page_id"]), IMPLAUSIBLE_PHOTOS)
    return {page_id for _, page_id in chosen}


def _judged(store: RecordStore[MeterRecord], columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows of `readings.parquet`, some at a time; nothing when the job has not got that far."""
    if store.output.exists(READINGS):
        with open_file(f"{store.output.uri}/{READINGS}") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(columns=columns):
                yield batch.to_pylist()
