"""Inputs that are tables: manifests of URIs (Parquet, CSV) and Parquet files whose rows hold encoded images."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, cast

import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem, sync

from common.storage import StorageUnavailable
from common.storage.causes import Cause, access_problem, cause_of, is_bare_refusal, is_passing
from common.storage.locations import (
    Place,
    is_uri,
    local_path,
    locate,
    open_filesystem,
    spelled,
    spelled_uri,
    split_chain,
    uri_in,
)
from pipelines.documents.access import file_info
from pipelines.documents.errors import access_error
from pipelines.documents.parquet import image_column as column_of_images
from pipelines.documents.parquet import is_image_type, open_parquet
from pipelines.documents.rows import base_uri, row_uri, split_row
from pipelines.records import PageError
from pipelines.sources.columns import ManifestColumns, RowError, parquet_cells
from pipelines.sources.csv_table import open_csv
from pipelines.sources.document import Document, InputError, named_document, page_error, suffix_of
from pipelines.sources.walk import FileEntry, listing_patiently, local_entry, remote_entry

TABLE_SUFFIXES = (".parquet", ".csv")
URI_COLUMNS = ("uri", "document_uri", "path")
_VERSION_COLUMN = "version"
_NAMES_AT_ONCE = 10_000
_REQUESTS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a table about its document; `uri` as written there, empty for a row that holds the image."""

    uri: str
    version: str
    values: Mapping[str, Any] | None
    error: PageError | None

    def about(self, document: Document) -> Document:
        """Return the document with the values of the row."""
        if self.values is None and self.error is None:
            return document
        return replace(document, values=self.values, error=document.error or self.error)


