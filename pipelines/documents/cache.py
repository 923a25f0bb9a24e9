"""Documents kept in memory while their pages are read, one cache a process."""

from collections import OrderedDict
from io import BytesIO

from common.storage import StorageUnavailable
from pipelines.documents.access import read_bytes
from pipelines.documents.decode import count_pages, decode_page
from pipelines.documents.errors import UnreadableDocument
from pipelines.documents.formats import HEAD_BYTES, MULTI_PAGE, sniff
from pipelines.documents.images import DecodedPage
from pipelines.documents.limits import Limits
from pipelines.documents.parquet import ParquetImages
from pipelines.documents.rows import base_uri


class DocumentCache:
    """The bytes of the TIFF and PDF documents read last, so that page 2 does not fetch the document again.

    Holds at most `max_bytes`, or one document when that is larger. Also keeps the Parquet file open that was read last.
    Of documents in formats of one page the last one is kept: an export asks for it in several ways. A document that
    changes while it is held is not noticed. Not for several threads.
    """

    def __init__(self, max_bytes: int = 256 * 2**20):
        self.max_bytes = max_bytes
        self.bytes_held = 0
        self._last: tuple[str, bytes] = ("", b"")
        self._documents: OrderedDict[str, bytes] = OrderedDict()
        self._parquet: ParquetImages | None = None

    def read(self, document_uri: str, row: int = -1, image_column: str = "") -> bytes:
        """Bytes of a document, not empty; the arguments are columns of a manifest row.

        Raises:
            InaccessibleDocument, StorageUnavailable, EmptyDocument, UnknownFormat.
        """
        content = self._documents.get(document_uri)
        if content is not None:
            self._documents.move_to_end(document_uri)
            return content
        if self._last[0] == document_uri:
            return self._last[1]
        file_uri = base_uri(document_uri, row)
        content = self._read_row(file_uri, row, image_column) if row >= 0 else read_bytes(file_uri)
        if sniff(content[:HEAD_BYTES], document_uri) in MULTI_PAGE:
            self._keep(document_uri, content)
        else:
            self._last = document_uri, content
        return content

    def _keep(self, document_uri: str, content: bytes) -> None:
        self._documents[document_uri] = content
        self.bytes_held += len(content)
        while self.bytes_held > self.max_bytes and len(self._documents) > 1:
            self.bytes_held -= len(self._documents.popitem(last=False)[1])

    def _read_row(self, uri: str, row: int, column: str) -> bytes:
        if self._parquet is None or (self._parquet.uri, self._parquet.wanted) != (uri, column):
            self._close()
            self._parquet = ParquetImages(uri, column)
        try:
            return self._parquet.read(row)
        except StorageUnavailable:  # opened anew for the next row
            self._close()
            raise

    def _close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
            self._parquet = None


def load_document(
    cache: DocumentCache,
    document_uri: str,
    page_count: int,
    *,
    row: int = -1,
    image_column: str = "",
    limits: Limits | None = None,
) -> bytes:
    """Return the bytes of the document of a page; the arguments are columns of a manifest row
    (`pipelines.records.MANIFEST_SCHEMA`).

    Raises:
        DocumentError: of any kind; UnreadableDocument also when the plan, which trusts image suffixes, missed pages.
    """
    content = cache.read(document_uri, row, image_column)
    if page_count == 1:
        _check_single_page(content, document_uri, limits or Limits())
    return content


def load_page(
    cache: DocumentCache,
    document_uri: str,
    page_number: int,
    page_count: int,
    *,
    row: int = -1,
    image_column: str = "",
    limits: Limits | None = None,
) -> DecodedPage:
    """Fetch and decode one page; see `load_document`, which raises, and `decode_page`."""
    content = load_document(cache, document_uri, page_count, row=row, image_column=image_column, limits=limits)
    return decode_page(content, document_uri, page_number, limits)


def _check_single_page(content: bytes, uri: str, limits: Limits) -> None:
    image_format = sniff(content[:HEAD_BYTES], uri)
    pages = count_pages(BytesIO(content), uri, limits.passwords) if image_format in MULTI_PAGE else 1
    if pages > 1:
        raise UnreadableDocument(
            f"{uri}: a {image_format} of {pages} pages under another suffix was planned as one page; "
            f"rename it to .{image_format.lower()}"
        )
