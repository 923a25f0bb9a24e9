"""Opening a document and decoding one of its pages: PNG, JPEG, WebP, BMP, multi-page TIFF, PDF, rows of Parquet files.

Local paths and any fsspec URI. What cannot be read raises a `DocumentError`, one class a cause, whose message names the
document and the remedy. Nothing here lists inputs (see `pipelines.sources`) or knows Ray.
"""

from pipelines.documents.access import read_bytes
from pipelines.documents.cache import DocumentCache, load_page
from pipelines.documents.decode import count_pages, decode_page
from pipelines.documents.errors import (
    DocumentError,
    EmptyDocument,
    EncryptedDocument,
    InaccessibleDocument,
    PageNotFound,
    PageTooLarge,
    PageTooSlow,
    StorageUnavailable,
    UnknownFormat,
    UnreadableDocument,
)
from pipelines.documents.formats import SUFFIXES
from pipelines.documents.images import encode_jpeg, encode_png
from pipelines.documents.limits import Limits
from pipelines.documents.locations import open_filesystem

__all__ = [
    "SUFFIXES",
    "DocumentCache",
    "DocumentError",
    "EmptyDocument",
    "EncryptedDocument",
    "InaccessibleDocument",
    "Limits",
    "PageNotFound",
    "PageTooLarge",
    "PageTooSlow",
    "StorageUnavailable",
    "UnknownFormat",
    "UnreadableDocument",
    "count_pages",
    "decode_page",
    "encode_jpeg",
    "encode_png",
    "load_page",
    "open_filesystem",
    "read_bytes",
]
