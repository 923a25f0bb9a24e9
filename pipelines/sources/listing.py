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
from pipelines.sources.columns import ManifestColumns, RowError
from pipelines.sources.document import Document, InputError, Listing, named_document, page_error, suffix_of
from pipelines.sources.tables import TABLE_SUFFIXES, TableReader
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
    columns: ManifestColumns | None = None,
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
        columns: what the reader takes from tables; None: nothing.

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
        lister = _Lister(image_column, output, columns)
        empty = True
        for document in lister.list(given):
            empty = False
            earlier = found.setdefault(document.uri, document)
            if earlier is not document:
                listing.duplicates += 1
                found[document.uri] = _named_twice(earlier, document, columns)
        if empty:
            raise InputError(_nothing_in(given, Listing(skipped=lister.skipped)))
        listing.skipped += lister.skipped
    listing.documents = sorted(found.values(), key=lambda document: (document.base_uri, document.row))
    return listing


def _named_twice(earlier: Document, later: Document, columns: ManifestColumns | None) -> Document:
    """Merge one document of two inputs: values of either hold, unless they contradict each other."""
    if columns is None or later.values is None or later.values == earlier.values:
        return earlier
    if earlier.values is None:
        return replace(later, error=earlier.error or later.error)
    both = f"{columns.describe(earlier.values)} and as {columns.describe(later.values)}"
    contradiction = RowError(f"{earlier.uri} is named twice, as {both}; leave one of them")
    return replace(earlier, values=None, error=page_error(contradiction))


class _Lister:
    """Lists one input. `skipped` counts what was passed over, by reason."""

    def __init__(self, image_column: str | None, output: str | None, columns: ManifestColumns | None):
        self.image_column, self.output = image_column, output
        self.skipped: Counter[str] = Counter()
        self.tables = TableReader(image_column, columns, self.skipped)

    def list(self, given: str) -> Iterator[Document]:
        """Yield the documents of an input. Raises InputError."""
        try:
            entry = _named_file(given)
            if entry is not None:
                yield from self._named(entry)
            elif is_glob(given):
                tables = tuple(suffix for suffix in TABLE_SUFFIXES if given.endswith(suffix))
                yield from self._found(walk_glob(given, self.skipped), tables)
            else:
                tables = (".parquet",) if self.image_column else ()
                yield from self._found(walk_folder(given, self.skipped), tables)
        except InputError:
            raise
        except StorageUnavailable as error:
            raise InputError(str(error)) from error
        except Exception as error:  # storage back ends raise anything
            raise InputError(f"{spelled_uri(given)}: {access_problem(error)}") from error

    def _named(self, entry: FileEntry) -> Iterator[Document]:
        suffix = suffix_of(entry.uri)
        if suffix in TABLE_SUFFIXES:
            yield from self.tables.read(entry, suffix)
        else:
            yield named_document(entry.uri, entry.version, entry.size)

    def _found(self, entries: Iterator[FileEntry], tables: tuple[str, ...]) -> Iterator[Document]:
        """Documents among the files of a folder or glob; `tables` are the suffixes of tables that are read there."""
        for entry in entries:
            suffix = suffix_of(entry.uri)
            if self.output is not None and entry.uri.startswith(self.output):
                self.skipped["in the output folder"] += 1
            elif isinstance(entry.error, FileNotFoundError) and suffix and suffix not in SUFFIXES:
                self.skipped[f"suffix {suffix}"] += 1
            elif entry.error is not None:
                error = page_error(access_error(entry.uri, entry.error))
                yield Document(row_uri(entry.uri, -1), suffix=suffix, error=error)
            elif suffix in tables:
                yield from self.tables.read(entry, suffix)
            elif suffix in SUFFIXES:
                yield Document(row_uri(entry.uri, -1), entry.version, entry.size, suffix)
            else:
                self.skipped[f"suffix {suffix}" if suffix else "no suffix"] += 1


def _named_file(given: str) -> FileEntry | None:
    """Return the file that an input names, or None for a folder or a glob. A file whose name has wildcards is that
    file."""
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


def _nothing_in(given: str, listing: Listing) -> str:
    message = f"{spelled_uri(given)}: no document in it; the suffixes read are {supported()}"
    if listing.skipped:
        message += f"; skipped: {listing.skipped_text()}"
    if any(f"suffix {suffix}" in listing.skipped for suffix in TABLE_SUFFIXES):
        message += "; .csv and .parquet tables are read when they are named themselves"
    return message
