"""Why storage could not be read or written. Messages name the place and what to do."""

import errno
import os

from common.errors import ExitCode, ExpectedError
from common.storage.causes import access_problem

# What a file system may refuse, with what to do about it.
UNUSABLE = {
    errno.EACCES: "choose a place that you may write to, or have the permission changed",
    errno.EPERM: "choose a place that you may write to, or have the permission changed",
    errno.EROFS: "it cannot be written to; choose another place",
    errno.ENOTDIR: "a file is where a folder should be; choose another place",
    errno.EEXIST: "a file is where a folder should be; choose another place",
    errno.EISDIR: "a folder is where a file should be; choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle; choose another place",
}
FULL = {
    errno.ENOSPC: "make room, then run the same command to resume",
    errno.EDQUOT: "make room or have the quota raised, then run the same command to resume",
}


class StorageUnavailable(ExpectedError):
    """Storage did not answer, or refused the credentials, until retries were used up. The file itself may be good."""

    exit_code = ExitCode.INCOMPLETE


class OutputError(ExpectedError):
    """The output cannot be written; the message says why and what to do."""


class OutputFull(OutputError):
    """The disk is full, or the quota is used up."""

    exit_code = ExitCode.STORAGE_FULL


class OutputUnavailable(OutputError):
    """The output's storage does not answer."""

    exit_code = ExitCode.INCOMPLETE


def cannot_be_written(uri: str, error: Exception) -> OutputError:
    """Return the error of a file or folder that cannot be written, in one line."""
    code = getattr(error, "errno", None)
    if code in FULL:
        return OutputFull(f"{uri} cannot be written: {os.strerror(code)}; {FULL[code]}")
    if code in UNUSABLE:
        return OutputError(f"{uri} cannot be written: {os.strerror(code)}; {UNUSABLE[code]}")
    if isinstance(error, StorageUnavailable):
        return OutputUnavailable(f"{error}; what is written stays")
    return OutputError(f"{uri} cannot be written: {access_problem(error)}")
