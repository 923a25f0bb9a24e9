"""Who is working on which page, so that a page that kills its worker is found and given up, and progress can be told.

Ray restarts a dead actor and hands it the same pages again, for ever. This small actor outlives the workers: it knows
that a batch was begun before, the worker then takes its pages one by one, and the page that was alone in hand at each
further death becomes an error row.
"""

import time

import ray

# A page is tried this often alone, after the batch it came in was lost with its worker.
ATTEMPTS_ALONE = 2


class WorkerDied(Exception):
    """The process that read a page died while it had only this page in hand."""


@ray.remote(num_cpus=0)
class Attempts:
    """Counts beginnings. Nothing is kept of finished batches, so its memory follows what is in flight."""

    def __init__(self):
        self._begun: set[str] = set()
        self._alone: dict[tuple[str, str], tuple[int, str]] = {}
        self._in_flight: dict[str, tuple[int, int]] = {}
        self._first_begun: float | None = None

    def begin(self, batch: str) -> bool:
        """Note that `batch` is begun; True when it was begun before and never finished."""
        self._first_begun = self._first_begun or time.time()
        again = batch in self._begun
        self._begun.add(batch)
        self._in_flight[batch] = (0, 0)
        return again

    def begin_alone(self, batch: str, page_id: str) -> tuple[int, str]:
        """Note that a page is taken alone; returns how often it was before, and the stage it was last seen in."""
        count, stage = self._alone.get((batch, page_id), (0, ""))
        self._alone[batch, page_id] = (count + 1, stage)
        return count, stage

    def entering(self, batch: str, page_id: str, stage: str) -> None:
        """Note the stage a page taken alone is in."""
        self._alone[batch, page_id] = (self._alone[batch, page_id][0], stage)

    def end_alone(self, batch: str, page_id: str) -> None:
        """The page came through: it is not at fault for what happens to its batch later."""
        self._alone.pop((batch, page_id), None)

    def advance(self, batch: str, done: int, failed: int) -> None:
        """Note how many pages of a batch are done, for the progress line."""
        if batch in self._begun:
            self._in_flight[batch] = (done, failed)

    def finish(self, batch: str) -> None:
        """The batch is done; forget it."""
        self._begun.discard(batch)
        self._in_flight.pop(batch, None)
        self._alone = {key: value for key, value in self._alone.items() if key[0] != batch}

    def in_flight(self) -> tuple[int, int, float | None]:
        """(done, failed) pages of unfinished batches, and when the first batch of all was begun (Unix time)."""
        counts = list(self._in_flight.values())
        return sum(done for done, _ in counts), sum(failed for _, failed in counts), self._first_begun
