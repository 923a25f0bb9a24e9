"""The body of a Ray Data actor: consecutive stages fused into one process, pages handed on in memory."""

import logging
import time
from collections.abc import Iterator, Sequence

import cv2
import pyarrow as pa
import ray

from common.storage import OutputError, OutputFull, OutputUnavailable, Storage, StorageUnavailable
from pipelines.attempts import ATTEMPTS_ALONE, Attempts, WorkerDied
from pipelines.ledger import Ledger
from pipelines.output import CARD
from pipelines.page import Page
from pipelines.records import BaseRecord, PageError
from pipelines.shared_paths import NotShared, check_same_output
from pipelines.stages.base import StageSpec, run_stages
from pipelines.watchdog import Overrun, PageLimits, Watchdog

# What the last group returns to the driver: one row per part.
SUMMARY_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("ok", pa.int64()),
        ("error", pa.int64()),
        ("not_done", pa.int64()),  # pages that the storage would not give now, for the reason `why`
        ("why", pa.string()),
        ("trouble", pa.string()),  # name in TROUBLES of what must end the run, with `why`; else empty
    ]
)
# Told in the summary, not raised: Ray Data prints pages about an exception, and keeps the actors of its pipeline.
TROUBLES = {kind.__name__: kind for kind in (OutputError, OutputFull, OutputUnavailable, NotShared)}

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
        ("layer", pa.string()),
        ("layer_lines", pa.list_(pa.int32())),
        ("samples", pa.list_(pa.struct([("line", pa.int32()), ("crop", pa.binary())]))),
    ]
)
_PAGES_PER_HANDOVER = 8
# After this many consecutive pages that storage refused, the rest of a batch is left for later.
_REFUSALS_IN_A_ROW = 2
_SECONDS_BETWEEN_REPORTS = 1.0


class StageGroup:
    """Runs `specs` over batches of pages; the last group of a pipeline commits each batch as one part.

    The first group takes rows of MANIFEST_SCHEMA, the others what the group before gave. The last one returns
    SUMMARY_SCHEMA; by then the rows are committed. `record_type` is the reader's. The process ends itself over a page
    that takes more than `limits`. Where it has a GPU it runs `gpu_specs`, if there are any.
    """

    def __init__(
        self,
        specs: Sequence[StageSpec],
        record_type: type[BaseRecord],
        *,
        first: bool,
        last: bool,
        output: str,
        attempts: Attempts,
        limits: PageLimits,
        gpu_specs: Sequence[StageSpec] = (),
    ):
        if gpu_specs and ray.get_gpu_ids():
            specs = gpu_specs
        cv2.setNumThreads(1)  # an actor is one core's worth; OpenCV would take all cores of the machine
        self.stages = [(spec.build(), spec.batch_size) for spec in specs]
        self.record_type = record_type
        self.first, self.last = first, last
        self.ledger = Ledger(Storage(output))
        self.attempts = attempts
        logging.getLogger("ocray").addHandler(_ToDriver(attempts))
        self.watchdog = Watchdog(limits, self._overran)
        self._key = ""  # of the batch in hand

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        rows = batch.to_pylist()
        opened = Page.from_manifest if self.first else Page.from_row
        pages = [opened(row, self.record_type) for row in rows]
        part = self.ledger.part_name([page.record.page_id for page in pages])
        key = self._key = f"{self.stages[0][0].name}/{part}"
        again = self.attempts.begin(key)
        if self.last:
            try:
                yield self._finished(key, part, pages, again)
            except tuple(TROUBLES.values()) as error:
                yield _summary(part, trouble=error)
        else:
            yield from self._hand_over(self._read(key, pages, again))
        self.attempts.finish(key)

    def _finished(self, key: str, part: str, pages: list[Page], again: bool) -> pa.Table:
        check_same_output(self.ledger.output, CARD)
        if again and self.ledger.has_part(part):  # the worker died between committing and returning
            return self._committed(part, [page.record for page in pages])
        return self._commit(part, self._read(key, pages, again))

    def _commit(self, part: str, pages: Iterator[Page]) -> pa.Table:
        records = [page.record for page in pages]
        done = [record for record in records if not _not_now(record)]
        if done:
            self.ledger.commit(part, done)
        reasons = [record.error.message for record in records if _not_now(record)]
        return _summary(part, [record.status for record in done], reasons)

    def _committed(self, part: str, planned: Sequence[BaseRecord]) -> pa.Table:
        """Return the summary of a part that an earlier worker wrote."""
        states = self.ledger.read_part(part, ["page_id", "status"])
        lacking = {record.page_id for record in planned} - set(states["page_id"].to_pylist())
        return _summary(part, states["status"].to_pylist(), ["the storage did not answer"] * len(lacking))

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
        """Run the stages, page by page if an earlier worker died on this batch; report progress."""
        offered = _while_storage_answers(pages)
        if again:
            stream = (self._read_alone(key, page) for page in offered)
        else:
            stream = run_stages(self.stages, offered, self.watchdog.watching)
        failed = 0
        reported = time.monotonic()
        for done, page in enumerate(stream, start=1):
            failed += page.record.status == "error"
            if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                self.attempts.advance(key, done, failed)
                reported = time.monotonic()
            yield page

    def _read_alone(self, key: str, page: Page) -> Page:
        page_id = page.record.page_id
        count, stage_name, overrun = self.attempts.begin_alone(key, page_id)
        if overrun is not None:
            page.fail_as(overrun.stage, overrun.error, f"{page.record.document_uri}: {overrun.message}")
            return page
        if count >= ATTEMPTS_ALONE:
            page.fail(stage_name, WorkerDied(f"the worker process died {count} times while reading only this page"))
            return page
        for stage, _ in self.stages:
            self.attempts.entering(key, page_id, stage.name)
            (page,) = run_stages([(stage, 1)], [page], self.watchdog.watching)
        self.attempts.end_alone(key, page_id)
        return page

    def _overran(self, overrun: Overrun) -> None:
        self.attempts.overran(self._key, overrun)


class _ToDriver(logging.Handler):
    """What a worker warns of is printed where the job was started."""

    def __init__(self, attempts: Attempts):
        super().__init__(logging.WARNING)
        self.attempts = attempts

    def emit(self, record: logging.LogRecord) -> None:
        self.attempts.say(record.getMessage())


def _not_now(record: BaseRecord) -> bool:
    """Return whether a page is not done because storage did not answer. It gets no row, so that the next run reads
    it."""
    return record.error is not None and record.error.type == StorageUnavailable.__name__


def _while_storage_answers(pages: Sequence[Page]) -> Iterator[Page]:
    """Yield the pages; once storage has refused several in a row, each after long retries, the others fail at once."""
    refusals: list[PageError] = []
    for page in pages:
        good = page.record.status == "ok"
        if good and len(refusals) >= _REFUSALS_IN_A_ROW:
            page.fail_as(refusals[-1].stage, refusals[-1].type, refusals[-1].message)
        yield page
        if good:
            refusals = [*refusals, page.record.error] if _not_now(page.record) else []


def _summary(
    part: str, statuses: Sequence[str] = (), reasons: Sequence[str] = (), trouble: Exception | None = None
) -> pa.Table:
    row = {
        "part": part,
        "ok": statuses.count("ok"),
        "error": statuses.count("error"),
        "not_done": len(reasons),
        "why": str(trouble) if trouble else reasons[0] if reasons else "",
        "trouble": type(trouble).__name__ if trouble else "",
    }
    return pa.Table.from_pylist([row], schema=SUMMARY_SCHEMA)
