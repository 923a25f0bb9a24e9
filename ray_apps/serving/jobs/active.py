"""A job in the runner's hands."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine

from ray_apps.serving.jobs.record import JobRecord
from ray_apps.serving.requests import Document


class ActiveJob:
    """An unfinished job in the runner's hands. `document` is there while the job is open."""

    def __init__(self, record: JobRecord):
        self.record = record
        self.document: Document | None = None
        self.todo: deque[int] = deque()
        self.over = False  # nothing more of it is to be read or written
        self.wake = asyncio.Event()  # ends a pause between two tries
        self.lock = asyncio.Lock()  # round each change of `job.json`
        self.saved = record  # what `job.json` holds, as far as this runner knows
        self._writes: set[asyncio.Task] = set()

    @property
    def id(self) -> str:
        return self.record.id

    def stop(self) -> None:
        """Let nothing more of it begin."""
        self.over = True
        self.wake.set()

    async def rest(self, seconds: float) -> None:
        """Pause before another try; until `wake` at most."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.wake.wait(), seconds)

    async def write(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run a write that `written` knows about."""
        task = asyncio.ensure_future(coroutine)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        await task

    async def written(self) -> None:
        """Wait for the writes that have begun."""
        if self._writes:
            await asyncio.wait(self._writes)
