"""Naming export files."""

import hashlib
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.storage.locations import naming_link
from pipelines.documents.rows import base_uri, row_uri, split_row

# File systems allow 255 bytes a name; Hangul takes 3 a syllable. The rest is for the hash and the suffix.
MAX_STEM_BYTES = 180


def document_name(document_uri: str) -> str:
    """The last part of a document's URI, for people; a row of a Parquet file keeps its `#row=17`."""
    path = naming_link(base_uri(document_uri, -1))
    if path.startswith(("http://", "https://")):
        path = unquote(urlsplit(path).path)
    return path.rstrip("/").rsplit("/", 1)[-1] or document_uri


def document_stem(document_uri: str) -> str:
    """A file name without suffix for a document: its own name (Hangul and other letters kept, anything unsafe a `_`)
    and 8 hex characters of its URI's SHA-256, so that `a/scan.png` and `b/scan.png` do not collide.

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
