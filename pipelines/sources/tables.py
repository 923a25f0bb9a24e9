"""Inputs that are tables: manifests of URIs (Parquet, CSV) and Parquet files whose rows hold encoded images."""

import asyncio
import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from itertools import islice

import pyarrow as pa
from fsspec.asyn import AsyncFileSystem, sync

from pipelines.documents.access import access_problem, inaccessible, local_path, open_file, open_filesystem
from pipelines.documents.parquet import is_image_type, open_parquet, row_uri
from pipelines.sources.document import Document, InputError, named_document, page_error
from pipelines.sources.walk import FileEntry, local_entry, remote_entry, remote_uri

TABLE_SUFFIXES = (".parquet", ".csv")
URI_COLUMNS = ("uri", "document_uri", "path")
_VERSION_COLUMN = "version"
_NAMES_AT_ONCE = 10_000
_REQUESTS_AT_ONCE = 128


def read_table(entry: FileEntry, suffix: str, image_column: str | None, skipped: Counter[str]) -> Iterator[Document]:
    """Documents of a manifest (one a row that names one), or of a Parquet file of images (one a row).

    A Parquet file is one of images when it has `image_column`, or, when that is None, exactly one column of images and
    none of URIs. In a manifest, relative paths are relative to the manifest's folder; a column `version` saves looking
    the documents up.

    Raises:
        InputError: unreadable, or neither kind of table.
    """
    try:
        if suffix == ".csv":
            yield from _documents(entry.uri, _csv_names(entry.uri), skipped)
            return
        with open_parquet(entry.uri) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
        column = _image_column(entry.uri, schema, image_column)
        if column is None:
            yield from _documents(entry.uri, _parquet_names(entry.uri, schema.names), skipped)
            return
    except InputError:
        raise
    except Exception as error:  # storage back ends, pyarrow and the csv module raise many things
        raise InputError(f"{entry.uri}: the table {access_problem(error)}") from error
    for row in range(rows):
        yield Document(row_uri(entry.uri, row), entry.version, row=row, image_column=column)


def _image_column(uri: str, schema: pa.Schema, wanted: str | None) -> str | None:
    """The column of images, or None when the file is a manifest."""
    images = [field.name for field in schema if is_image_type(field.type)]
    names = [name for name in URI_COLUMNS if name in schema.names]
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


def _csv_names(uri: str) -> Iterator[tuple[str, str]]:
    with open_file(uri) as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        name = _uri_column(uri, columns)
        for row in reader:
            yield row[name] or "", row.get(_VERSION_COLUMN) or ""


def _parquet_names(uri: str, columns: list[str]) -> Iterator[tuple[str, str]]:
    name = _uri_column(uri, columns)
    wanted = [name, _VERSION_COLUMN] if _VERSION_COLUMN in columns else [name]
    with open_parquet(uri) as file:
        for batch in file.iter_batches(columns=wanted):
            values = [batch.column(column).to_pylist() for column in wanted]
            versions = values[1] if len(wanted) == 2 else [""] * len(values[0])
            for value, version in zip(values[0], versions, strict=True):
                yield str(value or ""), str(version or "")


def _uri_column(uri: str, columns: Sequence[str]) -> str:
    for name in URI_COLUMNS:
        if name in columns:
            return name
    wanted, there = " or ".join(URI_COLUMNS), ", ".join(columns)
    raise InputError(f"{uri}: a manifest needs a header with a column {wanted}; its first row is {there!r}")


def _documents(manifest: str, names: Iterator[tuple[str, str]], skipped: Counter[str]) -> Iterator[Document]:
    folder = manifest.rpartition("/")[0]
    while chunk := list(islice(names, _NAMES_AT_ONCE)):
        unknown = []
        for name, version in chunk:
            name = name.strip()
            if not name:
                skipped["empty manifest row"] += 1
                continue
            uri = name if "://" in name or os.path.isabs(name) else f"{folder}/{name}"
            if version:
                yield named_document(local_path(uri) or uri, version, -1)
            else:
                unknown.append(uri)
        yield from look_up(unknown)


def look_up(uris: list[str]) -> Iterator[Document]:
    """Documents of URIs that were named, with their versions; one that cannot be reached carries its error."""
    remote: dict[str, list[str]] = {}
    for uri in uris:
        path = local_path(uri)
        if path is None:
            remote.setdefault(uri.partition("://")[0], []).append(uri)
            continue
        try:
            entry = local_entry(path)
        except OSError as error:
            yield _unreachable(path, error)
        else:
            yield named_document(entry.uri, entry.version, entry.size)
    for same_protocol in remote.values():
        yield from _look_up_remote(same_protocol)


def _look_up_remote(uris: list[str]) -> Iterator[Document]:
    for uri, info in zip(uris, _infos(uris), strict=True):
        if isinstance(info, dict) and info.get("type") != "file":
            info = IsADirectoryError(uri)
        if isinstance(info, dict):
            filesystem, path = open_filesystem(uri)
            entry = remote_entry(remote_uri(filesystem, path, uri), info)
            yield named_document(entry.uri, entry.version, entry.size)
        else:
            yield _unreachable(uri, info)


def _infos(uris: list[str]) -> list[dict | Exception]:
    """fsspec's `info` of each URI, or its exception; many requests at once where the file system can."""
    try:
        filesystem, _ = open_filesystem(uris[0])
    except Exception as error:  # unknown protocol, missing package
        return [error] * len(uris)
    paths = [filesystem._strip_protocol(uri) for uri in uris]
    if filesystem.async_impl:
        return sync(filesystem.loop, _gather, filesystem, paths)
    infos: list[dict | Exception] = []
    for path in paths:
        try:
            infos.append(filesystem.info(path))
        except Exception as error:  # storage back ends raise anything
            infos.append(error)
    return infos


async def _gather(filesystem: AsyncFileSystem, paths: list[str]) -> list[dict | Exception]:
    slots = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def ask(path: str) -> dict:
        async with slots:
            return await filesystem._info(path)

    return await asyncio.gather(*(ask(path) for path in paths), return_exceptions=True)


def _unreachable(uri: str, error: Exception) -> Document:
    return Document(uri, error=page_error(inaccessible(uri, error)))
