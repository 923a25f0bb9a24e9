"""Decoding: from a manifest row to pixels."""

from models.geometry import fit_within
from pipelines.documents import DocumentCache, Limits, load_page
from pipelines.page import Page

# The angle networks look at a copy of this size: more pixels gain nothing, and they were measured on it.
VIEW_LONG_SIDE = 1600


class DecodeStage:
    """Fetches a page's document (kept for its next pages) and decodes the page once."""

    name = "decode"

    def __init__(self, limits: Limits):
        self.limits = limits
        self.documents = DocumentCache()

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            record = page.record
            page.image = load_page(
                self.documents,
                record.document_uri,
                record.page_number,
                record.page_count,
                row=page.row,
                image_column=page.image_column,
                limits=self.limits,
            )
            record.height, record.width = page.image.shape[:2]
            page.view = fit_within(page.image, VIEW_LONG_SIDE)
