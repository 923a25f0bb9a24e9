"""Inputs, as people name them, to documents."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from common.storage import StorageUnavailable
from common.storage.causes import access_problem
from common.storage.locations import existing_path, local_path, open_filesystem, spelled_uri, uri_in
from pipelines.documents.access import file_info
from pipelines.documents.errors import access_error
from pipelines.documents.formats import SUFFIXES, supported
from pipelines.documents.rows import row_uri
from pipelines.sources.document import Document, InputError, Listing, named_document, page_error, suffix_of
from pipelines.sources.sightings import MeterColumns, SightingError
from pipelines.sources.tables import TABLE_SUFFIXES, read_table
from pipelines.sources.walk import (
    FileEntry,
    is_glob,
    listing_patiently,
    local_entry,
    remote_entry,
    walk_folder,
    walk_glob,
)


def list_documents(
    inputs: Sequence[str],
    *,
    image_column: str | None = None,
    exclude: str | None = None,
    meters: MeterColumns | None = None,
) -> Listing:
    """List what the inputs hold.

    An input is a document, a folder (read recursively), a glob, a manifest (`.csv` or `.parquet` with a column of URIs)
    or a Parquet file of images; a local path or any fsspec URI. In folders and globs, hidden files and unknown suffixes
    are skipped and counted. Tables are read when they are named, by themselves or by a glob that ends in their suffix;
    with `image_column` also Parquet files in folders.

    Args:
        inputs: paths, globs, URIs.
        image_column: column of the encoded images in Parquet files; found by its type when None.
        exclude: the job's output, which may lie inside an input: folders and globs pass over what is in it.
        meters: columns of tables that say which meter a photo shows and when it was taken; None: they mean nothing.

    Returns:
        The documents, sorted, each once. A document that was named but cannot be read carries its error.

    Raises:
        InputError: an input does not exist, cannot be listed (now) or holds no document.
    """
    if not inputs:
        raise InputError("no input; name a file, a folder, a glob, a manifest or a URI")
    found: dict[str, Document] = {}
    listing = Listing()
    output = f"{spelled_uri(local_path(exclude) or exclude).rstrip('/')}/" if exclude else None
    for given in inputs:
        skipped: Counter[str] = Counter()
        empty = True
        for document in _expand(given, image_column, meters, output, skipped):
            empty = False
            earlier = found.setdefault(document.uri, document)
            if earlier is not document:
                listing.duplicates += 1
                found[document.uri] = _named_twice(earlier, document)
        if empty:
            raise InputError(_nothing_in(given, Listing(skipped=skipped)))
        listing.skipped += skipped
    listing.documents = sorted(found.values(), key=lambda document: (document.base_uri, document.row))
    return listing


def _named_twice(earlier: Document, later: Document) -> Document:
    """One document of two inputs: what either says of its meter holds, when they do not contradict each other."""
    if later.sighting is None or later.sighting == earlier.sighting:
        return earlier
    if earlier.sighting is None:
        return replace(later, error=earlier.error or later.error)
    said = " and as ".join(f"meter {seen.meter_id} at {seen.time}" for seen in (earlier.sighting, later.sighting))
    contradiction = SightingError(f"{earlier.uri} is named twice, as {said}; leave one of them")
    return replace(earlier, sighting=None, error=page_error(contradiction))


def _expand(
    given: str,
    image_column: str | None,
    meters: MeterColumns | None,
    output: str | None,
    skipped: Counter[str],
) -> Iterator[Document]:
    try:
        entry = _named_file(given)
        if entry is not None:
            yield from _named(entry, image_column, meters, skipped)
        elif is_glob(given):
            tables = tuple(suffix for suffix in TABLE_SUFFIXES if given.endswith(suffix))
            yield from _found(walk_glob(given, skipped), tables, image_column, meters, output, skipped)
        else:
            tables = (".parquet",) if image_column else ()
            yield from _found(walk_folder(given, skipped), tables, image_column, meters, output, skipped)
    except InputError:
        raise
    except StorageUnavailable as error:
        raise InputError(str(error)) from error
    except Exception as error:  # storage back ends raise anything
        raise InputError(f"{spelled_uri(given)}: {access_problem(error)}") from error


def _named_file(given: str) -> FileEntry | None:
    """The file an input names, or None for a folder or a glob. A file whose name has wildcards is that file."""
    path = local_path(given)
    if path is not None:
        path = existing_path(path)
        if os.path.isdir(path) or (is_glob(path) and not os.path.lexists(path)):
            return None
        return local_entry(path)
    filesystem, remote = open_filesystem(given)
    if given.endswith("/"):
        return None
    try:
        info = listing_patiently(lambda: file_info(filesystem, remote), given)
    except FileNotFoundError:
        if is_glob(remote):
            return None
        raise
    return remote_entry(uri_in(filesystem, remote, given), info) if info["type"] == "file" else None


def _named(
    entry: FileEntry, image_column: str | None, meters: MeterColumns | None, skipped: Counter[str]
) -> Iterator[Document]:
    suffix = suffix_of(entry.uri)
    if suffix in TABLE_SUFFIXES:
        yield from read_table(entry, suffix, image_column, meters, skipped)
    else:
        yield named_document(entry.uri, entry.version, entry.size)


def _found(
    entries: Iterator[FileEntry],
    tables: tuple[str, ...],
    image_column: str | None,
    meters: MeterColumns | None,
    output: str | None,
    skipped: Counter[str],
) -> Iterator[Document]:
    """Documents among the files of a folder or glob."""
    for entry in entries:
        suffix = suffix_of(entry.uri)
        if output is not None and entry.uri.startswith(output):
            skipped["in the output folder"] += 1
        elif isinstance(entry.error, FileNotFoundError) and suffix and suffix not in SUFFIXES:
            skipped[f"suffix {suffix}"] += 1
        elif entry.error is not None:
            error = page_error(access_error(entry.uri, entry.error))
            yield Document(row_uri(entry.uri, -1), suffix=suffix, error=error)
        elif suffix in tables:
            yield from read_table(entry, suffix, image_column, meters, skipped)
        elif suffix in SUFFIXES:
            yield Document(row_uri(entry.uri, -1), entry.version, entry.size, suffix)
        else:
            skipped[f"suffix {suffix}" if suffix else "no suffix"] += 1


def _nothing_in(given: str, listing: Listing) -> str:
    message = f"{spelled_uri(given)}: no document in it; the suffixes read are {supported()}"
    if listing.skipped:
        message += f"; skipped: {listing.skipped_text()}"
    if any(f"suffix {suffix}" in listing.skipped for suffix in TABLE_SUFFIXES):
        message += "; .csv and .parquet tables are read when they are named themselves"
    return message
