"""Signals that end a program act like Ctrl-C, so that the same code shuts it down in order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A spot notice, `ray job stop`, Kubernetes and systemd send SIGTERM; a terminal that is closed sends SIGHUP.
_ENDING = (signal.SIGTERM, signal.SIGHUP)

_received: list[int] = []


@contextmanager
def like_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP as SIGINT is handled at that time: raise KeyboardInterrupt, or call the handler that a
    library has installed since. Signals that the program was started to ignore (`nohup`) stay ignored."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    _received.clear()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ENDING)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _raise if number == signal.SIGINT else _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def note(number: int) -> None:
    """Remember a signal that another handler received, so that `exit_code` reports it."""
    _received.append(number)


def exit_code() -> int:
    """Exit code of an interrupted program: 128 plus the signal's number; 130 for Ctrl-C."""
    return 128 + (_received[-1] if _received else signal.SIGINT)


def _raise(number: int, frame) -> None:
    raise KeyboardInterrupt(f"interrupted by {signal.Signals(number).name}")


def _interrupt(number: int, frame) -> None:
    _received.append(number)
    handler = signal.getsignal(signal.SIGINT)
    # Python's own handler, or none: a script's background program ignores Ctrl-C.
    (handler if callable(handler) else _raise)(number, frame)
