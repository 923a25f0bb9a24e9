"""Plain text: one UTF-8 file a document, a form feed between pages."""

from typing import BinaryIO

from pipelines.exports.publish import Document
from pipelines.exports.tree import Page
from pipelines.exports.writer import DocumentWriter


class TextWriter(DocumentWriter[Page]):
    """Lines as read, a blank line between blocks. A failed page is a note in brackets: page numbers stay right."""

    name = "text"
    suffix = ".txt"

    def __init__(self, stream: BinaryIO, document: Document):
        super().__init__(stream, document)
        self.pages = 0

    def add(self, page: Page) -> None:
        text = f"[page {page.record.page_number} could not be read: {page.error}]" if page.error else page.record.text
        self.stream.write((("\f" if self.pages else "") + text.rstrip("\n") + "\n").encode())
        self.pages += 1
