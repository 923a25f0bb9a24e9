"""What a job will take: its pages, and the time of a page, from samples of both."""

import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pipelines.documents import Limits
from pipelines.page import Page
from pipelines.readers.base import Reader
from pipelines.records import BaseRecord
from pipelines.sources import Document, plan_pages, plan_unopened
from pipelines.stages.base import StageSpec, run_stages
from pipelines.watchdog import Overrun, PageLimits, Watchdog

_OPENED_DOCUMENTS = 200
_RESAMPLED = 2000
_SPREAD = (5, 95)  # percentiles


@dataclass(frozen=True)
class Estimate:
    """A figure from a sample, and the range that holds it in nine of ten samples of this size."""

    value: float
    low: float
    high: float

    def times(self, factor: "float | Estimate") -> "Estimate":
        """Return the product; of two estimates, with the ends of both ranges."""
        if isinstance(factor, Estimate):
            return Estimate(self.value * factor.value, self.low * factor.low, self.high * factor.high)
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean of a sample, and its spread by resampling (bootstrap)."""
    array = np.asarray(values, np.float64)
    picks = np.random.default_rng(0).integers(0, len(array), (_RESAMPLED, len(array)))
    low, high = np.percentile(array[picks].mean(axis=1), _SPREAD)
    return Estimate(float(array.mean()), float(low), float(high))


@dataclass(frozen=True)
class Pages:
    """Pages of a job.

    Attributes:
        count: how many; exact where all documents are images of one page.
        opened: documents that were opened to count their pages, of `to_open`.
        sample: manifest rows of pages to read, chosen at random.
    """

    count: Estimate
    opened: int
    to_open: int
    sample: list[dict[str, Any]]


def count_pages(documents: Sequence[Document], limits: Limits, sampled: int) -> Pages:
    """Count the pages of documents, and choose up to `sampled` of them.

    Documents of several pages are opened, at most a few hundred of them; the same ones each time.
    """
    chosen = random.Random(0)
    known = [document for document in documents if plan_unopened(document, limits) is not None]
    seen = {document.uri for document in known}
    unopened = [document for document in documents if document.uri not in seen]
    opened = chosen.sample(unopened, min(_OPENED_DOCUMENTS, len(unopened)))
    rows = [plan_pages([document], limits) for document in opened]
    count = Estimate(len(known), len(known), len(known))
    if rows:
        more = mean([len(pages) for pages in rows])
        if len(opened) == len(unopened):
            more = Estimate(more.value, more.value, more.value)
        more = more.times(len(unopened))
        count = Estimate(count.value + more.value, count.low + more.low, count.high + more.high)
    # A page is as likely as any other: documents of one page stand for themselves, opened ones for the others too.
    weight = len(unopened) / len(opened) if opened else 1.0
    candidates: list[tuple[float, dict[str, Any] | Document]] = [(1.0, document) for document in known]
    candidates += [(weight, row) for pages in rows for row in pages]
    keys = sorted(((chosen.random() ** (1 / each), i) for i, (each, _) in enumerate(candidates)), reverse=True)
    sample = [_row(candidates[i][1], limits) for _, i in keys[:sampled]]
    return Pages(count, len(opened), len(unopened), sample)


def _row(candidate: "dict[str, Any] | Document", limits: Limits) -> dict[str, Any]:
    return plan_pages([candidate], limits)[0] if isinstance(candidate, Document) else candidate


def read_sample(
    reader: Reader[Any, Any], rows: Sequence[dict[str, Any]], limits: PageLimits, device: str = "cpu"
) -> Iterator[tuple[float, BaseRecord | None]]:
    """Read pages one after the other on one core of this machine, in a process of its own; yield seconds and record of
    each. None in the place of the record: the page ended the process, as it would end a worker.

    A page that a process begins with is read twice: networks are slow when they are new.
    """
    context = multiprocessing.get_context("spawn")
    pool: ProcessPoolExecutor | None = None
    try:
        for row in rows:
            started = time.monotonic()
            try:
                if pool is None:
                    setup = (reader.stages(device), reader.record_type, limits)
                    pool = ProcessPoolExecutor(1, context, initializer=_open, initargs=setup)
                    pool.submit(_read, row).result()
                read = pool.submit(_read, row).result()
            except BrokenProcessPool:
                read = time.monotonic() - started, None
                pool = None
            yield read
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


_opened: tuple[list[tuple[Any, int]], type[BaseRecord], Watchdog] | None = None


def _open(specs: Sequence[StageSpec], record_type: type[BaseRecord], limits: PageLimits) -> None:
    global _opened
    cv2.setNumThreads(1)
    _opened = [(spec.build(), 1) for spec in specs], record_type, Watchdog(limits, _ignore)


def _ignore(overrun: Overrun) -> None:
    """Do nothing: that the process ends says enough."""


def _read(row: dict[str, Any]) -> tuple[float, BaseRecord]:
    assert _opened is not None
    stages, record_type, watchdog = _opened
    started = time.perf_counter()
    (page,) = run_stages(stages, [Page.from_manifest(row, record_type)], watchdog.watching)
    return time.perf_counter() - started, page.record
