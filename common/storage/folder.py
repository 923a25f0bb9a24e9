"""A folder on the local disk or any fsspec filesystem, in which files appear whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, TypeVar, cast

from fsspec import AbstractFileSystem

from common.storage.errors import cannot_be_written
from common.storage.local import replacing
from common.storage.locations import Place, local_path, locate
from common.storage.patience import patiently
from common.storage.versions import local_version, remote_version

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Storage:
    """A folder (`/results`, `s3://bucket/results`) in which files appear atomically.

    Locally a file is written beside its place and renamed; object stores make a single PUT visible as a whole.

    Attributes:
        uri: of the folder.
        patience: for how many seconds requests to storage that does not answer are retried; the usual time when None.
    """

    uri: str
    patience: float | None = None

    @cached_property
    def _place(self) -> Place:
        return locate(self.uri)

    @property
    def filesystem(self) -> AbstractFileSystem:
        """The file system, as fsspec keeps it: another one after credentials were refused, see `patience`."""
        return self._place.filesystem()

    def path(self, name: str) -> str:
        """Return the path of `name` in `filesystem`."""
        root = self._place.path.rstrip("/")
        return f"{root}/{name}" if name else root

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

        def write() -> None:
            if self.is_local:
                _write_local(path, content)
            else:
                self.filesystem.pipe_file(path, content)

        try:
            seconds = self.patience if patience is None else patience
            patiently(write, f"{self.uri}/{name}", seconds=seconds)
        except Exception as error:  # storage back ends raise anything
            raise cannot_be_written(f"{self.uri}/{name}", error) from error

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: no such file. StorageUnavailable.
        """
        return self._request(lambda: cast(bytes, self.filesystem.cat_file(self.path(name))), name)

    def exists(self, name: str = "") -> bool:
        """Return whether a file or folder exists. Raises StorageUnavailable."""
        return self._request(lambda: self.filesystem.exists(self.path(name)), name)

    def list(self, folder: str, suffix: str) -> list[str]:
        """Return the sorted names of the files in `folder` (not below it) that end in `suffix`; no temporary ones."""
        names = (entry.rsplit("/", 1)[-1] for entry in self._entries(folder))
        return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))

    def versions(self, folder: str, suffix: str) -> dict[str, str]:
        """Return the version tag of each file that `list` names."""
        path = self.path(folder)
        if not self.is_local:
            try:
                found = self._request(lambda: self.filesystem.ls(path, detail=True), folder)
            except FileNotFoundError:
                return {}
            tags = {str(info["name"]).rsplit("/", 1)[-1]: remote_version(info) for info in found}
        else:
            tags = self._request(lambda: _local_versions(path, suffix), folder)
        return {name: tags[name] for name in sorted(tags) if name.endswith(suffix) and not name.startswith(".")}

    def is_empty(self) -> bool:
        """Return whether the folder is missing or holds nothing but hidden files."""
        return all(entry.rstrip("/").rsplit("/", 1)[-1].startswith(".") for entry in self._entries(""))

    def delete(self, name: str) -> None:
        """Delete a file or a folder with all it holds, if it exists."""
        if self.exists(name):
            self._request(lambda: self.filesystem.rm(self.path(name), recursive=True), name)

    def _entries(self, folder: str) -> Iterable[str]:
        try:
            return self._request(lambda: self.filesystem.ls(self.path(folder), detail=False), folder)
        except FileNotFoundError:
            return ()

    def _request(self, request: Callable[[], _Answer], name: str) -> _Answer:
        try:
            return patiently(request, f"{self.uri}/{name}" if name else self.uri, seconds=self.patience)
        except NotADirectoryError as error:
            raise cannot_be_written(self.uri, error) from error


def _write_local(path: str, content: bytes) -> None:
    with replacing(path, durable=True) as temporary:
        temporary.write_bytes(content)


def _local_versions(folder: str, suffix: str) -> dict[str, str]:
    found = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    found[entry.name] = local_version(entry.stat())
    return found


@contextmanager
def atomic_file(output: Storage, name: str, keep: Callable[[], bool] = lambda: False) -> Iterator[BinaryIO]:
    """Yield a binary file, open for reading and writing, that appears in `output` when the block ends without an error.

    Like `Storage.write`, for content that is too large to be held in memory: a local file is written beside its place
    and renamed, a remote one is written to a local temporary file and uploaded.

    Args:
        output: the folder.
        name: path of the file in it.
        keep: called once the content is written: True leaves in place what is there already.
    """
    path = output.path(name)
    if output.is_local:
        with replacing(path, keep=keep) as temporary, open(temporary, "w+b") as stream:
            yield stream
        return
    output.filesystem.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="ocray-") as temporary:
        with open(temporary.name, "w+b") as stream:
            yield stream
        if not keep():
            patiently(lambda: output.filesystem.put_file(temporary.name, path), f"{output.uri}/{name}")
