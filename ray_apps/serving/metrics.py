"""ocray's own metrics of serving, besides those of Serve (docs/monitoring.md lists both).

Serve already exports requests and latency by route, method and status, requests in flight, queues and replicas. These
classes add what only a reader knows. Create them in a replica's constructor: Serve then tags every series with its
application, deployment and replica. On export Ray prefixes names with `ray_` and appends `_total` to counters. A series
appears in Prometheus with its first event.
"""

from collections.abc import Sequence
from typing import Any

from ray.serve.metrics import Counter, Histogram

from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.records import BaseRecord

# Ray exports only bucket counts and derives a histogram's sum from the middles of the buckets: narrow buckets keep the
# means right, and a bucket around each small integer makes them exact.
_SECONDS = [ms * step / 1000 for ms in (1, 10, 100, 1000, 10_000) for step in (1, 2, 3, 5, 7)]
_PAGES = [n + 0.5 for n in (*range(9), 12, 16, 24, 32, 48, 64)]
_CONFIDENCE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0]


def _tags(*names: str) -> Any:
    """Return tag keys as Ray takes them: a tuple of any length, though its annotation says one of a single key."""
    return names


class StageMetrics:
    """Counts the pages read by a replica's stages."""

    def __init__(self):
        self._pages = Counter("ocray_pages", "Pages read, by how they ended here (ok, error).", _tags("status"))
        self._errors = Counter("ocray_page_errors", "Pages that failed here.", _tags("stage", "type"))
        self._lines = Counter("ocray_lines", "Text lines read.")
        self._stage_seconds = Histogram(
            "ocray_stage_seconds", "Time of a stage for one page: its share of the batch.", _SECONDS, _tags("stage")
        )
        self._batch_seconds = Histogram("ocray_batch_seconds", "Time of a batch through all stages here.", _SECONDS)
        self._batch_pages = Histogram("ocray_batch_pages", "Pages in a batch.", _PAGES)
        self._confidence = Histogram(
            "ocray_confidence",
            "Confidence (0-1) of a page: of its angle (deskew, orientation), mean of its lines (text_recognition), of "
            "the least sure place of a reading that may be used (meter).",
            _CONFIDENCE,
            _tags("stage"),
        )

    def observe(self, pages: Sequence[Page], stages: Sequence[str], batch_size: int, seconds: float) -> None:
        """Count a batch that has passed `stages` (their names). Pages that had failed before are left out: the replica
        where they failed has counted them.

        `batch_size` is the number of pages in the batch, `seconds` the time it took.
        """
        self._batch_pages.observe(batch_size)
        self._batch_seconds.observe(seconds)
        for page in pages:
            self._observe_page(page.record, stages)

    def _observe_page(self, record: BaseRecord, stages: Sequence[str]) -> None:
        if record.error is not None:
            if record.error.stage not in stages:
                return
            self._errors.inc(tags={"stage": record.error.stage, "type": record.error.type})
        self._pages.inc(tags={"status": record.status})
        for stage in stages:
            if stage in record.timings_ms:
                self._stage_seconds.observe(record.timings_ms[stage] / 1000, {"stage": stage})
            confidence = record.stage_confidence(stage)
            if confidence is not None:
                self._confidence.observe(confidence, {"stage": stage})
        if "text_recognition" in stages and isinstance(record, PageRecord) and record.lines:
            self._lines.inc(len(record.lines))


class RequestMetrics:
    """Counts the documents that the ingress receives and the requests that it refuses."""

    def __init__(self):
        self._documents = Counter("ocray_documents", "Documents taken in.", _tags("route"))
        self._bytes = Counter("ocray_document_bytes", "Bytes of documents taken in, as encoded.", _tags("route"))
        self._refused = Counter("ocray_refused_requests", "Requests turned away for want of room.", _tags("reason"))

    def received(self, route: str, document_bytes: int) -> None:
        """Count a document received at `route`: the template (`/v1/documents`), never a path with an id in it."""
        self._documents.inc(tags={"route": route})
        if document_bytes:
            self._bytes.inc(document_bytes, {"route": route})

    def refused(self, reason: str) -> None:
        """Count a refused request; `reason` is one word of a fixed set, since each becomes a series."""
        self._refused.inc(tags={"reason": reason})
