"""Searchable PDFs: a PDF with text added to it, or the pictures of pages with their text."""

import logging
import re
from collections import Counter
from contextlib import ExitStack
from typing import BinaryIO

import pikepdf
from typing_extensions import Self

from common.project import VERSION
from pipelines.documents import DocumentError
from pipelines.documents.formats import HEAD_BYTES, sniff
from pipelines.exports.pdf.archive import mark_as_pdf_a
from pipelines.exports.pdf.drawn import DrawnPdf
from pipelines.exports.pdf.kept import KeptPdf
from pipelines.exports.pdf.saving import save
from pipelines.exports.publish import Document
from pipelines.exports.tree import Page
from pipelines.exports.writer import DocumentWriter, ExportOptions, Pixels

log = logging.getLogger(__name__)

_LANGUAGE = re.compile(r"[a-z]{2,3}")  # others are groups of languages


class PdfWriter(DocumentWriter[Page]):
    """One PDF a document: of a PDF that PDF, see `KeptPdf`; of images, and as PDF/A, see `DrawnPdf`."""

    name = "pdf"
    suffix = ".pdf"

    @classmethod
    def open(cls, stream: BinaryIO, document: Document, pixels: Pixels, options: ExportOptions) -> Self:
        return cls(stream, document, pixels, options)

    def __init__(self, stream: BinaryIO, document: Document, pixels: Pixels, options: ExportOptions):
        super().__init__(stream, document)
        self.pixels, self.options = pixels, options
        self.resources = ExitStack()
        self.body: DrawnPdf | KeptPdf | None = None
        self.languages: Counter[str] = Counter()

    def add(self, page: Page) -> None:
        if self.body is None:
            self.body = self._body(page)
        self.body.add(page)
        self.missing = self.body.missing
        self.languages.update(line.language for block in page.blocks for line in block.lines)

    def finish(self) -> None:
        with self.resources:
            if isinstance(self.body, KeptPdf):
                # A password that is needed to open the source is needed to open its copy, too.
                save(self.body.finish(), self.stream, encryption=self.body.pdf.is_encrypted)
            else:
                pdf = (self.body or DrawnPdf(self.pixels, self.resources)).finish()
                self._describe(pdf)
                save(pdf, self.stream, object_stream_mode=pikepdf.ObjectStreamMode.generate, deterministic_id=True)

    def close(self) -> None:
        """Let go of what a document that could not be finished holds."""
        self.resources.close()

    def _body(self, page: Page) -> DrawnPdf | KeptPdf:
        """Return what the document's pages are added to; `page` is the first of them."""
        record, pages = page.record, self.options.pdf_pages
        if self.pixels.load_original and not self.options.pdf_a:
            try:
                content = self.pixels.load_original(record)
                if content is not None and sniff(content[:HEAD_BYTES], record.document_uri) == "PDF":
                    return KeptPdf(content, self.resources, pages == "upright", self.pixels.passwords)
            except (DocumentError, OSError) as error:
                # Said again, and counted, page by page.
                log.debug("%s: %s", record.document_uri, error)
            except (pikepdf.PdfError, pikepdf.PasswordError) as error:
                log.log(
                    logging.DEBUG if page.error else logging.WARNING,
                    "%s: its pages are drawn as pictures: %s",
                    record.document_uri,
                    error,
                )
        return DrawnPdf(self.pixels, self.resources, upright=pages != "keep")

    def _describe(self, pdf: pikepdf.Pdf) -> None:
        languages = [language for language, _ in self.languages.most_common() if _LANGUAGE.fullmatch(language)]
        if languages:
            pdf.Root.Lang = pikepdf.String(languages[0])
        pdf.Root.ViewerPreferences = pikepdf.Dictionary(DisplayDocTitle=True)
        with pdf.open_metadata(set_pikepdf_as_editor=False) as metadata:
            metadata["dc:title"] = self.document.name
            metadata["pdf:Producer"] = f"ocray {VERSION}"
        if self.options.pdf_a:
            mark_as_pdf_a(pdf)
