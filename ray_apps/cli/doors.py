"""What all doors share: exit codes, how an expected failure is told, and argument types."""

import argparse
import os
import sys
from collections.abc import Callable

from common.config import ConfigError
from common.storage import OutputError, OutputFull, OutputUnavailable, StorageUnavailable
from common.storage.errors import FULL, UNUSABLE
from models.bundle import BundleError
from models.runtime import DeviceError
from pipelines.exports.export import ExportError
from pipelines.job import IncompleteJob, JobError
from pipelines.placement import PlacementError
from pipelines.runner import TooManyErrors
from pipelines.shared_paths import NotShared
from pipelines.sources import InputError
from ray_apps.cli import signals

OK = 0  # done; pages that could not be read are rows with status=error, not a failure of the job
BAD_REQUEST = 2  # inputs, output, configuration or bundles that cannot be used
CANNOT_START = 3  # no cluster, or one that cannot hold the pipeline, or a device that is not there
TOO_MANY_ERRORS = 4  # stopped by --max-error-rate
INCOMPLETE = 5  # pages are missing, for the storage did not answer; the same command goes on
STORAGE_FULL = 6  # no room for the output, or no quota

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
    NotShared: BAD_REQUEST,
    IncompleteJob: INCOMPLETE,
    StorageUnavailable: INCOMPLETE,
    OutputUnavailable: INCOMPLETE,
    OutputFull: STORAGE_FULL,
    OutputError: BAD_REQUEST,  # after its kinds
}


def answer(run: Callable[[argparse.Namespace], int], args: argparse.Namespace, resumes: bool = True) -> int:
    """Run a door. An expected failure becomes one clear line and an exit code; anything else keeps its traceback.

    Ctrl-C, SIGTERM and SIGHUP end it in order: one line, Ray's processes gone, exit code 130, 143 or 129.

    Args:
        resumes: whether the same command goes on with what an interrupted one left.
    """
    with signals.like_ctrl_c():
        try:
            return run(args)
        except tuple(_EXIT_CODES) as error:
            print(f"ocray: {error}", file=sys.stderr)
            return next(code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))
        except KeyboardInterrupt:
            print(
                f"ocray: interrupted; the same command {'goes on where it stopped' if resumes else 'starts anew'}",
                file=sys.stderr,
                flush=True,
            )
            _end_ray()
            return signals.exit_code()
        except Exception as error:
            if (told := _storage_failure(error)) is None:
                raise
            return told


def _storage_failure(error: BaseException | None) -> int | None:
    """Tell a failure of the storage, here or in one of Ray's workers; None: it was another failure."""
    while error is not None and type(error).__module__.startswith("ray."):
        error = getattr(error, "cause", None) or error.__cause__
    remedy = (UNUSABLE | FULL).get(error.errno) if isinstance(error, OSError) else None
    if remedy is None:
        return None
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    print(f"ocray: {place}{error.strerror or error}; {remedy}", file=sys.stderr)
    return STORAGE_FULL if error.errno in FULL else BAD_REQUEST


def _end_ray() -> None:
    """Before the interpreter ends: a thread of Ray Data that outlives the connection would abort the process."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


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
