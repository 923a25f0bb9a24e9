"""Opening a document and decoding one of its pages: PNG, JPEG, WebP, BMP, multi-page TIFF, PDF, rows of Parquet files.

Local paths and any fsspec URI. What cannot be read raises a `DocumentError`, one class for each cause, whose message
names the document and the remedy, or `common.storage.StorageUnavailable` while its storage does not answer. Nothing
here lists inputs (see `pipelines.sources`) or knows Ray.
"""

from pipelines.documents.access import read_bytes
from pipelines.documents.cache import DocumentCache, load_document, load_page
from pipelines.documents.decode import PageContent, TextLayerUse, count_pages, decode_page, read_page, stored_page
from pipelines.documents.errors import (
    DocumentError,
    EmptyDocument,
    EncryptedDocument,
    InaccessibleDocument,
    PageNotFound,
    PageTooLarge,
    PageTooSlow,
    UnknownFormat,
    UnreadableDocument,
)
from pipelines.documents.formats import SUFFIXES
from pipelines.documents.images import encode_jpeg, encode_png
from pipelines.documents.limits import Limits
from pipelines.documents.text_layer import LayerLine, TextLayer

__all__ = [
    "SUFFIXES",
    "DocumentCache",
    "DocumentError",
    "EmptyDocument",
    "EncryptedDocument",
    "InaccessibleDocument",
    "LayerLine",
    "Limits",
    "PageContent",
    "PageNotFound",
    "PageTooLarge",
    "PageTooSlow",
    "TextLayer",
    "TextLayerUse",
    "UnknownFormat",
    "UnreadableDocument",
    "count_pages",
    "decode_page",
    "encode_jpeg",
    "encode_png",
    "load_document",
    "load_page",
    "read_bytes",
    "read_page",
    "stored_page",
]
