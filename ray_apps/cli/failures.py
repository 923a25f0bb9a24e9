"""The expected errors behind what Ray and the file systems raise, and Ray's orderly end."""

import os
import sys

from common.errors import ExpectedError
from common.storage.errors import FULL, UNUSABLE, OutputError, OutputFull


def explain(error: BaseException) -> ExpectedError | None:
    """Return the expected error that `error` is, or that a Ray worker raised, or that replaces a file system's
    refusal; None for an unexpected error."""
    cause: BaseException | None = error
    while cause is not None and type(cause).__module__.startswith("ray."):
        cause = getattr(cause, "cause", None) or cause.__cause__
    if isinstance(cause, ExpectedError):
        return cause
    remedy = (UNUSABLE | FULL).get(cause.errno or 0) if isinstance(cause, OSError) else None
    if remedy is None or not isinstance(cause, OSError):
        return None
    place = f"{os.fsdecode(cause.filename)}: " if cause.filename else ""
    kind = OutputFull if cause.errno in FULL else OutputError
    return kind(f"{place}{cause.strerror or cause}; {remedy}")


def end_ray() -> None:
    """Disconnect from Ray before the interpreter ends: a thread of Ray Data that outlives the connection would abort
    the process."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
