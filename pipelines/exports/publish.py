"""Writing export files so that a reader never sees half of one, and naming them."""

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pipelines.storage import Storage

# File systems allow 255 bytes a name; Hangul takes 3 a syllable. The rest is for the hash and the suffix.
MAX_STEM_BYTES = 180


def document_name(document_uri: str) -> str:
    """The last part of a document's URI, for people; a row of a Parquet file keeps its `#row=17`."""
    path = document_uri
    if document_uri.startswith(("http://", "https://")):
        path = unquote(urlsplit(document_uri).path)
    return path.rstrip("/").rsplit("/", 1)[-1] or document_uri


def document_stem(document_uri: str) -> str:
    """A file name without suffix for a document: its own name (Hangul and other letters kept, anything unsafe a `_`)
    and 8 hex characters of its URI's SHA-256, so that `a/scan.png` and `b/scan.png` do not collide.

    >>> document_stem("s3://bucket/a/영수증 1.png")
    '영수증_1-b0d7b5e5'
    """
    digest = hashlib.sha256(document_uri.encode()).hexdigest()[:8]
    name, _, row = unicodedata.normalize("NFC", document_name(document_uri)).partition("#row=")
    stem = Path(name).stem + (f"_row{row}" if row else "")
    stem = re.sub(r"[^\w.-]+", "_", stem).strip("._") or "document"
    stem = stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore")
    return f"{stem}-{digest}"


@contextmanager
def atomic_file(output: Storage, name: str) -> Iterator[BinaryIO]:
    """A binary file that appears in `output` only when the block ends without an error.

    It is `Storage.write` for content that is too large to be held in memory.

    Local: written beside its target, then renamed. Remote: written to a local temporary file, then uploaded.
    """
    path = output.path(name)
    local = output.is_local
    folder = os.path.dirname(path)
    output.filesystem.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".writing-", dir=folder if local else None)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
        if local:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes files private
            os.replace(temporary, path)
        else:
            output.filesystem.put_file(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
