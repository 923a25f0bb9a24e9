"""Naming documents, and the files that they are exported to."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.storage.locations import naming_link
from pipelines.documents.rows import base_uri, row_uri, split_row

# File systems allow 255 bytes a name; Hangul takes 3 a syllable. The rest is for the hash and the suffix.
MAX_STEM_BYTES = 180
# Control characters that XML 1.0 cannot hold, and lone surrogates.
NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Document:
    """A document's identity; its pages are streamed to the writers, in page order."""

    uri: str
    page_count: int

    @property
    def name(self) -> str:
        """Last part of the URI, for people and XML."""
        return xml_text(document_name(self.uri))

    @property
    def source(self) -> str:
        """The URI, for people and XML."""
        return xml_text(self.uri)

    @property
    def stem(self) -> str:
        """File name without suffix under which the document is exported."""
        return document_stem(self.uri)


def xml_text(text: str) -> str:
    """`text` with U+FFFD for what XML cannot hold: a bucket's keys and messages may have control characters."""
    return NOT_TEXT.sub("\ufffd", text)


def document_name(document_uri: str) -> str:
    """Return the last part of a document's URI, for people; a row of a Parquet file keeps its `#row=17`."""
    path = naming_link(base_uri(document_uri, -1))
    if path.startswith(("http://", "https://")):
        path = unquote(urlsplit(path).path)
    return path.rstrip("/").rsplit("/", 1)[-1] or document_uri


def document_stem(document_uri: str) -> str:
    """Return a file name without suffix for a document: its own name (Hangul and other letters kept, anything unsafe a
    `_`) and 8 hex characters of its URI's SHA-256, so that `a/scan.png` and `b/scan.png` do not collide.

    >>> document_stem("s3://bucket/a/영수증 1.png")
    '영수증_1-b0d7b5e5'
    """
    digest = hashlib.sha256(document_uri.encode()).hexdigest()[:8]
    file_uri, row = split_row(document_uri)
    stem = Path(unicodedata.normalize("NFC", document_name(row_uri(file_uri, -1)))).stem
    stem += f"_row{row}" if row >= 0 else ""
    stem = re.sub(r"[^\w.-]+", "_", stem).strip("._") or "document"
    stem = stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore")
    return f"{stem}-{digest}"
