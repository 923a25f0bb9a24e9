"""Files below a folder or matching a glob, with size and version tag from the listing itself.

Locally `os.scandir` and one stat a file; remotely one flat listing (1,000 objects a request on S3), no request a file.
Files are spelled so that their URI leads back to them (`common.storage.locations`). Requests to storage are retried,
but missing or expired credentials are an error at once: the user must provide them.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.utils import glob_translate

from common.storage import StorageUnavailable
from common.storage.causes import Cause, is_passing
from common.storage.locations import composed, existing_path, local_path, naming_link, open_filesystem, spelled, uri_in
from common.storage.patience import patiently
from common.storage.versions import local_version, remote_version
from pipelines.documents.formats import SUFFIXES
from pipelines.sources.buckets import bucket_files, lists_by_page

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file found: its URI, version tag and size in bytes. `error`: why a folder or link cannot be followed."""

    uri: str
    version: str
    size: int
    error: OSError | StorageUnavailable | None = None


_Answer = TypeVar("_Answer")


def listing_patiently(ask: Callable[[], _Answer], uri: str) -> _Answer:
    """`patiently`, without waiting for credentials."""
    return patiently(ask, uri, causes=(Cause.NO_ANSWER,))


def is_glob(uri: str) -> bool:
    """Return whether a URI has wildcards; a file whose name really contains them takes precedence (see `listing`)."""
    return bool(_MAGIC.search(naming_link(uri)))


def local_entry(path: str) -> FileEntry:
    """Entry of a local file. Raises OSError, StorageUnavailable."""
    path = existing_path(path)
    status = listing_patiently(partial(os.stat, path), path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    return FileEntry(spelled(path), local_version(status), status.st_size)


def remote_entry(uri: str, info: dict[str, Any]) -> FileEntry:
    """Entry from fsspec's `info` of a file."""
    return FileEntry(uri, remote_version(info), int(info.get("size") or 0))


def walk_folder(folder: str, skipped: Counter[str]) -> Iterator[FileEntry]:
    """Every file below a folder; hidden ones are counted in `skipped`. Raises what the storage raises."""
    path = local_path(folder)
    if path is not None:
        yield from map(_spelled, _walk_local(existing_path(path), skipped))
        return
    filesystem, remote = open_filesystem(folder)
    found: Iterable[tuple[str, dict[str, Any]]]
    if lists_by_page(filesystem):
        found = bucket_files(filesystem, f"{remote.rstrip('/')}/", lambda request: listing_patiently(request, folder))
    else:
        found = listing_patiently(
            lambda: _details(filesystem.find(remote, detail=True, **_raising(filesystem))), folder
        ).items()
    for name, info in found:
        if info.get("type") != "file":
            continue
        if _hidden(name.removeprefix(remote.rstrip("/"))):
            skipped["hidden"] += 1
        else:
            yield remote_entry(uri_in(filesystem, name, folder), info)


def walk_glob(pattern: str, skipped: Counter[str]) -> Iterator[FileEntry]:
    """Every file a glob matches (`*`, `?`, `[…]`; `**` any number of folders). Folders themselves never match."""
    path = local_path(pattern)
    if path is not None:
        yield from map(_spelled, _glob_local(path, skipped))
        return
    filesystem, remote = open_filesystem(pattern)
    base = _before_wildcards(remote)
    one_level, deep = "/" not in remote[len(base) :], "**" in remote
    found: Iterable[tuple[str, dict[str, Any]]]
    if lists_by_page(filesystem) and "/" in base and (one_level or deep):
        files = bucket_files(filesystem, base, lambda request: listing_patiently(request, pattern), below=deep)
        matches = re.compile(glob_translate(remote)).match
        found = (entry for entry in files if matches(entry[0]))
    else:
        found = listing_patiently(
            lambda: _details(filesystem.glob(remote, detail=True, **_raising(filesystem))), pattern
        ).items()
    for name, info in found:
        if info.get("type") != "file":
            continue
        if _hidden("/" + name[base.rfind("/") + 1 :]) and "/." not in remote:
            skipped["hidden"] += 1
        else:
            yield remote_entry(uri_in(filesystem, name, pattern), info)


def _raising(filesystem: AbstractFileSystem) -> dict[str, Any]:
    """fsspec's own walk passes over folders whose listing fails: not over those that storage will not list now."""

    def on_error(error: Exception) -> None:
        if is_passing(error):
            raise error

    if isinstance(filesystem, AsyncFileSystem):
        own = type(filesystem)._find is AsyncFileSystem._find
    else:
        own = type(filesystem).find is AbstractFileSystem.find
    return {"on_error": on_error} if own else {}


def _details(found: Any) -> dict[str, dict[str, Any]]:
    """Return what fsspec finds with `detail=True`, which its types do not distinguish from a search without."""
    return found


def _before_wildcards(pattern: str) -> str:
    """Return the part of a glob before its first wildcard."""
    return _MAGIC.split(pattern, maxsplit=1)[0]


def _spelled(entry: FileEntry) -> FileEntry:
    return replace(entry, uri=spelled(entry.uri))


def _glob_local(pattern: str, skipped: Counter[str]) -> Iterator[FileEntry]:
    base = _before_wildcards(pattern)
    root = base[: base.rfind("/")] or "/"
    folder = existing_path(root)
    matches = re.compile(glob_translate(composed(pattern))).match
    depth = None if "**" in pattern else pattern[len(root) :].strip("/").count("/") + 1
    for entry in _walk_local(folder, skipped, depth, with_hidden="/." in pattern):
        if matches(composed(entry.uri)) or isinstance(entry.error, PermissionError | StorageUnavailable):
            yield entry  # a folder that is locked, or does not answer, may hold matches


def _walk_local(
    root: str, skipped: Counter[str], depth: int | None = None, with_hidden: bool = False
) -> Iterator[FileEntry]:
    """Files below a folder; their `uri` is the path as it is, not yet spelled."""
    pending = [(root, 1)]
    seen: set[tuple[int, int]] = set()  # folders linked twice or in a circle are read once
    while pending:
        folder, level = pending.pop()
        try:
            status = listing_patiently(partial(os.stat, folder), folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = listing_patiently(partial(_scan, folder), folder)
        except (OSError, StorageUnavailable) as error:
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


def _scan(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def _scanned(entry: os.DirEntry[str], skipped: Counter[str]) -> Iterator[FileEntry]:
    try:
        status = listing_patiently(entry.stat, entry.path)
    except (OSError, StorageUnavailable) as error:  # a link that points nowhere
        yield FileEntry(entry.path, "", -1, error)
        return
    if stat.S_ISREG(status.st_mode):
        yield FileEntry(entry.path, local_version(status), status.st_size)
    else:
        skipped["not a regular file"] += 1


def _hidden(path: str) -> bool:
    return "/." in path
