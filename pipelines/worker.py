"""The body of a Ray Data actor: consecutive stages fused into one process, pages handed on in memory."""

import time
from collections.abc import Iterator, Sequence

import cv2
import pyarrow as pa
import ray

from pipelines.attempts import ATTEMPTS_ALONE, WorkerDied
from pipelines.ledger import Ledger
from pipelines.page import Page
from pipelines.records import BaseRecord
from pipelines.stages.base import StageSpec, run_stages
from pipelines.storage import Storage

# What the last group tells the driver: one row a part.
SUMMARY_SCHEMA = pa.schema([("part", pa.string()), ("ok", pa.int64()), ("error", pa.int64()), ("device", pa.string())])

_IN_FLIGHT_SCHEMA = pa.schema(
    [
        ("record", pa.string()),
        ("row", pa.int64()),
        ("image_column", pa.string()),
        ("image", pa.binary()),
        ("view", pa.binary()),
        ("polygons", pa.binary()),
        ("blocks", pa.string()),
        ("crops", pa.list_(pa.binary())),
    ]
)
_PAGES_PER_HANDOVER = 8
_SECONDS_BETWEEN_REPORTS = 1.0


class StageGroup:
    """Runs `specs` over batches of pages; the last group of a pipeline commits each batch as one part.

    The first group takes rows of MANIFEST_SCHEMA, the others what the group before gave. The last one returns
    SUMMARY_SCHEMA; by then the rows are committed. `record_type` is the reader's.
    """

    def __init__(
        self,
        specs: Sequence[StageSpec],
        record_type: type[BaseRecord],
        *,
        first: bool,
        last: bool,
        output: str,
        attempts,
    ):
        cv2.setNumThreads(1)  # an actor is one core's worth; OpenCV would take all cores of the machine
        self.stages = [(spec.build(), spec.batch_size) for spec in specs]
        self.record_type = record_type
        self.first, self.last = first, last
        self.ledger = Ledger(Storage(output))
        self.attempts = attempts

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        rows = batch.to_pylist()
        opened = Page.from_manifest if self.first else Page.from_row
        pages = [opened(row, self.record_type) for row in rows]
        part = self.ledger.part_name([page.record.page_id for page in pages])
        key = f"{self.stages[0][0].name}/{part}"
        again = ray.get(self.attempts.begin.remote(key))
        if self.last:
            if again and self.ledger.has_part(part):  # the worker died between committing and returning
                yield self._summary(
                    part, [s == "ok" for s in self.ledger.read_part(part, ["status"])["status"].to_pylist()]
                )
            else:
                yield self._commit(part, self._read(key, pages, again))
        else:
            yield from self._hand_over(self._read(key, pages, again))
        ray.get(self.attempts.finish.remote(key))

    def _commit(self, part: str, pages: Iterator[Page]) -> pa.Table:
        records = [page.record for page in pages]
        self.ledger.commit(part, records)
        return self._summary(part, [record.status == "ok" for record in records], records[0].device)

    @staticmethod
    def _summary(part: str, good: list[bool], device: str = "") -> pa.Table:
        row = {"part": part, "ok": sum(good), "error": len(good) - sum(good), "device": device}
        return pa.Table.from_pylist([row], schema=SUMMARY_SCHEMA)

    @staticmethod
    def _hand_over(pages: Iterator[Page]) -> Iterator[pa.Table]:
        rows = []
        for page in pages:
            rows.append(page.to_row())
            if len(rows) == _PAGES_PER_HANDOVER:
                yield pa.Table.from_pylist(rows, schema=_IN_FLIGHT_SCHEMA)
                rows = []
        if rows:
            yield pa.Table.from_pylist(rows, schema=_IN_FLIGHT_SCHEMA)

    def _read(self, key: str, pages: list[Page], again: bool) -> Iterator[Page]:
        """Run the stages, one page after the other when an earlier worker died on this batch; tells progress."""
        stream = (self._read_alone(key, page) for page in pages) if again else run_stages(self.stages, pages)
        failed = 0
        told = time.monotonic()
        for done, page in enumerate(stream, start=1):
            failed += page.record.status == "error"
            if time.monotonic() - told > _SECONDS_BETWEEN_REPORTS:
                self.attempts.advance.remote(key, done, failed)
                told = time.monotonic()
            yield page

    def _read_alone(self, key: str, page: Page) -> Page:
        page_id = page.record.page_id
        count, stage_name = ray.get(self.attempts.begin_alone.remote(key, page_id))
        if count >= ATTEMPTS_ALONE:
            page.fail(stage_name, WorkerDied(f"the worker process died {count} times while reading only this page"))
            return page
        for stage, _ in self.stages:
            ray.get(self.attempts.entering.remote(key, page_id, stage.name))
            (page,) = run_stages([(stage, 1)], [page])
        ray.get(self.attempts.end_alone.remote(key, page_id))
        return page
