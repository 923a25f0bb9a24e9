"""Calls of the job store, which block, from a server, which must not; and what becomes of those that fail."""

import asyncio
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from common.storage import OutputFull
from common.storage.errors import FULL
from ray_apps.serving.jobs.record import JobNotFound

Result = TypeVar("Result")

_LONGEST_WAIT = 30.0  # seconds between two tries
_ASKING_THREADS = 32
_NO_FAULT_OF_THE_STORAGE = (JobNotFound, FileNotFoundError, ValueError)

logger = logging.getLogger("ray.serve")  # Serve gives its lines the replica and the request


class StoreFails(Exception):
    """The job store cannot be read or written now. `is_full`: it has no room."""

    def __init__(self, message: str, is_full: bool):
        super().__init__(message, is_full)
        self.message, self.is_full = message, is_full

    def __str__(self) -> str:
        return self.message


class StoreCalls:
    """Runs store calls in threads: the runner's own in some, those that clients wait for in others, so that a storage
    that hangs holds up nothing else.

    Args:
        working: threads for the runner's own calls.

    Attributes:
        trouble: what is wrong with the storage now; None when its last answer was a good one.
    """

    def __init__(self, working: int):
        self.trouble: str | None = None
        self._working = ThreadPoolExecutor(working, thread_name_prefix="job_store")
        self._asking = ThreadPoolExecutor(_ASKING_THREADS, thread_name_prefix="job_asking")

    async def ask(self, function: Callable[..., Result], *args: object) -> Result:
        """Make a call that a client waits for.

        Raises:
            StoreFails. What is no fault of the storage, as `function` raises it.
        """
        try:
            return await self._run(self._asking, function, *args)
        except _NO_FAULT_OF_THE_STORAGE:
            raise
        except Exception as error:  # storage back ends raise anything
            logger.warning("the job store fails: %s: %s", type(error).__name__, error)
            raise StoreFails(_in_words(error), _is_full(error)) from error

    async def work(self, function: Callable[..., Result], *args: object) -> Result:
        """Make a call of the runner, once; raise what it raises."""
        return await self._run(self._working, function, *args)

    async def insist(self, function: Callable[..., Result], *args: object) -> Result:
        """Make a call of the runner, and retry until the storage answers: no page is lost for it."""
        attempt = 0
        while True:
            try:
                return await self.work(function, *args)
            except _NO_FAULT_OF_THE_STORAGE:
                raise
            except Exception as error:  # storage back ends raise anything
                wait = pause(attempt)
                logger.warning("the job store fails, asking again in %.1f s: %s: %s", wait, type(error).__name__, error)
                await asyncio.sleep(wait)
                attempt += 1

    def close(self, wait: bool = False) -> None:
        """Let the threads end; with `wait`, return when they have."""
        for threads in (self._working, self._asking):
            threads.shutdown(wait, cancel_futures=True)

    async def _run(self, threads: ThreadPoolExecutor, function: Callable[..., Result], *args: object) -> Result:
        try:
            result = await asyncio.get_running_loop().run_in_executor(threads, function, *args)
        except _NO_FAULT_OF_THE_STORAGE:
            raise
        except Exception as error:
            self.trouble = _in_words(error)
            raise
        self.trouble = None
        return result


def pause(attempt: int, at_least: float = 0.5) -> float:
    """Seconds before the next try: doubling, and spread so that those who wait do not come back together."""
    return max(at_least, min(_LONGEST_WAIT, 0.5 * 2 ** min(attempt, 10))) * random.uniform(1.0, 1.5)


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OutputFull) or (isinstance(error, OSError) and error.errno in FULL)


def _in_words(error: BaseException) -> str:
    """For clients: storage's own words could name buckets, hosts or paths of the server."""
    if _is_full(error):
        return "the job store is full; delete jobs or make room, or come back later"
    return f"the job store does not answer ({type(error).__name__}); come back later"
