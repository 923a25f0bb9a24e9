"""Folders that hold one piece of work, which one process at a time does."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ClassVar

_TRIES = 30
_SECONDS_BETWEEN_TRIES = 0.5


class WorkFolder:
    """A folder of a kind of work.

    Attributes:
        kind: what it holds, for messages.
        option: of the command that names it, for messages.
        marker: the file by which work of this kind is known.
        error: raised for a folder that cannot be used.
    """

    kind: ClassVar[str]
    option: ClassVar[str]
    marker: ClassVar[str]
    error: ClassVar[type[Exception]]

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def exists(self) -> bool:
        """Return whether the folder holds work of this kind."""
        return (self.folder / self.marker).is_file()

    @contextmanager
    def held(self, overwrite: bool = False) -> Iterator[None]:
        """Make the folder and keep other processes from working in it.

        Args:
            overwrite: delete what it holds first.

        Raises:
            `error`: it holds files, but no work of this kind; or another process works in it.
        """
        if self.folder.exists() and not self.exists and any(self.folder.iterdir()):
            raise self.error(
                f"{self.folder} is not empty and holds no {self.kind}; give another folder with {self.option}"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / f".{self.folder.name}.lock").open("w") as lock:
            if not _locked(lock):
                raise self.error(
                    f"another process works in {self.folder}; wait for it, or give another folder with {self.option}"
                )
            if overwrite and self.exists:
                shutil.rmtree(self.folder)
                self.folder.mkdir()
            yield


def _locked(lock: IO[str]) -> bool:
    """Take the lock; child processes of one that was killed hold theirs for some seconds."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(_SECONDS_BETWEEN_TRIES)
    return False