class TableReader:
    """Reads tables of documents.

    Args:
        image_column: column of the encoded images in Parquet files; found by its type when None.
        columns: what a reader takes from the tables; None: nothing.
        skipped: counts the rows that name nothing.
    """

    def __init__(self, image_column: str | None, columns: ManifestColumns | None, skipped: Counter[str]):
        self.image_column, self.columns, self.skipped = image_column, columns, skipped

    def read(self, entry: FileEntry, suffix: str) -> Iterator[Document]:
        """Yield the documents of a manifest (one for each row that names one), or of a Parquet file of images (one for
        each row).

        A Parquet file is one of images when it has `image_column`, or, when that is None, exactly one column of images
        and none of URIs. In a manifest, relative paths are relative to the manifest's folder; a column `version` saves
        looking the documents up.

        Raises:
            InputError: unreadable, or neither kind of table; see also `ManifestColumns`.
        """
        uri = entry.uri
        try:
            if suffix == ".csv":
                yield from self._documents(uri, self._csv_rows(uri))
                return
            with open_parquet(uri) as file:
                schema, row_count = file.schema_arrow, file.metadata.num_rows
            column = _image_column(uri, schema, self.image_column)
            if column is None:
                name = _uri_column(uri, schema.names)
                yield from self._documents(uri, self._parquet_rows(uri, schema.names, name))
                return
            if self._present(uri, schema.names):
                for number, row in enumerate(self._parquet_rows(uri, schema.names, None)):
                    yield row.about(Document(row_uri(uri, number), entry.version, row=number, image_column=column))
                return
        except (InputError, StorageUnavailable):
            raise
        except Exception as error:  # storage back ends, pyarrow and the csv module raise many things
            raise InputError(f"{uri}: the table {access_problem(error)}") from error
        for row in range(row_count):
            yield Document(row_uri(uri, row), entry.version, row=row, image_column=column)

    def _present(self, uri: str, columns: Sequence[str]) -> list[str]:
        return self.columns.present(uri, columns) if self.columns else []

    def _csv_rows(self, uri: str) -> Iterator[_Row]:
        with open_csv(uri) as reader:
            columns = reader.fieldnames or []
            name = _uri_column(uri, columns)
            present = self._present(uri, columns)
            for number, row in enumerate(reader, start=1):
                found = self._values(uri, number, {column: row[column] for column in present})
                yield _Row(row[name] or "", row.get(_VERSION_COLUMN) or "", *found)

    def _parquet_rows(self, uri: str, columns: list[str], name: str | None) -> Iterator[_Row]:
        """Rows of a manifest whose column of URIs is `name`; None for a file of images."""
        present = self._present(uri, columns)
        version = _VERSION_COLUMN if name and _VERSION_COLUMN in columns else None
        number = 0
        with open_parquet(uri) as file:
            for batch in file.iter_batches(columns=list(dict.fromkeys(filter(None, (name, version, *present))))):
                names, versions = (batch.column(column).to_pylist() if column else [] for column in (name, version))
                cells = {column: parquet_cells(batch.column(column), uri, column) for column in present}
                for index in range(batch.num_rows):
                    number += 1
                    found = self._values(uri, number, {column: cells[column][index] for column in present})
                    named, tag = (values[index] if values else None for values in (names, versions))
                    yield _Row(str(named or ""), str(tag or ""), *found)

    def _values(
        self, uri: str, number: int, cells: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any] | None, PageError | None]:
        """Return the document columns of row `number`, or why they are invalid."""
        if self.columns is None or not cells:
            return None, None
        try:
            return self.columns.values(uri, number, cells), None
        except RowError as error:
            return None, page_error(error)

    def _documents(self, manifest: str, rows: Iterator[_Row]) -> Iterator[Document]:
        while chunk := list(islice(rows, _NAMES_AT_ONCE)):
            unknown = []
            for row in chunk:
                name = row.uri.strip()
                if not name:
                    self.skipped["empty manifest row"] += 1
                    continue
                uri = name if is_uri(name) or os.path.isabs(name) else _beside(manifest, name)
                path = local_path(uri)
                if row.version and split_row(uri)[1] < 0:
                    uri = spelled_uri(uri) if path is None else spelled(path)
                    yield row.about(named_document(base_uri(uri, -1), row.version, -1))
                else:
                    unknown.append(replace(row, uri=uri))
            yield from self._look_up(unknown)

    def _look_up(self, rows: list[_Row]) -> Iterator[Document]:
        """Documents that were named, with their versions; one that cannot be reached carries its error.

        A name that ends in `#row=3`, as records name rows of Parquet files, is such a row when it names a Parquet file,
        and else a file.
        """
        remote: dict[str, list[tuple[_Row, Place]]] = {}
        opened: dict[str, tuple[FileEntry, str | None]] = {}
        for row in rows:
            base, number = split_row(row.uri)
            if number >= 0 and suffix_of(base) == ".parquet":
                yield row.about(self._row_document(base, number, opened))
                continue
            uri = row.uri if number >= 0 else base  # `#row=-1`: the file itself
            path = local_path(uri)
            try:
                if path is None:
                    place = locate(uri)
                    remote.setdefault(place.storage, []).append((replace(row, uri=uri), place))
                    continue
                entry = local_entry(path)
            except Exception as error:  # unknown protocol, missing package; NUL in a name
                yield row.about(_unreachable(uri if path is None else path, error))
            else:
                yield row.about(named_document(entry.uri, entry.version, entry.size))
        for same_storage in remote.values():
            yield from _look_up_remote(same_storage)

    def _row_document(self, uri: str, row: int, opened: dict[str, tuple[FileEntry, str | None]]) -> Document:
        """Row `row` of the Parquet file `uri`, unless there is a file of that very name; `opened` keeps each file's
        entry and its column of images."""
        try:
            entry = _entry(row_uri(uri, row))
        except Exception as error:  # storage back ends raise anything
            if cause_of(error) is not Cause.MISSING:
                return _unreachable(row_uri(uri, row), error)
        else:
            return named_document(entry.uri, entry.version, entry.size)
        try:
            if uri not in opened:
                entry = _entry(uri)
                with open_parquet(entry.uri) as file:
                    opened[uri] = entry, column_of_images(file.schema_arrow, self.image_column)
        except Exception as error:  # and pyarrow too
            return replace(_unreachable(uri, error), uri=row_uri(spelled_uri(uri), row), row=row)
        entry, column = opened[uri]
        return Document(row_uri(entry.uri, row), entry.version, row=row, image_column=column or "")


def _image_column(uri: str, schema: pa.Schema, wanted: str | None) -> str | None:
    """Return the column of images, or None if the file is a manifest."""
    images = [field.name for field in schema if is_image_type(field.type)]
    names = [name for name in schema.names if name.strip().lower() in URI_COLUMNS]
    if wanted is not None and wanted in schema.names:
        if wanted not in images:
            raise InputError(f"{uri}: column {wanted!r} is {schema.field(wanted).type}, not encoded images (binary)")
        return wanted
    if wanted is None and len(images) == 1 and not names:
        return images[0]
    if names and (wanted is not None or not images):
        return None
    has = f"it has {', '.join(schema.names)}"
    if wanted is not None:
        raise InputError(f"{uri}: no column {wanted!r}; {has}")
    if images:
        raise InputError(f"{uri}: which column holds the images? {', '.join(images)} may; name it with --image-column")
    raise InputError(f"{uri}: neither a column of images nor one of URIs ({', '.join(URI_COLUMNS)}); {has}")


