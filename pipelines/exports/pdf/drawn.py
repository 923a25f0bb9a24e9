"""The searchable PDF of images: a page each, whose picture is drawn upright, with invisible text over it."""

import logging
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pikepdf
from pikepdf import Dictionary, Name, Operator

from models.geometry import turn_matrix
from pipelines.exports.pdf.pictures import Picture, encoded_picture, stored_picture
from pipelines.exports.pdf.saving import save
from pipelines.exports.pdf.text import glyphless_font, numbers, pdf_matrix, text_layer
from pipelines.exports.tree import Page
from pipelines.exports.upright import upright_view
from pipelines.exports.writer import Pixels

log = logging.getLogger(__name__)

POINTS_PER_INCH = 72
# PDF 1.7, annex C: readers need not show pages beyond this many points (200 inches).
MAX_SIDE = 14400
A4_POINTS = (595.28, 841.89)
_PAGES_IN_MEMORY = 32  # then they go to a temporary file until the document is whole


class DrawnPdf:
    """Draws pages as pictures.

    Pictures are turned by the matrix they are drawn with, not resampled: JPEG files and black-and-white scans keep
    their pixels. A failed page is an empty page.
    """

    def __init__(self, pixels: Pixels, resources: ExitStack, upright: bool = True):
        self.pixels, self.resources, self.upright = pixels, resources, upright
        self.missing = 0
        self.chunks: list[Path] = []
        self._begin_chunk()

    def add(self, page: Page) -> None:
        """Draw a page."""
        if len(self.pdf.pages) == _PAGES_IN_MEMORY:
            self._end_chunk()
        record = page.record
        if page.error:
            self.pdf.add_blank_page(page_size=_page_size(record.width, record.height, self._dpi(page)))
            return
        matrix, (width, height) = upright_view(page) if self.upright else turn_matrix(record.width, record.height, 0)
        page_size = _page_size(width, height, self._dpi(page))
        to_points = np.array([[page_size[0] / width, 0, 0], [0, -page_size[1] / height, page_size[1]], [0, 0, 1]])
        # Matrices of pixels have (0, 0) in the middle of the first one, those of PDF at its corner.
        matrix = to_points @ _corner_based(matrix)
        pdf_page = self.pdf.add_blank_page(page_size=page_size)
        resources = Dictionary(Font=Dictionary(F0=self.font))
        content = []
        picture = self._picture(page)
        if picture is not None:
            resources.XObject = Dictionary(Im0=picture.stream)
            content += _drawn(picture, matrix @ np.diag([record.width, record.height, 1]), page_size)
        content += text_layer(page, matrix[:2], Name.F0)
        pdf_page.Resources = resources
        pdf_page.Contents = self.pdf.make_stream(pikepdf.unparse_content_stream(content))

    def finish(self) -> pikepdf.Pdf:
        """Return the document."""
        if self.chunks:
            self._end_chunk()
            for chunk in self.chunks:
                self.pdf.pages.extend(self.resources.enter_context(pikepdf.open(chunk)).pages)
        return self.pdf

    def _begin_chunk(self) -> None:
        self.pdf = self.resources.enter_context(pikepdf.new())
        self.font = glyphless_font(self.pdf)

    def _end_chunk(self) -> None:
        if not self.chunks:
            self.folder = Path(self.resources.enter_context(tempfile.TemporaryDirectory(prefix="ocray-pdf-")))
        self.chunks.append(self.folder / f"{len(self.chunks)}.pdf")
        with self.chunks[-1].open("w+b") as file:
            save(self.pdf, file)
        self._begin_chunk()

    def _dpi(self, page: Page) -> float:
        return page.record.dpi or self.pixels.dpi

    def _picture(self, page: Page) -> Picture | None:
        """Return the page's picture; None, with a warning, if its source cannot be read any more."""
        record = page.record
        try:
            original = self.pixels.load_original(record) if self.pixels.load_original else None
            size = (record.width, record.height)
            stored = original and stored_picture(self.pdf, original, record.page_number, size)
            return stored or encoded_picture(self.pdf, self.pixels.load_page(record))
        except Exception as error:
            self.missing += 1
            log.warning(
                "%s page %d: exported without its image: %s: %s",
                record.document_uri,
                record.page_number,
                type(error).__name__,
                error,
            )
            return None


def _page_size(width: int, height: int, dpi: float) -> tuple[float, float]:
    """Points, for a page of width x height px."""
    if not width or not height:
        return A4_POINTS
    scale = min(POINTS_PER_INCH / dpi, MAX_SIDE / max(width, height))
    return max(3.0, width * scale), max(3.0, height * scale)


def _corner_based(matrix: np.ndarray) -> np.ndarray:
    """Return the 3 x 3 map between corners of pixels that a 2 x 3 map between their middles stands for."""
    return (
        np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]) @ [*matrix, [0, 0, 1]] @ [[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]
    )


def _drawn(picture: Picture, matrix: np.ndarray, page_size: tuple[float, float]) -> list:
    """Instructions that draw a picture; `matrix` takes shares of its upright page to points."""
    place = (matrix @ picture.matrix)[:2]
    content = [([], Operator("q"))]
    if abs(place[0, 0] * place[0, 1]) > 1e-6:  # askew: the corners show what is behind
        content += [
            (numbers(*(value / 255 for value in picture.paper)), Operator("rg")),
            (numbers(0, 0, *page_size), Operator("re")),
            ([], Operator("f")),
        ]
    return [*content, (pdf_matrix(place), Operator("cm")), ([Name.Im0], Operator("Do")), ([], Operator("Q"))]
