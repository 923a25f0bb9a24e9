"""Which worker is working on which page, to find and give up pages that kill their worker, and to report progress.

Ray restarts a dead actor and hands it the same pages again, for ever. A small actor outlives the workers: it knows that
a batch was begun before, the worker then takes its pages one by one, and the page that was alone in hand at each
further death becomes an error row. A page for which a worker ended itself (`pipelines.watchdog`) is one at once.

The actor lives on the driver's node: when that is lost, the run is, too. Should its process die, Ray starts it again
without what it knew; that costs a page that kills its worker some more deaths, and nothing else.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.watchdog import Overrun

# A page is tried this often alone, after the batch it came in was lost with its worker.
ATTEMPTS_ALONE = 2
_ANSWER_SECONDS = 60.0
_MESSAGES_KEPT = 20


class WorkerDied(Exception):
    """The process that read a page died while it had only this page in hand."""


@dataclass(frozen=True)
class InFlight:
    """What the workers are at.

    Attributes:
        done: pages of unfinished batches that are read; `failed` of them are errors.
        began: when the first batch of all was begun, in Unix time; None: not yet, or not known.
        messages: of workers, since the last call.
        opened_documents, opened_pages: documents that were opened while reading went on, and the pages in them.
    """

    done: int = 0
    failed: int = 0
    began: float | None = None
    messages: tuple[str, ...] = ()
    opened_documents: int = 0
    opened_pages: int = 0


class _Book:
    """The actor's body. Nothing is kept of finished batches, so its memory follows what is in flight."""

    def __init__(self):
        self._begun: set[str] = set()
        self._alone: dict[tuple[str, str], tuple[int, str]] = {}
        self._overruns: dict[tuple[str, str], Overrun] = {}
        self._in_flight: dict[str, tuple[int, int]] = {}
        self._first_begun: float | None = None
        self._messages: deque[str] = deque(maxlen=_MESSAGES_KEPT)
        self._opened = (0, 0)

    def begin(self, batch: str) -> bool:
        self._first_begun = self._first_begun or time.time()
        again = batch in self._begun
        self._begun.add(batch)
        self._in_flight[batch] = (0, 0)
        return again

    def begin_alone(self, batch: str, page_id: str) -> tuple[int, str, Overrun | None]:
        key = batch, page_id
        count, stage = self._alone.get(key, (0, ""))
        self._alone[key] = (count + 1, stage)
        return count, stage, self._overruns.get(key)

    def entering(self, batch: str, page_id: str, stage: str) -> None:
        count, _ = self._alone.get((batch, page_id), (1, ""))
        self._alone[batch, page_id] = (count, stage)

    def end_alone(self, batch: str, page_id: str) -> None:
        self._alone.pop((batch, page_id), None)

    def overran(self, batch: str, overrun: Overrun) -> None:
        if len(overrun.page_ids) == 1:  # of several, each is tried alone
            self._overruns[batch, overrun.page_ids[0]] = overrun

    def advance(self, batch: str, done: int, failed: int) -> None:
        if batch in self._begun:
            self._in_flight[batch] = (done, failed)

    def opened(self, documents: int, pages: int) -> None:
        self._opened = (self._opened[0] + documents, self._opened[1] + pages)

    def say(self, message: str) -> None:
        if message not in self._messages:  # many workers meet the same trouble
            self._messages.append(message)

    def finish(self, batch: str) -> None:
        self._begun.discard(batch)
        self._in_flight.pop(batch, None)
        self._alone = {key: value for key, value in self._alone.items() if key[0] != batch}
        self._overruns = {key: value for key, value in self._overruns.items() if key[0] != batch}

    def in_flight(self) -> InFlight:
        counts = list(self._in_flight.values())
        messages, self._messages = tuple(self._messages), deque(maxlen=_MESSAGES_KEPT)
        return InFlight(
            sum(done for done, _ in counts),
            sum(failed for _, failed in counts),
            self._first_begun,
            messages,
            *self._opened,
        )


class Attempts:
    """The book of a run, opened by the driver and handed to the workers. Where the book does not answer, a call returns
    what it would for something never seen: reading continues.
    """

    def __init__(self):
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._book: Any = (
            ray.remote(_Book)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
            .remote()
        )

    def begin(self, batch: str) -> bool:
        """Note that `batch` is begun; True when it was begun before and never finished."""
        return self._ask(False, "begin", batch)

    def begin_alone(self, batch: str, page_id: str) -> tuple[int, str, Overrun | None]:
        """Note that a page is taken alone; returns how often it was before, the stage it was last seen in, and for what
        a worker ended itself over it."""
        return self._ask((0, "", None), "begin_alone", batch, page_id)

    def entering(self, batch: str, page_id: str, stage: str) -> None:
        """Note the stage a page taken alone is in."""
        self._ask(None, "entering", batch, page_id, stage)

    def end_alone(self, batch: str, page_id: str) -> None:
        """Record that the page came through: it is not at fault for what happens to its batch later."""
        self._ask(None, "end_alone", batch, page_id)

    def overran(self, batch: str, overrun: Overrun) -> None:
        """Note why the worker that has `batch` is about to end itself."""
        self._ask(None, "overran", batch, overrun)

    def advance(self, batch: str, done: int, failed: int) -> None:
        """Note how many pages of a batch are done, for the progress line; does not wait."""
        self._book.advance.remote(batch, done, failed)

    def opened(self, documents: int, pages: int) -> None:
        """Count documents that were opened, and their pages, for the progress line; does not wait."""
        self._book.opened.remote(documents, pages)

    def say(self, message: str) -> None:
        """Have the driver print a line; does not wait."""
        self._book.say.remote(message)

    def finish(self, batch: str) -> None:
        """Forget the batch: it is done."""
        self._ask(None, "finish", batch)

    def in_flight(self) -> InFlight:
        """Return what the workers are doing, and what they have reported since the last call."""
        return self._ask(InFlight(), "in_flight")

    def _ask(self, unknown: Any, method: str, *args: Any) -> Any:
        try:
            return ray.get(getattr(self._book, method).remote(*args), timeout=_ANSWER_SECONDS)
        except RayTaskError:
            raise
        except (RayError, GetTimeoutError):
            return unknown
