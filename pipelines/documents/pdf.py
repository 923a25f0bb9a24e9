"""PDF pages to RGB arrays with pypdfium2. PDFium is not thread-safe: threads of a process take turns."""

import io
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

import pypdfium2 as pdfium
from pypdfium2 import raw

from pipelines.documents.errors import DocumentError, EncryptedDocument, PageNotFound, UnreadableDocument
from pipelines.documents.images import DecodedPage
from pipelines.documents.limits import Limits
from pipelines.documents.pdf_pictures import picture_dpi

_POINTS_PER_INCH = 72.0
_LEAST_SCAN_DPI, _MOST_SCAN_DPI = 150.0, 400.0
_PDFIUM = threading.Lock()


def count_pdf_pages(source: bytes | BinaryIO, uri: str, passwords: Sequence[str] = ()) -> int:
    """Return the number of pages of a PDF.

    Raises:
        EncryptedDocument: a password is needed. UnreadableDocument: broken, or without a page. Whatever reading the
            file raises.
    """
    if isinstance(source, bytes):
        with _opened(source, uri, passwords) as document:
            return len(document)
    file = _RememberingFile(source)
    try:
        with _opened(cast(BinaryIO, file), uri, passwords) as document:  # has what PDFium needs of a file
            pages = len(document)
    except DocumentError as error:
        if file.failure is not None:
            raise file.failure from error
        raise
    if file.failure is not None:  # PDFium makes do with what it could read
        raise file.failure
    return pages


class _RememberingFile:
    """A file as PDFium reads it, through C, which exceptions cannot cross: the first is kept, nothing is read after."""

    def __init__(self, file: BinaryIO):
        self.file = cast(io.BufferedIOBase, file)
        self.failure: Exception | None = None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def readinto(self, buffer) -> int:
        if self.failure is None:
            try:
                return self.file.readinto(buffer)
            except Exception as error:
                self.failure = error
        return 0


def render_pdf_page(content: bytes, uri: str, page_number: int, limits: Limits) -> DecodedPage:
    """Render one page, annotations and filled form fields included, over white.

    The resolution is that of `page_scale`.

    Raises:
        EncryptedDocument, UnreadableDocument, PageNotFound.
    """
    with opened_page(content, uri, page_number, limits.passwords) as page:
        scale = page_scale(page, limits)
        bitmap = page.render(
            scale=scale,  # pyright: ignore[reportArgumentType] - typed int by its default 1
            rev_byteorder=True,
        )
        try:
            return DecodedPage(bitmap.to_numpy()[:, :, :3].copy(), round(scale * _POINTS_PER_INCH, 2))
        finally:
            bitmap.close()


@contextmanager
def opened_page(content: bytes, uri: str, page_number: int, passwords: Sequence[str] = ()) -> Iterator[pdfium.PdfPage]:
    """Open a page of a PDF; no other is open in this process meanwhile.

    Raises:
        EncryptedDocument, UnreadableDocument, PageNotFound.
    """
    with _opened(content, uri, passwords) as document:
        if not 1 <= page_number <= len(document):
            raise PageNotFound(f"{uri}: page {page_number} was requested, the PDF has {len(document)}; plan it again")
        if document.get_formtype() != raw.FORMTYPE_NONE:
            document.init_forms()  # without it what people typed into the fields is not drawn
        page = document[page_number - 1]
        try:
            yield page
        finally:
            page.close()


def page_scale(page: pdfium.PdfPage, limits: Limits) -> float:
    """Return the pixels a point that a page is rendered with: a scan at its own resolution, within 150 and 400 dpi,
    others at `limits.pdf_dpi`; less if the page would be too large."""
    width, height = page.get_size()
    scan = picture_dpi(page)
    dpi = limits.pdf_dpi if scan is None else min(max(scan, _LEAST_SCAN_DPI), _MOST_SCAN_DPI)
    return _scale(width, height, dpi, limits)


def _scale(width: float, height: float, dpi: float, limits: Limits) -> float:
    """Pixels a point; `width` and `height` in points. PDFium rounds both sides up, hence the pixel to spare."""
    wanted = min(dpi / _POINTS_PER_INCH, (limits.max_side - 1) / max(width, height))
    if (math.ceil(width * wanted)) * (math.ceil(height * wanted)) <= limits.max_pixels:
        return wanted
    lowered = min(wanted, math.sqrt(limits.max_pixels / (width * height)))
    sides = [max(2.0, side * lowered) for side in (width, height)]
    return lowered * min((side - 1) / side for side in sides)


@contextmanager
def _opened(source: bytes | BinaryIO, uri: str, passwords: Sequence[str]) -> Iterator[pdfium.PdfDocument]:
    with _PDFIUM, _opened_alone(source, uri, passwords) as document:
        yield document


@contextmanager
def _opened_alone(source: bytes | BinaryIO, uri: str, passwords: Sequence[str]) -> Iterator[pdfium.PdfDocument]:
    document = _with_password(source, uri, passwords)
    try:
        if not len(document):
            raise UnreadableDocument(f"{uri}: the PDF has no page that can be found; repair it (qpdf, mutool clean)")
        yield document
    except DocumentError:
        raise
    except Exception as error:  # PdfiumError for a broken page, anything from the form environment
        raise _unreadable(uri, error) from error
    finally:
        document.close()


def _with_password(source: bytes | BinaryIO, uri: str, passwords: Sequence[str]) -> pdfium.PdfDocument:
    for password in (None, *passwords):
        if not isinstance(source, bytes):
            source.seek(0)
        try:
            return pdfium.PdfDocument(source, password=password)
        except Exception as error:
            if getattr(error, "err_code", None) != raw.FPDF_ERR_PASSWORD:
                raise _unreadable(uri, error) from error
    tried = f", none of {len(passwords)} given opens it" if passwords else ""
    raise EncryptedDocument(f"{uri}: the PDF is encrypted and needs a password{tried}; name it in --password-file")


def _unreadable(uri: str, error: Exception) -> UnreadableDocument:
    return UnreadableDocument(f"{uri}: broken PDF ({error}); repair it (qpdf, mutool clean) or export it again")
