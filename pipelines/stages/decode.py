"""Decoding: from a manifest row to pixels."""

from models.page_contrast import angle_view
from pipelines.documents import DocumentCache, Limits, load_page
from pipelines.page import Page


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
            page.view = angle_view(page.image)
