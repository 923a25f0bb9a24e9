"""What all doors share: exit codes, how an expected failure is told, and argument types."""

import argparse
import sys
from collections.abc import Callable

from models.bundle import BundleError
from models.runtime import DeviceError
from pipelines.config import ConfigError
from pipelines.exports import ExportError
from pipelines.job import JobError
from pipelines.placement import PlacementError
from pipelines.runner import TooManyErrors
from pipelines.sources import InputError

OK = 0  # done; pages that could not be read are rows with status=error, not a failure of the job
BAD_REQUEST = 2  # inputs, output, configuration or bundles that cannot be used
CANNOT_START = 3  # no cluster, or one that cannot hold the pipeline, or a device that is not there
TOO_MANY_ERRORS = 4  # stopped by --max-error-rate

_EXIT_CODES: dict[type[Exception], int] = {
    InputError: BAD_REQUEST,
    ConfigError: BAD_REQUEST,
    JobError: BAD_REQUEST,
    BundleError: BAD_REQUEST,
    ExportError: BAD_REQUEST,
    PlacementError: CANNOT_START,
    DeviceError: CANNOT_START,
    ConnectionError: CANNOT_START,
    TooManyErrors: TOO_MANY_ERRORS,
}


def answer(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a door. An expected failure becomes one clear line and an exit code; anything else keeps its traceback."""
    try:
        return run(args)
    except tuple(_EXIT_CODES) as error:
        print(f"ocray: {error}", file=sys.stderr)
        return next(code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))
    except KeyboardInterrupt:
        print("ocray: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def positive(text: str) -> int:
    """Argument type: a whole number above zero."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def share(text: str) -> float:
    """Argument type: a number in 0..1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value
