"""Decoding: from a manifest row to pixels."""

from typing import Any

from models.page_contrast import angle_view
from pipelines.documents import DocumentCache, Limits, decode_page, load_page
from pipelines.page import Page


class DecodeStage:
    """Decodes each page once, from the content it brings or from its document, which is kept for its next pages.

    `for_angles`: whether later stages need a small view for the angle networks.
    """

    name = "decode"

    def __init__(self, limits: Limits, for_angles: bool = True):
        self.limits, self.for_angles = limits, for_angles
        self.documents = DocumentCache()

    def __call__(self, pages: list[Page[Any]]) -> None:
        for page in pages:
            record = page.record
            if page.image is not None:
                pass  # decoded by a process of its own (`pipelines.documents.decoders`)
            elif page.content is not None:
                content, uri, number = page.content, record.document_uri, record.page_number
                page.image, record.dpi = decode_page(content, uri, number, self.limits)
            else:
                page.image, record.dpi = load_page(
                    self.documents,
                    record.document_uri,
                    record.page_number,
                    record.page_count,
                    row=page.row,
                    image_column=page.image_column,
                    limits=self.limits,
                )
            record.height, record.width = page.image.shape[:2]
            if self.for_angles:
                page.view = angle_view(page.image)
        for page in pages:  # after the loop: a failing page sends all of them through again, one by one
            page.content = None