def _uri_column(uri: str, columns: Sequence[str]) -> str:
    for name in URI_COLUMNS:
        for column in columns:
            if column.strip().lower() == name:
                return column
    wanted, there = " or ".join(URI_COLUMNS), ", ".join(columns)
    raise InputError(f"{uri}: a table of documents needs a header with a column {wanted}; its first row is {there!r}")


def _beside(manifest: str, name: str) -> str:
    """Return the file that a relative name in a manifest means: one in the manifest's folder."""
    path = local_path(manifest)
    if path is not None:
        return os.path.join(os.path.dirname(path), name)
    head, *beneath = split_chain(manifest)  # zip://lists/list.csv::s3://bucket/scans.zip
    folder = head[: head.rindex("/") + 1]
    return "::".join([f"{folder}{name}", *beneath])


def _entry(uri: str) -> FileEntry:
    """Return the entry of one file. Raises what the storage raises."""
    path = local_path(uri)
    if path is not None:
        return local_entry(path)
    filesystem, remote = open_filesystem(uri)
    info = listing_patiently(partial(file_info, filesystem, remote), uri)
    if info.get("type") != "file":
        raise IsADirectoryError(uri)
    return remote_entry(uri_in(filesystem, remote, uri), info)


def _look_up_remote(rows: list[tuple[_Row, Place]]) -> Iterator[Document]:
    """`rows` are in one file system: an archive is opened once."""
    first, place = rows[0]
    try:
        filesystem = listing_patiently(place.filesystem, first.uri)
    except Exception as error:  # a missing package; an archive that is missing or broken
        yield from (row.about(_unreachable(row.uri, error)) for row, _ in rows)
        return
    infos = _infos(filesystem, [place.path for _, place in rows], first.uri)
    for (row, place), info in zip(rows, infos, strict=True):
        if isinstance(info, dict) and info.get("type") != "file":
            info = IsADirectoryError(row.uri)
        if isinstance(info, dict):
            entry = remote_entry(uri_in(filesystem, place.path, row.uri), info)
            yield row.about(named_document(entry.uri, entry.version, entry.size))
        else:
            yield row.about(_unreachable(row.uri, info))


def _infos(filesystem: AbstractFileSystem, paths: list[str], uri: str) -> list[dict | Exception]:
    """fsspec's `info` of each path, or its exception; many requests at once where the file system can.

    Requests that storage does not answer are retried together. `uri` is one of them, for messages.
    """
    answers: dict[str, dict | Exception] = {}

    def ask() -> None:
        waiting = [path for path in dict.fromkeys(paths) if path not in answers or is_unanswered(answers[path])]
        answers.update(zip(waiting, _infos_of(filesystem, waiting), strict=True))
        for answer in answers.values():
            if isinstance(answer, Exception) and is_passing(answer):
                raise answer

    def is_unanswered(answer: dict | Exception) -> bool:
        return isinstance(answer, Exception) and is_passing(answer)

    with suppress(Exception):  # credentials, or patience ran out: each path has its answer
        listing_patiently(ask, uri)
    return [answers[path] for path in paths]


def _infos_of(filesystem: AbstractFileSystem, paths: list[str]) -> list[dict | Exception]:
    infos: list[dict | Exception | None] = [None] * len(paths)
    if isinstance(filesystem, AsyncFileSystem):
        infos = cast("list[dict | Exception | None]", sync(filesystem.loop, _gather, filesystem, paths))
    return [
        _info(filesystem, path) if info is None or (isinstance(info, Exception) and is_bare_refusal(info)) else info
        for path, info in zip(paths, infos, strict=True)
    ]


def _info(filesystem: AbstractFileSystem, path: str) -> dict | Exception:
    try:
        return file_info(filesystem, path)
    except Exception as error:  # storage back ends raise anything
        return error


async def _gather(filesystem: AsyncFileSystem, paths: list[str]) -> list[dict | BaseException]:
    slots = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def ask(path: str) -> dict:
        async with slots:
            return await filesystem._info(path)

    return await asyncio.gather(*(ask(path) for path in paths), return_exceptions=True)


def _unreachable(uri: str, error: Exception) -> Document:
    uri = spelled_uri(uri)
    return Document(row_uri(uri, -1), error=page_error(access_error(uri, error)))
