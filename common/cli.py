"""What every command line shares: running a command, argument types, and the command as it was typed."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence

from common import signals
from common.errors import ExpectedError


def execute(
    run: Callable[[], int],
    *,
    if_interrupted: str,
    explain: Callable[[BaseException], ExpectedError | None],
    clean_up: Callable[[], None],
) -> int:
    """Run a command and return its exit code. An expected failure becomes one line on stderr and its exit code; any
    other exception passes through with its traceback.

    Ctrl-C, SIGTERM and SIGHUP end it in order: one line, `clean_up`, exit code 130, 143 or 129.

    Args:
        run: the command; returns its exit code.
        if_interrupted: what the user can do next, see `next_step`.
        explain: the expected error behind an exception, None for an unexpected one.
        clean_up: called after an interrupt, before the interpreter ends.
    """
    with signals.like_ctrl_c():
        try:
            return run()
        except KeyboardInterrupt:
            fail(f"interrupted; {if_interrupted}")
            clean_up()
            return signals.exit_code()
        except Exception as error:
            expected = explain(error)
            if expected is None:
                raise
            fail(str(expected))
            return expected.exit_code


def fail(message: str) -> None:
    """Print an error message to stderr: one line that starts with the program's name."""
    print(f"ocray: {message}", file=sys.stderr, flush=True)


def command_line(argv: Sequence[str]) -> str:
    """Return the command as it can be typed into a shell again, for run folders, reports and bundle cards."""
    return shlex.join(["ocray", *argv])


def next_step(command: str, resumes: bool) -> str:
    """Return what a user can do after `command` was stopped. `resumes`: whether the same command continues its work."""
    if not resumes:
        return "run the same command to start again"
    return f"run the same command {'without --overwrite ' if '--overwrite' in shlex.split(command) else ''}to resume"


def positive(text: str) -> int:
    """Argument type: a whole number above zero."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def positive_number(text: str) -> float:
    """Argument type: a finite number above zero."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def share(text: str) -> float:
    """Argument type: a number in 0..1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def pair(text: str) -> tuple[str, str]:
    """Argument type: NAME=VALUE; the name may contain `=`."""
    name, _, value = text.rpartition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
