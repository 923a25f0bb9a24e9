"""Ends its own process when a page takes too long or too much memory, and reports first which page it was.

A renderer or a network that hangs in native code cannot be interrupted, only its process can be ended. What a lost
worker costs is known (`pipelines.attempts`, and Serve's replicas): the pages it had are read again, without the one at
fault.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from common.storage.patience import enter_around_waits
from pipelines.page import Page

logger = logging.getLogger("ocray")

EXIT_CODE = 70  # of a process that ended itself
_LOOKS_A_SECOND = 5
# Time limit of the report; the process ends in any case.
_SECONDS_TO_REPORT = 10.0
# After this many more seconds the kernel ends the process, should native code keep Python from running at all.
_GRACE_SECONDS = 15.0
_MIB = 2**20


@dataclass(frozen=True)
class PageLimits:
    """What one page may take in one stage.

    Attributes:
        seconds: wall time, without waiting for storage.
        seconds_a_megapixel: more time for each million pixels of the decoded page: large pages hold more text.
        memory_mib: how much the process may grow meanwhile, in MiB. A page of 300 megapixels takes 900 as RGB, and
            some stages hold it twice.
    """

    seconds: float = 120.0
    seconds_a_megapixel: float = 3.0
    memory_mib: int = 4096

    def __post_init__(self) -> None:
        for name in ("seconds", "memory_mib"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")

    def seconds_for(self, pages: Sequence[Page]) -> float:
        """Wall time that `pages` may take in one call of a stage."""
        megapixels = sum(page.record.width * page.record.height for page in pages) / 1e6
        return self.seconds * len(pages) + self.seconds_a_megapixel * megapixels


@dataclass(frozen=True)
class Overrun:
    """What a process was doing when it ended itself.

    `document` is the first page's, for messages; `error` the class name of the pages' error.
    """

    stage: str
    document: str
    page_ids: tuple[str, ...]
    error: str
    message: str


class _Call:
    """One call of a stage that is under way."""

    def __init__(self, stage: str, pages: Sequence[Page], limits: PageLimits):
        self.stage, self.page_ids = stage, tuple(page.record.page_id for page in pages)
        self.document = pages[0].record.document_uri
        self.allowed = limits.seconds_for(pages)
        self.thread = threading.get_ident()
        self.started = time.monotonic()
        self.memory = _resident_bytes()
        self.waits = 0
        self.waited_since = 0.0
        self.waited = 0.0

    def seconds(self) -> float:
        """Time taken so far, without waits."""
        now = time.monotonic()
        return now - self.started - self.waited - (now - self.waited_since if self.waits else 0.0)


class Watchdog:
    """Watches the stage calls of one process, one at a time.

    Args:
        limits: what a page may take.
        report: receives the overrun before the process ends; called in a thread of the watchdog.
    """

    def __init__(self, limits: PageLimits, report: Callable[[Overrun], None]):
        self.limits = limits
        self._report = report
        self._call: _Call | None = None
        self._lock = threading.Lock()
        enter_around_waits(paused)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def watching(self, stage: str, pages: Sequence[Page]) -> Iterator[None]:
        """Watch one call of a stage."""
        global _watching
        call = _Call(stage, pages, self.limits)
        self._call = _watching = call
        _arm(call)
        try:
            yield
        finally:
            _disarm()
            with self._lock:  # the page was finished in time: no overrun
                self._call = _watching = None

    def _watch(self) -> None:
        while True:
            time.sleep(1 / _LOOKS_A_SECOND)
            call = self._call
            if call is None or call.waits:
                continue
            overrun = self._overrun(call)
            if overrun is None:
                continue
            with self._lock:
                if self._call is not call:
                    continue
                self._end(overrun)

    def _overrun(self, call: _Call) -> Overrun | None:
        seconds, grown = call.seconds(), (_resident_bytes() - call.memory) / _MIB
        if seconds > call.allowed:
            error, message = "PageTooSlow", f"{call.stage} took longer than {call.allowed:g} s, the limit"
        elif grown > self.limits.memory_mib:
            error = "PageTooLarge"
            message = f"{call.stage} took more than {self.limits.memory_mib:,} MiB of memory, the limit"
        else:
            return None
        return Overrun(call.stage, call.document, call.page_ids, error, message)

    def _end(self, overrun: Overrun) -> None:
        logger.error("%s: %s; its process ends and is started anew", overrun.document, overrun.message)
        reporting = threading.Thread(target=self._report, args=(overrun,), daemon=True)
        reporting.start()
        reporting.join(_SECONDS_TO_REPORT)
        os._exit(EXIT_CODE)


_watching: _Call | None = None  # the call of this process that is under way


@contextmanager
def paused() -> Iterator[None]:
    """Stop the clock while a stage waits for storage, which has time limits of its own."""
    call = _watching
    if call is None or call.thread != threading.get_ident():
        yield
        return
    if not call.waits:
        call.waited_since = time.monotonic()
        _disarm()
    call.waits += 1
    try:
        yield
    finally:
        if call.waits == 1:  # before it counts as over: the watchdog looks at any moment
            call.waited += time.monotonic() - call.waited_since
        call.waits -= 1
        if not call.waits:
            _arm(call)


def _arm(call: _Call) -> None:
    """Have the kernel end this process some time after the watchdog should have, by a SIGALRM that nobody handles."""
    if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
        seconds = max(0.0, call.allowed - call.seconds()) + _SECONDS_TO_REPORT + _GRACE_SECONDS
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _disarm() -> None:
    if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _resident_bytes() -> int:
    return psutil.Process().memory_info().rss
