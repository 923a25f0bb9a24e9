"""Progress of a run: one line in the terminal, and the same figures in `job.json` for `ocray status`."""

import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TextIO

from common.durations import duration
from pipelines.attempts import InFlight

# A log's lines are at most this far apart (s), or this share of the run's age, so that a night's log can be read.
_LONGEST_INTERVAL = 600
_LINES_AN_AGE = 20


class Progress:
    """Counts pages and reports progress from a separate thread, every `period` seconds.

    Args:
        total: pages of the whole output as far as known; `ok` and `error` of them were there before this run.
        unopened: documents whose pages are not known yet; each counts as one page until it is opened.
        in_flight: returns what is read but not yet committed, and since when workers read. Rates count from there:
            actors take seconds to start.
        publish: receives the figures as a dict (for job.json).
        stream: where the line goes; rewritten in place on a terminal. Elsewhere (a log) there is a line when something
            changed: every few seconds at first, every ten minutes in a run of hours, and at the end.
    """

    def __init__(
        self,
        total: int,
        ok: int,
        error: int,
        *,
        unopened: int = 0,
        in_flight: Callable[[], InFlight],
        publish: Callable[[dict[str, Any]], None],
        stream: TextIO = sys.stderr,
        period: float | None = None,
    ):
        self._known, self._unopened_first = total, unopened
        self.total, self.unopened = total + unopened, unopened
        self.ok, self.error = ok, error
        self._before = ok + error
        self._in_flight, self._publish, self._stream = in_flight, publish, stream
        self._terminal = stream.isatty()
        self._period = period or (1.0 if self._terminal else 5.0)
        self.latest: dict[str, Any] = {}
        self._started = time.monotonic()
        self._printed: dict[str, int] = {}
        self._printed_at = -math.inf
        self.not_done = ""  # why pages were left for a later run
        self._began: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        self._report(replace(self._in_flight(), done=0, failed=0))
        if self._terminal:
            self._stream.write("\n")

    @property
    def read_now(self) -> int:
        """Pages that this run has read."""
        return self.ok + self.error - self._before

    def add(self, ok: int, error: int) -> None:
        """Add pages that were committed."""
        self.ok += ok
        self.error += error

    def settle(self, total: int, ok: int, error: int) -> None:
        """Set the final counts of the output: the run is over."""
        self.total, self.unopened = total, 0
        self.ok, self.error = ok, error
        self.latest = self.figures(0, 0, self._began)

    def figures(self, done_more: int, failed_more: int, began: float | None) -> dict[str, Any]:
        """Return counts, rate (pages/s of this run since reading began) and the estimated time left (s)."""
        error = self.error + failed_more
        ok = self.ok + done_more - failed_more
        done = ok + error
        rate = (done - self._before) / max(time.time() - began, 1e-9) if began else 0.0
        left = self.total - done
        return {
            "counts": {"pages": self.total, "done": done, "ok": ok, "error": error},
            "pages_per_second": round(rate, 3),
            "eta_seconds": round(left / rate, 1) if rate and left else (0 if not left else None),
        }

    def line(self, figures: dict[str, Any]) -> str:
        counts, rate, eta = figures["counts"], figures["pages_per_second"], figures["eta_seconds"]
        more = "+" if self.unopened else ""
        text = f"{counts['done']}/{counts['pages']}{more} pages, {counts['error']} failed, {rate:.2f} pages/s"
        return text + (f", {duration(eta)} left" if eta else "")

    def _run(self) -> None:
        while not self._stop.wait(self._period):
            self._report(self._in_flight())

    def _report(self, now: InFlight) -> None:
        self._began = self._began or now.began
        if self._unopened_first and now.opened_documents:
            # A task that was run again has counted its documents twice.
            self.unopened = max(0, self._unopened_first - now.opened_documents)
            self.total = max(self._known + now.opened_pages + self.unopened, self.ok + self.error)
        for message in now.messages:
            self._stream.write(("\r\x1b[K" if self._terminal else "") + message + "\n")
        self.latest = figures = self.figures(now.done, now.failed, self._began)
        self._publish(figures)
        if self._terminal:
            self._stream.write("\r\x1b[K" + self.line(figures))
        elif self._due(figures["counts"]):
            self._stream.write(self.line(figures) + "\n")
        self._stream.flush()

    def _due(self, counts: dict[str, int]) -> bool:
        """Return whether a log line is due: something changed, and the last line is old enough for a run of this
        age."""
        now = time.monotonic()
        interval = min(_LONGEST_INTERVAL, (now - self._started) / _LINES_AN_AGE)
        if counts == self._printed or (now < self._printed_at + interval and not self._stop.is_set()):
            return False
        self._printed, self._printed_at = counts, now
        return True
