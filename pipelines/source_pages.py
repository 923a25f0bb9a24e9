"""The pixels behind a record, for exports and the report: records hold no images, their documents are opened again."""

from collections.abc import Callable

import numpy as np

from pipelines.config import DocumentsConfig
from pipelines.documents import DocumentCache, Limits, load_page
from pipelines.records import PageRecord


def page_loader(config: DocumentsConfig, image_column: str | None = None) -> Callable[[PageRecord], np.ndarray]:
    """A function that gives a record's page as it was read: (H, W, 3) uint8 RGB, in original pixels.

    It raises DocumentError when the document is no longer there or no longer readable.
    """
    documents, limits = DocumentCache(), Limits(**config.limits.model_dump())

    def load(record: PageRecord) -> np.ndarray:
        row = record.document_uri.rpartition("#row=")[2] if image_column else ""
        return load_page(
            documents,
            record.document_uri,
            record.page_number,
            record.page_count,
            row=int(row) if row.isdigit() else -1,
            image_column=image_column or "",
            limits=limits,
        )

    return load
