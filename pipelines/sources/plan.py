"""Documents to the manifest: one row a page."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pyarrow as pa

from common.storage import StorageUnavailable
from common.storage.locations import local_path
from pipelines.documents.access import open_file, read_bytes
from pipelines.documents.cache import DocumentCache
from pipelines.documents.decode import count_pages
from pipelines.documents.errors import DocumentError, EmptyDocument, access_error
from pipelines.documents.formats import MULTI_PAGE, SUFFIXES
from pipelines.documents.limits import Limits
from pipelines.records import MANIFEST_SCHEMA, PageError, page_id
from pipelines.sources.columns import ManifestColumns
from pipelines.sources.document import Document, page_error


def manifest_schema(columns: ManifestColumns | None = None) -> pa.Schema:
    """Return the schema of a job's manifest: MANIFEST_SCHEMA, then what the reader's columns become."""
    return MANIFEST_SCHEMA if columns is None else pa.schema([*MANIFEST_SCHEMA, *columns.manifest_fields])


def plan_pages(documents: Iterable[Document], limits: Limits | None = None) -> list[dict[str, Any]]:
    """Return rows of `manifest_schema`, one for each page, in the documents' order.

    PNG, JPEG, WebP and BMP files are one page and are not opened; the others are opened to count their pages. A
    document that cannot be opened gives one row with page_count 0, page_number 1 and the error, never an exception;
    when storage will not give it now, the error is a StorageUnavailable, and the next run is to plan it again. Rows of
    one Parquet file are best planned together: they are read in one pass.
    """
    cache = DocumentCache(0)
    limits = limits or Limits()
    return [row for document in documents for row in plan_document(document, cache, limits)]


def plan_document(document: Document, cache: DocumentCache, limits: Limits) -> list[dict[str, Any]]:
    """Manifest rows of one document. `cache` keeps the Parquet file open from one of its rows to the next."""
    rows = plan_unopened(document, limits)
    if rows is not None:
        return rows
    try:
        count = _count(document, cache, limits)
    except (DocumentError, StorageUnavailable) as problem:
        return [_row(document, 1, 0, page_error(problem))]
    return [_row(document, number, count, None) for number in limits.selected(count)]


def plan_unopened(document: Document, limits: Limits, count: int | None = None) -> list[dict[str, Any]] | None:
    """Return manifest rows of a document that need not be opened to count its pages, None for one that must be.

    `count` is what is known of its pages from records; 0: it could not be opened.
    """
    error = document.error
    if error is None:
        try:
            known = _count_unopened(document, limits)
        except DocumentError as problem:
            error = page_error(problem)
        else:
            count = known or count
    if error is not None:
        return [_row(document, 1, 0, error)]
    if count is None:
        return None
    return [_row(document, number, count, None) for number in limits.selected(max(1, count))]


def _count_unopened(document: Document, limits: Limits) -> int | None:
    """Return 1 for a file of one page, None for what may have more."""
    limits.check_document(document.size, document.base_uri)
    if document.row >= 0:
        return None
    if document.size == 0:
        raise EmptyDocument(f"{document.base_uri}: the file is empty (0 bytes); copy or scan it again")
    image_format = SUFFIXES.get(document.suffix)
    return 1 if image_format is not None and image_format not in MULTI_PAGE else None


def _count(document: Document, cache: DocumentCache, limits: Limits) -> int:
    uri = document.base_uri
    if document.row >= 0:
        content = cache.read(document.uri, document.row, document.image_column)
        limits.check_document(len(content), document.uri)
        return count_pages(BytesIO(content), document.uri, limits.passwords)
    image_format = SUFFIXES.get(document.suffix)
    if local_path(uri) is None and image_format == "PDF":
        return count_pages(BytesIO(read_bytes(uri)), uri, limits.passwords)  # PDFium jumps about: better one request
    try:
        with open_file(uri) as file:
            return count_pages(file, uri, limits.passwords)
    except (DocumentError, StorageUnavailable):
        raise
    except Exception as error:  # storage back ends raise anything
        raise access_error(uri, error) from error


def _row(document: Document, number: int, count: int, error: PageError | None) -> dict[str, Any]:
    return {
        "page_id": page_id(document.uri, document.version, number),
        "document_uri": document.uri,
        "version": document.version,
        "page_number": number,
        "page_count": count,
        "row": document.row,
        "image_column": document.image_column,
        "error": None if error is None else error.model_dump(),
        **(document.values or {}),
    }
