"""Files of a job's output, on the local disk or any fsspec filesystem: whole or not there at all."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

from fsspec import AbstractFileSystem

from pipelines.documents.locations import local_path, open_filesystem


@dataclass(frozen=True)
class Storage:
    """A folder (`/results`, `s3://bucket/results`) in which files appear atomically.

    Locally a file is written beside its place and renamed; object stores make a single PUT visible as a whole.
    """

    uri: str

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

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, replacing an earlier one."""
        path = self.path(name)
        if not self.is_local:
            self.filesystem.pipe_file(path, content)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.tmp"
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.filesystem.cat_file(self.path(name))

    def exists(self, name: str = "") -> bool:
        return self.filesystem.exists(self.path(name))

    def list(self, folder: str, suffix: str) -> list[str]:
        """Names of the files in `folder` (not below it) that end in `suffix`, sorted; temporary files left out."""
        path = self.path(folder)
        if not self.filesystem.exists(path):
            return []
        names = (entry.rsplit("/", 1)[-1] for entry in self.filesystem.ls(path, detail=False))
        return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))

    def is_empty(self) -> bool:
        """Whether nothing is there (hidden files aside), or the folder does not exist."""
        if not self.exists():
            return True
        entries = self.filesystem.ls(self.path(""), detail=False)
        return all(entry.rstrip("/").rsplit("/", 1)[-1].startswith(".") for entry in entries)

    def delete(self, name: str) -> None:
        """Delete a file or a folder with all it holds; nothing happens when it is not there."""
        if self.exists(name):
            self.filesystem.rm(self.path(name), recursive=True)


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
            output.filesystem.put_file(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
