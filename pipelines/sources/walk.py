"""Files below a folder or matching a glob, with size and version tag from the listing itself.

Locally `os.scandir` and one stat a file; remotely one flat listing (1,000 objects a request on S3), no request a file.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from pipelines.documents.access import local_path, open_filesystem
from pipelines.documents.formats import SUFFIXES

_MAGIC = re.compile(r"[*?\[]")
_TAG_KEYS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5")
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file found: its URI, version tag and size in bytes. `error`: why a folder or link cannot be followed."""

    uri: str
    version: str
    size: int
    error: OSError | None = None


def is_glob(uri: str) -> bool:
    """Whether a URI has wildcards; a file that is really called so wins (see `listing`)."""
    return bool(_MAGIC.search(uri))


def local_entry(path: str) -> FileEntry:
    """Entry of a local file. Raises OSError."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    return FileEntry(path, _local_version(status), status.st_size)


def remote_entry(uri: str, info: dict[str, Any]) -> FileEntry:
    """Entry from fsspec's `info` of a file."""
    return FileEntry(uri, _remote_version(info), int(info.get("size") or 0))


def remote_uri(filesystem: AbstractFileSystem, path: str, given: str) -> str:
    """Full URI of a path in a file system, in the manner of the `given` URI (chains `zip://…::s3://…` are kept)."""
    uri = filesystem.unstrip_protocol(path)
    head, chain, rest = given.partition("::")
    return f"{uri if '://' in head else path}{chain}{rest}"


def walk_folder(folder: str, skipped: Counter[str]) -> Iterator[FileEntry]:
    """Every file below a folder; hidden ones are counted in `skipped`. Raises what the storage raises."""
    path = local_path(folder)
    if path is not None:
        yield from _walk_local(path, skipped)
        return
    filesystem, remote = open_filesystem(folder)
    for name, info in filesystem.find(remote, detail=True).items():
        if info.get("type") != "file":
            continue
        if _hidden(name.removeprefix(remote.rstrip("/"))):
            skipped["hidden"] += 1
        else:
            yield remote_entry(remote_uri(filesystem, name, folder), info)


def walk_glob(pattern: str, skipped: Counter[str]) -> Iterator[FileEntry]:
    """Every file a glob matches (`*`, `?`, `[…]`; `**` any number of folders). Folders themselves never match."""
    path = local_path(pattern)
    if path is not None:
        yield from _glob_local(path, skipped)
        return
    filesystem, remote = open_filesystem(pattern)
    base = remote[: _MAGIC.search(remote).start()]
    for name, info in filesystem.glob(remote, detail=True).items():
        if info.get("type") != "file":
            continue
        if _hidden("/" + name[base.rfind("/") + 1 :]) and "/." not in remote:
            skipped["hidden"] += 1
        else:
            yield remote_entry(remote_uri(filesystem, name, pattern), info)


def _glob_local(pattern: str, skipped: Counter[str]) -> Iterator[FileEntry]:
    base = pattern[: _MAGIC.search(pattern).start()]
    root = base[: base.rfind("/")] or "/"
    matches = re.compile(glob_translate(pattern)).match
    depth = None if "**" in pattern else pattern[len(root) :].strip("/").count("/") + 1
    for entry in _walk_local(root, skipped, depth, with_hidden="/." in pattern):
        if matches(entry.uri) or isinstance(entry.error, PermissionError):  # a locked folder may hold matches
            yield entry


def _walk_local(
    root: str, skipped: Counter[str], depth: int | None = None, with_hidden: bool = False
) -> Iterator[FileEntry]:
    pending = [(root, 1)]
    seen: set[tuple[int, int]] = set()  # folders linked twice or in a circle are read once
    while pending:
        folder, level = pending.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if folder == root:
                raise
            yield FileEntry(folder, "", -1, error)
            continue
        if not entries and folder != root and os.path.splitext(folder)[1].lower() in SUFFIXES:
            yield FileEntry(folder, "", -1, IsADirectoryError(folder))  # meant as a document, most likely
        for entry in entries:
            if entry.name.startswith(".") and not with_hidden:
                skipped["hidden"] += 1
            elif entry.is_dir():
                if depth is None or level < depth:
                    pending.append((entry.path, level + 1))
            else:
                yield from _scanned(entry, skipped)


def _scanned(entry: os.DirEntry[str], skipped: Counter[str]) -> Iterator[FileEntry]:
    try:
        status = entry.stat()
    except OSError as error:  # a link that points nowhere
        yield FileEntry(entry.path, "", -1, error)
        return
    if stat.S_ISREG(status.st_mode):
        yield FileEntry(entry.path, _local_version(status), status.st_size)
    else:
        skipped["not a regular file"] += 1


def _hidden(path: str) -> bool:
    return "/." in path


def _local_version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _remote_version(info: dict[str, Any]) -> str:
    for key in _TAG_KEYS:
        if info.get(key):
            return str(info[key]).strip('"')
    time = next((info[key] for key in _TIME_KEYS if info.get(key)), "")
    return f"{info.get('size') or 0}-{time}"
