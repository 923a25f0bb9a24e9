"""The types of a listing."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from common.errors import ExpectedError
from common.storage.locations import naming_link
from pipelines.documents.errors import UnknownFormat
from pipelines.documents.formats import SUFFIXES, supported
from pipelines.documents.rows import base_uri, row_uri
from pipelines.records import PageError

STAGE = "plan"
_LISTED_REASONS = 12


class InputError(ExpectedError):
    """The inputs as given cannot be a job; the message names the input and the remedy."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document that is to be read.

    Attributes:
        uri: absolute local path, or the URI; `file.parquet#row=17` for a row of a Parquet file. It is text and leads
            back to the document, whatever its name is (`common.storage.locations`).
        version: changes when the document does: ETag, or "size-mtime".
        size: bytes; -1 when unknown.
        suffix: lower case with its dot; empty for Parquet rows and names without one.
        row: 0-based row of a Parquet file, else -1.
        image_column: the Parquet column of the encoded image, else empty.
        error: why it cannot be read, when listing already knows.
        values: its row in the manifest, see `pipelines.sources.columns`; None: nothing.
    """

    uri: str
    version: str = ""
    size: int = -1
    suffix: str = ""
    row: int = -1
    image_column: str = ""
    error: PageError | None = None
    values: Mapping[str, Any] | None = None

    @property
    def base_uri(self) -> str:
        """URI of the file that holds it."""
        return base_uri(self.uri, self.row)


@dataclass(slots=True)
class Listing:
    """What the inputs hold.

    Attributes:
        documents: sorted by URI, then row; each URI once.
        skipped: what was passed over in folders and globs: reason ("hidden", "suffix .txt", …) -> how many.
        duplicates: how many documents were named more than once.
    """

    documents: list[Document] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def __len__(self) -> int:
        return len(self.documents)

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def skipped_text(self) -> str:
        """`skipped` as one line, most frequent first; empty when nothing was."""
        listed = self.skipped.most_common(_LISTED_REASONS)
        others = self.skipped.total() - sum(count for _, count in listed)
        rest = [("others", others)] if others else []
        return ", ".join(f"{count:,} × {reason}" for reason, count in [*listed, *rest])

    def notes(self) -> list[str]:
        """Return what was skipped and merged, one line each, for people."""
        notes = []
        if self.skipped:
            notes.append(f"{_counted(self.skipped.total(), 'file')} skipped: {self.skipped_text()}")
        if self.duplicates:
            notes.append(f"{_counted(self.duplicates, 'document')} named more than once, read once")
        return notes


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def suffix_of(uri: str) -> str:
    """Lower-case suffix with its dot, or empty."""
    path = naming_link(uri)  # zip://scans/a.png::s3://bucket/scans.zip
    if path.startswith(("http://", "https://")):
        path = urlsplit(path).path
    return sys.intern(os.path.splitext(path)[1].lower())  # the same few, millions of times


def page_error(error: Exception) -> PageError:
    """Return the record's error for a document that cannot be listed or planned."""
    return PageError(stage=STAGE, type=type(error).__name__, message=str(error))


def named_document(uri: str, version: str, size: int) -> Document:
    """Return the document of the file `uri`, as a user named it: an unknown suffix is an error; without a suffix the
    content decides."""
    suffix = suffix_of(uri)
    error = None
    if suffix and suffix not in SUFFIXES:
        unknown = UnknownFormat(f"{uri}: {suffix} files are not read; convert it to one of {supported()}")
        error = page_error(unknown)
    return Document(row_uri(uri, -1), version, size, suffix, error=error)
