"""Errors that a command expects: one clear line for the user, and the exit code that the error class carries."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. Every command uses the same code for the same kind of failure; docs/cli.md lists them.

    A command that a signal ends exits with 128 plus the signal's number, see `common.signals`.
    """

    OK = 0  # pages that cannot be read are records with an error, not a failure of the command
    FAILED = 1  # the work ran but its result cannot be used; Python's own code for an unexpected error
    BAD_REQUEST = 2  # arguments, inputs, outputs, configurations or bundles; argparse's own code
    CANNOT_START = 3  # Ray, a device, a package or fonts are missing here, or the cluster is too small
    TOO_MANY_ERRORS = 4  # stopped by --max-error-rate
    INCOMPLETE = 5  # part of the work is still missing; the same command resumes
    STORAGE_FULL = 6  # no space or no quota


class ExpectedError(Exception):
    """A failure that the user can do something about. The message is one line: what is wrong and the remedy.

    Attributes:
        exit_code: of a command that ends with this error.
    """

    exit_code = ExitCode.BAD_REQUEST


class MissingPackageError(ExpectedError):
    """A package that a command needs is not installed."""

    exit_code = ExitCode.CANNOT_START
