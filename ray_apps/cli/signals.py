"""Signals that end a program do to it what Ctrl-C does, so that all that ends in order there ends in order here."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A spot notice, `ray job stop`, Kubernetes and systemd send SIGTERM; a terminal that is closed sends SIGHUP.
_ENDING = (signal.SIGTERM, signal.SIGHUP)

_received: list[int] = []


@contextmanager
def like_ctrl_c() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP are handled as SIGINT is at that time: KeyboardInterrupt, or what Ray Tune and Ray
    Train put in its place. What the program was started to ignore (`nohup`) it ignores."""
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


@contextmanager
def kept_from_ray() -> Iterator[None]:
    """Around `ray.init`: it sets handlers of its own for SIGTERM, in Python and, with a print of stack addresses, in
    C++. A program that handles the signal itself gets its handler back."""
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        yield
    except SystemExit:  # Ray's handler was in place already
        _received.append(signal.SIGTERM)
        raise KeyboardInterrupt("interrupted by SIGTERM") from None
    finally:
        signal.signal(signal.SIGTERM, handler)


def exit_code() -> int:
    """Of a program that was interrupted: 128 and the number of the signal; 130 for Ctrl-C."""
    return 128 + (_received[-1] if _received else signal.SIGINT)


def _raise(number: int, frame) -> None:
    raise KeyboardInterrupt(f"interrupted by {signal.Signals(number).name}")


def _interrupt(number: int, frame) -> None:
    _received.append(number)
    handler = signal.getsignal(signal.SIGINT)
    # Python's own, or none: a program that a script starts in the background leaves Ctrl-C to others.
    ours = handler is _raise or not callable(handler)
    (_raise if ours else handler)(number, frame)
