"""Decoding: from a manifest row to pixels, or to the text layer that saves them."""

from typing import Any

from models.page_contrast import angle_view
from pipelines.documents import DocumentCache, Limits, PageContent, TextLayerUse, load_document, read_page
from pipelines.page import Page


class DecodeStage:
    """Decodes each page once, from the content it brings or from its document, which is kept for its next pages.

    Args:
        for_angles: whether later stages need a small view for the angle networks.
        text_layer: use of the text layers of PDFs, see `read_page`; `never` for readers that want pixels.
    """

    name = "decode"

    def __init__(self, limits: Limits, for_angles: bool = True, text_layer: TextLayerUse = "never"):
        self.limits, self.for_angles = limits, for_angles
        self.text_layer: TextLayerUse = text_layer
        self.documents = DocumentCache()

    def __call__(self, pages: list[Page[Any]]) -> None:
        for page in pages:
            if page.image is None and page.layer is None:  # else a process of its own has decoded it
                take(page, self._read(page))
            if self.for_angles and page.image is not None and page.needs_angles:
                page.view = angle_view(page.image)
        for page in pages:  # after the loop: a failing page sends all of them through again, one by one
            page.content = None

    def _read(self, page: Page[Any]) -> PageContent:
        record, content = page.record, page.content
        if content is None:
            content = load_document(
                self.documents,
                record.document_uri,
                record.page_count,
                row=page.row,
                image_column=page.image_column,
                limits=self.limits,
            )
        uri, number = record.document_uri, record.page_number
        return read_page(content, uri, number, self.limits, self.text_layer, page.upright is not None)


def take(page: Page[Any], content: PageContent) -> None:
    """Give a page what was read of its document."""
    record = page.record
    page.image, page.layer = content.image, content.layer
    record.width, record.height, record.dpi = content.width, content.height, content.dpi
    if content.problem:
        record.text_layer_problem = content.problem
    if content.layer is not None and not page.needs_angles:
        record.skew_degrees, record.orientation_degrees = 0.0, content.layer.turned
