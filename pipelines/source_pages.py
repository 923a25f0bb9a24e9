"""The pixels behind a record, for exports and the report: records hold no images, their documents are opened again."""

from typing import Any

import numpy as np

from pipelines.documents import DocumentCache, Limits, load_page
from pipelines.documents.rows import split_row
from pipelines.records import BaseRecord


class SourcePages:
    """Opens the documents of records again, within `limits`. Both calls raise DocumentError, or StorageUnavailable,
    when a document is no longer there or no longer readable.

    A record's URI says whether it is a row of a Parquet file; the column is `image_column` or, as for the listing, the
    file's only one of images.
    """

    def __init__(self, limits: Limits, image_column: str | None = None):
        self.documents = DocumentCache()
        self.limits = limits
        self.image_column = image_column or ""

    def __reduce__(self) -> tuple[type["SourcePages"], tuple[Limits, str]]:
        """Pickle without the documents that are open."""
        return SourcePages, (self.limits, self.image_column)

    def page(self, record: BaseRecord) -> np.ndarray:
        """Return a record's page as it was read: (H, W, 3) uint8 RGB, in original pixels."""
        return load_page(
            self.documents,
            record.document_uri,
            record.page_number,
            record.page_count,
            row=split_row(record.document_uri)[1],
            image_column=self.image_column,
            limits=self.limits,
        ).image

    def for_export(self) -> dict[str, Any]:
        """Return what `pipelines.exports.export.export` takes of this."""
        return {"load_page": self.page, "load_original": self.original, "passwords": self.limits.passwords}

    def original(self, record: BaseRecord) -> bytes:
        """Return the bytes of a record's document."""
        return self.documents.read(record.document_uri, split_row(record.document_uri)[1], self.image_column)
