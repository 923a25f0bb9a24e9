"""The searchable copy of a PDF: that PDF, with invisible text on the pages that were read from their pixels.

Pages, pictures, vectors, links, outline, forms, attachments, metadata and boxes stay as they are.
"""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from io import BytesIO

import numpy as np
import pikepdf
from pikepdf import Array, Dictionary, Name, Operator

from models.geometry import wrap_degrees
from pipelines.exports.pdf.earlier_text import copied, remove_invisible_text
from pipelines.exports.pdf.text import glyphless_font, pdf_matrix, text_layer
from pipelines.exports.tree import Page
from pipelines.exports.upright import upright_turn

_LETTER = (0.0, 0.0, 612.0, 792.0)  # PDFium's and Acrobat's page if a page has no size


class KeptPdf:
    """Adds the text of pages to their PDF.

    Args:
        content: the document.
        passwords: tried on an encrypted document.
        upright: whether pages that are turned are turned back: quarter turns by the page's /Rotate, what is left by a
            matrix before its content. Links and form fields are not turned by the latter.

    Raises:
        pikepdf.PdfError, pikepdf.PasswordError: it cannot be opened.
    """

    missing = 0

    def __init__(self, content: bytes, resources: ExitStack, upright: bool = False, passwords: Sequence[str] = ()):
        self.pdf = resources.enter_context(_opened(content, passwords))
        self.upright = upright
        self._font: pikepdf.Object | None = None

    def add(self, page: Page) -> None:
        """Add the text of a page. One that failed stays as it is."""
        number = page.record.page_number
        if page.error or number > len(self.pdf.pages):
            return
        target = self.pdf.pages[number - 1]
        matrix = _to_user_space(target, page)
        before: list[tuple[list, Operator]] = []
        if self.upright:
            before = self._turn(target, page)
        read = _read_from_pixels(page)
        if read.blocks:
            if page.record.source == "pixels":
                remove_invisible_text(self.pdf, target)
            self._add_text(target, read, matrix, before)
        elif before:
            target.contents_add(pikepdf.unparse_content_stream(before), prepend=True)

    def finish(self) -> pikepdf.Pdf:
        """Return the document."""
        return self.pdf

    def _add_text(self, target: pikepdf.Page, page: Page, matrix: np.ndarray, before: list) -> None:
        if self._font is None:
            self._font = glyphless_font(self.pdf)
        left, bottom, right, top = _box(target)
        form = self.pdf.make_stream(
            pikepdf.unparse_content_stream(text_layer(page, matrix, Name.F0)),
            Type=Name.XObject, Subtype=Name.Form, BBox=Array([left, bottom, right, top]),
            Resources=Dictionary(Font=Dictionary(F0=self._font)),
        )  # fmt: skip
        # Not to the dictionaries that are there: other pages may share them.
        resources = copied(target.resources)
        forms = copied(resources.get(Name.XObject, Dictionary()))
        name = next(name for n in range(len(forms) + 1) if (name := Name(f"/Ocray{n}")) not in forms)
        forms[name] = form
        resources[Name.XObject] = forms
        target.obj.Resources = resources
        # Before the page's own content, which may leave a matrix or a clipping path behind.
        shown = [*before, ([name], Operator("Do"))]
        target.contents_add(pikepdf.unparse_content_stream(shown) + b"\n", prepend=True)

    @staticmethod
    def _turn(target: pikepdf.Page, page: Page) -> list[tuple[list, Operator]]:
        degrees = upright_turn(page)
        quarter = 90 * round(degrees / 90)
        if quarter % 360:
            target.rotate(-quarter, relative=True)
        skew = wrap_degrees(degrees - quarter)
        if not skew:
            return []
        left, bottom, right, top = _box(target)
        centre = np.array([(left + right) / 2, (bottom + top) / 2])
        cos, sin = np.cos(np.radians(skew)), np.sin(np.radians(skew))
        linear = np.array([[cos, -sin], [sin, cos]])
        return [(pdf_matrix(np.column_stack([linear, centre - linear @ centre])), Operator("cm"))]


def _opened(content: bytes, passwords: Sequence[str]) -> pikepdf.Pdf:
    for password in passwords:
        with suppress(pikepdf.PasswordError):
            return pikepdf.open(BytesIO(content), password=password)
    return pikepdf.open(BytesIO(content))


def _read_from_pixels(page: Page) -> Page:
    """Return the page without the lines that it has as text."""
    blocks = [
        replace(block, lines=tuple(line for line in block.lines if line.source == "pixels")) for block in page.blocks
    ]
    return replace(page, blocks=tuple(block for block in blocks if block.lines))


def _box(page: pikepdf.Page) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of what of a page is shown, in its own units."""
    media, crop = _sorted_box(page.mediabox), _sorted_box(page.cropbox)
    box = (*np.maximum(media[:2], crop[:2]).tolist(), *np.minimum(media[2:], crop[2:]).tolist())
    if box[0] >= box[2] or box[1] >= box[3]:
        box = media
    return box if box[0] < box[2] and box[1] < box[3] else _LETTER


def _sorted_box(box: pikepdf.Array) -> tuple[float, float, float, float]:
    """Return a rectangle's left, bottom, right and top: any two opposite corners may be given (PDF 32000-1, 7.9.5)."""
    x0, y0, x1, y1 = (float(value) for value in box)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _to_user_space(target: pikepdf.Page, page: Page) -> np.ndarray:
    """Return the 2 x 3 map from pixels of the page as it was rendered to the page's own space."""
    left, bottom, right, top = _box(target)
    width, height = right - left, top - bottom
    rotation = target.rotation % 360
    # From shares of what is shown, x to the right and y down.
    shares = {
        0: [[width, 0, left], [0, -height, top]],
        90: [[0, width, left], [height, 0, bottom]],
        180: [[-width, 0, right], [0, height, bottom]],
        270: [[0, -width, right], [-height, 0, top]],
    }[rotation if rotation in (90, 180, 270) else 0]
    record = page.record
    return np.array(shares, float) @ np.diag([1 / record.width, 1 / record.height, 1])
