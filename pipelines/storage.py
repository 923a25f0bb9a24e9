"""Files of a job's output, on the local disk or any fsspec filesystem: whole or not there at all."""

import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, TypeVar

from fsspec import AbstractFileSystem

from pipelines.documents.causes import access_problem
from pipelines.documents.errors import StorageUnavailable
from pipelines.documents.locations import local_path, open_filesystem
from pipelines.documents.patience import patiently

_Answer = TypeVar("_Answer")


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
    errno.ENOSPC: "make room; the same command goes on where it stopped",
    errno.EDQUOT: "make room or have the quota raised; the same command goes on where it stopped",
}


class OutputError(Exception):
    """The output cannot be written; the message says why and what to do."""


class OutputFull(OutputError):
    """There is no room for it, or no quota."""


class OutputUnavailable(OutputError):
    """Its storage does not answer."""


@dataclass(frozen=True)
class Storage:
    """A folder (`/results`, `s3://bucket/results`) in which files appear atomically.

    Locally a file is written beside its place and renamed; object stores make a single PUT visible as a whole.

    Attributes:
        uri: of the folder.
        patience: for how many seconds storage that does not answer is asked again; the usual time when None.
    """

    uri: str
    patience: float | None = None

    @cached_property
    def _where(self) -> tuple[AbstractFileSystem, str]:
        filesystem, root = open_filesystem(self.uri)
        return filesystem, root.rstrip("/")

    @property
    def filesystem(self) -> AbstractFileSystem:
        return self._where[0]

    def path(self, name: str) -> str:
        """Path of `name` as `filesystem` knows it."""
        return f"{self._where[1]}/{name}" if name else self._where[1]

    @property
    def is_local(self) -> bool:
        return local_path(self.uri) is not None

    def write(self, name: str, content: bytes, patience: float | None = None) -> None:
        """Write a whole file, replacing an earlier one.

        Args:
            name: its path in the folder.
            content: what it holds.
            patience: as the folder's, for this file; the folder's when None.

        Raises:
            OutputError: it cannot be written.
        """
        path = self.path(name)
        write = _write_local if self.is_local else self.filesystem.pipe_file
        try:
            seconds = self.patience if patience is None else patience
            patiently(lambda: write(path, content), f"{self.uri}/{name}", seconds=seconds)
        except Exception as error:  # storage back ends raise anything
            raise cannot_be_written(f"{self.uri}/{name}", error) from error

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: there is none. StorageUnavailable.
        """
        return self._ask(lambda: self.filesystem.cat_file(self.path(name)), name)

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder is there. Raises StorageUnavailable."""
        return self._ask(lambda: self.filesystem.exists(self.path(name)), name)

    def list(self, folder: str, suffix: str) -> list[str]:
        """Names of the files in `folder` (not below it) that end in `suffix`, sorted; temporary files left out."""
        names = (entry.rsplit("/", 1)[-1] for entry in self._entries(folder))
        return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))

    def is_empty(self) -> bool:
        """Whether nothing is there (hidden files aside), or the folder does not exist."""
        return all(entry.rstrip("/").rsplit("/", 1)[-1].startswith(".") for entry in self._entries(""))

    def delete(self, name: str) -> None:
        """Delete a file or a folder with all it holds; nothing happens when it is not there."""
        if self.exists(name):
            self._ask(lambda: self.filesystem.rm(self.path(name), recursive=True), name)

    def _entries(self, folder: str) -> Iterable[str]:
        try:
            return self._ask(lambda: self.filesystem.ls(self.path(folder), detail=False), folder)
        except FileNotFoundError:
            return ()

    def _ask(self, request: Callable[[], _Answer], name: str) -> _Answer:
        try:
            return patiently(request, f"{self.uri}/{name}" if name else self.uri, seconds=self.patience)
        except NotADirectoryError as error:
            raise cannot_be_written(self.uri, error) from error


def _write_local(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def cannot_be_written(uri: str, error: Exception) -> OutputError:
    """The error of a file or folder that cannot be written, in one line."""
    code = getattr(error, "errno", None)
    if code in FULL:
        return OutputFull(f"{uri} cannot be written: {os.strerror(code)}; {FULL[code]}")
    if code in UNUSABLE:
        return OutputError(f"{uri} cannot be written: {os.strerror(code)}; {UNUSABLE[code]}")
    if isinstance(error, StorageUnavailable):
        return OutputUnavailable(f"{error}; what is written stays")
    return OutputError(f"{uri} cannot be written: {access_problem(error)}")


@contextmanager
def atomic_file(output: Storage, name: str, keep: Callable[[], bool] = lambda: False) -> Iterator[BinaryIO]:
    """A binary file that appears in `output` only when the block ends without an error.

    It is `Storage.write` for content that is too large to be held in memory. `keep` is asked when the content is
    written: whether what is there already is to stay instead.

    Local: written beside its target, then renamed. Remote: written to a local temporary file, then uploaded.
    """
    path = output.path(name)
    local = output.is_local
    folder = os.path.dirname(path)
    output.filesystem.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".writing-", dir=folder if local else None)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
        if keep():
            return
        if local:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes files private
            os.replace(temporary, path)
        else:
            patiently(lambda: output.filesystem.put_file(temporary, path), f"{output.uri}/{name}")
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
