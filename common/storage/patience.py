"""Retries of requests to storage that does not answer."""

import logging
import os
import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from fsspec.registry import registry
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_before_delay, wait_random_exponential

from common.storage.causes import PASSING, Cause, access_problem, cause_of
from common.storage.errors import StorageUnavailable

logger = logging.getLogger("ocray")

#: How long requests are retried before storage counts as unavailable, in seconds; the variable overrides it.
PATIENCE_SECONDS = 300.0
PATIENCE_VARIABLE = "OCRAY_STORAGE_PATIENCE"
# Waits grow from here. They are random, so that a thousand workers do not retry at the same moment.
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 20.0

_Answer = TypeVar("_Answer")

_around_waits: Callable[[], AbstractContextManager[None]] = nullcontext


def enter_around_waits(context: Callable[[], AbstractContextManager[None]]) -> None:
    """Enter a `context()` around every wait for storage in this process; it replaces the one set before.

    A process that limits the time of its work uses it to stop the clock.
    """
    global _around_waits
    _around_waits = context


class _Outages:
    """The storages (`s3://bucket`) that do not answer this process, and those whose retries are used up.

    Otherwise an outage of hours would cost minutes per page. Once retries are used up, each request is made once until
    the storage answers again.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._silent: set[str] = set()
        self._given_up: set[str] = set()

    def begins(self, storage: str) -> bool:
        """Record that a storage does not answer. Return True the first time."""
        with self._lock:
            new = storage not in self._silent
            self._silent.add(storage)
            return new

    def give_up(self, storage: str) -> None:
        with self._lock:
            self._given_up.add(storage)

    def gave_up(self, storage: str) -> bool:
        return storage in self._given_up

    def ends(self, storage: str) -> bool:
        """Record that a storage answers. Return True if it did not before."""
        if storage not in self._silent:
            return False
        with self._lock:
            self._silent.discard(storage)
            self._given_up.discard(storage)
            return True


_outages = _Outages()


def patience() -> float:
    """Return for how many seconds requests to storage are retried."""
    return float(os.environ.get(PATIENCE_VARIABLE) or PATIENCE_SECONDS)


def patiently(
    request: Callable[[], _Answer], uri: str, *, seconds: float | None = None, causes: Collection[Cause] = PASSING
) -> _Answer:
    """Return what `request()` returns; retry with growing waits while storage refuses for one of `causes`.

    The one place where anything waits for storage; see `enter_around_waits`.

    Args:
        request: called once or more.
        uri: what is requested, for messages.
        seconds: how long to retry; `patience()` when None, 0 for one attempt.
        causes: what is worth a retry.

    Raises:
        StorageUnavailable: retries are used up. Other exceptions of `request` pass through.
    """
    storage = _storage_of(uri)
    allowed = patience() if seconds is None else seconds
    if _outages.gave_up(storage):
        allowed = 0.0

    def before_waiting(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, Exception):
            return
        if _outages.begins(storage):
            logger.warning("%s: %s. Retrying for up to %.0f s", uri, access_problem(error), allowed)
        if cause_of(error) is Cause.NO_CREDENTIALS:
            _forget_credentials()

    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Exception) and cause_of(error) in causes),
        wait=wait_random_exponential(multiplier=_FIRST_WAIT_SECONDS, max=_LONGEST_WAIT_SECONDS),
        stop=stop_before_delay(allowed),
        before_sleep=before_waiting,
        reraise=True,
    )
    try:
        with _around_waits():
            answer = retrying(request)
    except Exception as error:
        if isinstance(error, StorageUnavailable) or cause_of(error) not in causes:
            raise
        if seconds is None:
            _outages.begins(storage)
            _outages.give_up(storage)
        raise StorageUnavailable(f"{uri}: {access_problem(error)}") from error
    if _outages.ends(storage):
        logger.info("%s answers again", storage)
    return answer


def _storage_of(uri: str) -> str:
    """Return the storage that fails as a whole: a bucket, a host, or the local disk with its mounts."""
    protocol, found, rest = uri.rpartition("::")[2].partition("://")
    return f"{protocol}://{rest.partition('/')[0]}" if found and protocol != "file" else "file://"


def _forget_credentials() -> None:
    """Drop cached clients: they keep the credentials they were made with, new ones look for them again."""
    for kind in list(registry.values()):
        kind.clear_instance_cache()
