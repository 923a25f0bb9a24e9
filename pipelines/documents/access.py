"""Bytes of a document, from a local path or any fsspec URI, with retries (see `patience`)."""

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from fsspec import AbstractFileSystem

from common.storage.causes import is_bare_refusal
from common.storage.locations import local_path, open_filesystem
from common.storage.patience import patiently
from pipelines.documents.errors import InaccessibleDocument, access_error

_BUFFER_BYTES = 64 * 1024


def read_bytes(uri: str, patience: float | None = None) -> bytes:
    """All bytes of a file.

    Args:
        uri: of the file.
        patience: seconds for which requests are retried; the job's when None.

    Raises:
        InaccessibleDocument: missing, no permission, a folder; its cause is chained.
        StorageUnavailable: the storage does not answer, or takes no credentials.
    """
    path = local_path(uri)

    def read() -> bytes:
        if path is not None:
            with open(path, "rb") as file:
                return file.read()
        filesystem, remote = open_filesystem(uri)
        return cast(bytes, filesystem.cat_file(remote))

    try:
        return patiently(read, uri, seconds=patience)
    except Exception as error:  # storage back ends raise anything: OSError, botocore's, aiohttp's, asyncio's
        raise access_error(uri, error) from error


def file_info(filesystem: AbstractFileSystem, path: str) -> dict[str, Any]:
    """fsspec's `info`. Raises what the storage raises; repeats the request until there is a reason.

    The answer to a HEAD request has no body, so a refused one may be of the file or of credentials that expired; the
    refusal of its first byte says which.
    """
    try:
        return filesystem.info(path)
    except Exception as error:
        if is_bare_refusal(error):
            filesystem.cat_file(path, 0, 1)
        raise


def open_file(uri: str, block_bytes: int = _BUFFER_BYTES) -> BinaryIO:
    """Open a file for reading and seeking; remote ones are fetched in blocks.

    Opening and every read ask with patience.

    Raises:
        StorageUnavailable: the storage does not answer; so do reads. Whatever else the storage raises.
    """
    return io.BufferedReader(_PatientFile(uri, block_bytes), _BUFFER_BYTES)


class _PatientFile(io.RawIOBase):
    """The bytes of a file; after a read that failed it is opened anew, and must still be the same file."""

    def __init__(self, uri: str, block_bytes: int):
        self._uri, self._block_bytes = uri, block_bytes
        self._path = local_path(uri)
        self._file: BinaryIO | None = None
        self._filesystem: AbstractFileSystem | None = None
        self._version: tuple | None = None
        self._position = 0
        self._size = self._ask(lambda: self._opened().seek(0, os.SEEK_END))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer) -> int:
        def read() -> bytes:
            file = self._opened()
            file.seek(self._position)
            return file.read(len(buffer))

        content = self._ask(read)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        self._drop()
        super().close()

    def _ask(self, request: Callable[[], Any]) -> Any:
        def ask() -> Any:
            try:
                return request()
            except BaseException:
                self._drop()
                raise

        return patiently(ask, self._uri)

    def _opened(self) -> BinaryIO:
        if self._file is not None:
            return self._file
        if self._path is not None:
            file = cast(BinaryIO, open(self._path, "rb", buffering=0))  # noqa: SIM115 - closed by _drop
            self._file = file
            status = os.fstat(file.fileno())
            version = (status.st_size, status.st_mtime_ns, status.st_ino)
        else:
            filesystem, remote = open_filesystem(self._uri)
            self._filesystem = filesystem  # an archive is closed when nobody holds it
            info = file_info(filesystem, remote)
            if info.get("size") is None:  # a web server that gives no size does not serve ranges either
                file = io.BytesIO(cast(bytes, filesystem.cat_file(remote)))
            else:
                file = cast(BinaryIO, filesystem.open(remote, "rb", block_size=self._block_bytes))
            self._file = file
            version = (info.get("size"), info.get("ETag"), str(info.get("LastModified", info.get("mtime"))))
        if self._version not in (None, version):
            raise InaccessibleDocument(f"{self._uri}: was changed while it was read; run again, to list it anew")
        self._version = version
        return file

    def _drop(self) -> None:
        file, self._file = getattr(self, "_file", None), None
        if file is not None:
            file.close()
