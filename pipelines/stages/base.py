"""What a stage is, and how stages are chained over a stream of pages."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol

from pipelines.page import Page
from pipelines.records import R


class Stage(Protocol[R]):
    """One step of reading. Constructed once in the process that hosts it (models are opened there)."""

    name: str

    def __call__(self, pages: list[Page[R]]) -> None:
        """Read `pages` in place. May raise: the page at fault then becomes an error row, its batch-mates do not."""
        ...


@dataclass(frozen=True)
class StageSpec(Generic[R]):
    """How to build a stage, and what it needs: the unit that placement groups into actor pools.

    `batch_size` is the number of pages handed over in one call; it bounds how many decoded pages are held at once.
    """

    stage: type[Stage[R]]
    kwargs: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 1
    gpu: bool = False

    def build(self) -> Stage[R]:
        return self.stage(**self.kwargs)


# Makes the context of a stage's call from its name and the pages (`pipelines.watchdog.Watchdog.watching`).
Watch = Callable[[str, Sequence[Page[Any]]], AbstractContextManager[None]]


def unwatched(stage: str, pages: Sequence[Page[Any]]) -> AbstractContextManager[None]:
    """For processes that may not end themselves: tests, notebooks."""
    return nullcontext()


def run_stages(
    stages: Sequence[tuple[Stage[R], int]], pages: Iterable[Page[R]], watch: Watch = unwatched
) -> Iterator[Page[R]]:
    """Chain (stage, batch_size) pairs over a stream of pages, depth first: a page is decoded only when the stages
    behind it have room, so that memory holds a few pages however long the stream is. Order is kept. Each call of a
    stage is made within `watch`.
    """
    stream: Iterator[Page[R]] = iter(pages)
    for stage, batch_size in stages:
        stream = _run_stage(stage, batch_size, stream, watch)
    return stream


def _run_stage(stage: Stage[R], batch_size: int, pages: Iterator[Page[R]], watch: Watch) -> Iterator[Page[R]]:
    batch: list[Page[R]] = []
    for page in pages:
        batch.append(page)
        if len(batch) == batch_size:
            apply_stage(stage, batch, watch)
            yield from batch
            batch = []
    if batch:
        apply_stage(stage, batch, watch)
        yield from batch


def apply_stage(stage: Stage[R], pages: list[Page[R]], watch: Watch = unwatched) -> None:
    """Call a stage on the pages that are still good. When the call fails, each page is tried alone, so that only the
    page at fault becomes an error row. The time is shared equally among the pages of a call.
    """
    good = [page for page in pages if page.record.status == "ok"]
    if not good:
        return
    started = time.perf_counter()
    try:
        with watch(stage.name, good):
            stage(good)
    except Exception as error:
        if len(good) == 1:
            good[0].fail(stage.name, error)
        else:
            for page in good:
                apply_stage(stage, [page], watch)
            return
    elapsed = (time.perf_counter() - started) * 1000 / len(good)
    for page in good:
        page.record.timings_ms[stage.name] = round(elapsed, 3)
