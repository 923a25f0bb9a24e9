"""Local files that appear whole or not at all."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(
    path: str | os.PathLike[str], durable: bool = False, keep: Callable[[], bool] = lambda: False
) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there takes the place of `path` at the end of the block.

    A reader, or a crash, meets the old file or the new one, never half of one. When the block raises, the old file
    stays. The folder is created. The temporary name begins with a dot: globs and Ray Data's listings leave it out.

    Args:
        path: of the file.
        durable: the content is on the disk before the file is renamed, so that a power cut cannot empty it.
        keep: called once the content is written: True leaves the old file in place.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not of the file's own name: that may be as long as names can be.
    temporary = path.with_name(f".writing-{uuid.uuid4().hex[:12]}")
    try:
        yield temporary
        if keep():
            return
        if durable:
            _flush(temporary)
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # renamed, or never made; a failure to write is what is raised
            temporary.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file (UTF-8) as `replacing` does. Raises OSError."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
