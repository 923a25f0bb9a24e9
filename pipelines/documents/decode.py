"""One page of a document to an RGB array; how many pages a document has."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

import numpy as np

from pipelines.documents.errors import PageNotFound, UnreadableDocument
from pipelines.documents.formats import HEAD_BYTES, sniff
from pipelines.documents.images import DecodedPage, StoredImage, decode_raster, stored_image
from pipelines.documents.limits import Limits
from pipelines.documents.pdf import count_pdf_pages, render_pdf_page
from pipelines.documents.text_layer import TextLayer, read_text_layer
from pipelines.documents.tiff import read_frames

TextLayerUse = Literal["auto", "never", "always"]


def decode_page(content: bytes, uri: str, page_number: int = 1, limits: Limits | None = None) -> DecodedPage:
    """Decode one page. The content decides the format, not the suffix.

    Args:
        content: the document's bytes, of a format in `formats.SUFFIXES`.
        uri: for messages.
        page_number: 1-based; all but TIFF and PDF have one page, an animation its first frame.
        limits: page size and PDF resolution; the defaults of `Limits` when None.

    Returns:
        The pixels, C-contiguous, read-only, as a viewer shows them (EXIF orientation applied, pixels square,
        transparent parts white, 1-bit and grey expanded, more than 8 bits scaled, CMYK converted), and their
        resolution.

    Raises:
        DocumentError: EmptyDocument, UnknownFormat, UnreadableDocument, EncryptedDocument, PageTooLarge, PageNotFound;
            nothing else comes out whatever the bytes are, save MemoryError.
    """
    limits = limits or Limits()
    image_format = sniff(content[:HEAD_BYTES], uri)
    if image_format == "PDF":
        page = render_pdf_page(content, uri, page_number, limits)
    else:
        name, frame = uri, page_number - 1
        if image_format == "TIFF":
            pages = read_frames(BytesIO(content)).pages
            if 1 <= page_number <= len(pages):
                name, frame = f"{uri} page {page_number}", pages[frame]
            else:
                _raise_missing_page(uri, page_number, len(pages))
        elif page_number != 1:
            _raise_missing_page(uri, page_number, 1)
        page = decode_raster(content, name, image_format, frame, limits)
    page.image.flags.writeable = False
    return page


@dataclass
class PageContent:
    """What is to be read of a page.

    Attributes:
        width, height: px; dpi: pixels per inch, None if the file does not say.
        image: (H, W, 3) uint8 RGB, read-only; None if the text layer is all there is.
        layer: a text layer that can be used, or compared with the image; else None.
        problem: why a text layer is not used; empty if there is none.
    """

    width: int
    height: int
    dpi: float | None
    image: np.ndarray | None = None
    layer: TextLayer | None = None
    problem: str = ""


def read_page(
    content: bytes,
    uri: str,
    page_number: int,
    limits: Limits,
    text_layer: TextLayerUse = "never",
    with_pixels: bool = False,
) -> PageContent:
    """Return a page's text layer, its pixels, or both where both are needed.

    Args:
        text_layer: `auto`: the layer of a PDF page is used if it is sound; `always`: whatever it holds; `never`: the
            pages are read from their pixels.
        with_pixels: whether the pixels are wanted in any case.

    Raises:
        DocumentError: as `decode_page`.
    """
    layer, problem = None, ""
    if text_layer != "never" and sniff(content[:HEAD_BYTES], uri) == "PDF":
        layer = read_text_layer(content, uri, page_number, limits)
        if text_layer == "always":
            layer.problem = layer.doubt = ""
        if layer.problem or not layer.lines:
            layer, problem = None, layer.problem
        elif layer.look == "nothing" and not with_pixels:
            return PageContent(layer.width, layer.height, layer.dpi, None, layer)
    image, dpi = decode_page(content, uri, page_number, limits)
    return PageContent(image.shape[1], image.shape[0], dpi, image, layer, problem)


def stored_page(content: bytes, page_number: int) -> StoredImage | None:
    """Return a page that a PDF can hold without a change to its pixels, see `stored_image`; else None.

    Raises:
        Exception: of any kind, for a document that `decode_page` would refuse too.
    """
    image_format = sniff(content[:HEAD_BYTES], "")
    if image_format == "PDF":
        return None
    frame = read_frames(BytesIO(content)).pages[page_number - 1] if image_format == "TIFF" else page_number - 1
    return stored_image(content, image_format, frame)


def count_pages(file: BinaryIO, uri: str, passwords: Sequence[str] = ()) -> int:
    """Return the number of pages of an open, seekable document; read no more of it than its format requires.

    `passwords` are tried on an encrypted PDF.

    Raises:
        DocumentError: it cannot be opened; `UnreadableDocument` also for a TIFF without any page.
    """
    file.seek(0)
    image_format = sniff(file.read(HEAD_BYTES), uri)
    if image_format == "PDF":
        file.seek(0)
        return count_pdf_pages(file, uri, passwords)
    if image_format != "TIFF":
        return 1
    frames = read_frames(file)
    if not frames.pages:
        raise UnreadableDocument(f"{uri}: damaged TIFF, {frames.problem}; scan or copy it again")
    # A chain that breaks counts the page that cannot be reached: it fails when it is read, and the good ones are kept.
    return len(frames.pages) + bool(frames.problem)


def _raise_missing_page(uri: str, page_number: int, pages: int) -> None:
    if pages:
        raise PageNotFound(
            f"{uri}: page {page_number} was requested, but {pages} can be reached; the file is cut off or was changed"
        )
    raise UnreadableDocument(f"{uri}: damaged TIFF without a page; scan or copy it again")
