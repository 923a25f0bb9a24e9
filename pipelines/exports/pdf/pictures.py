"""Pictures of pages as a PDF holds them: JPEG files and black-and-white scans as they are, others as new JPEGs."""

import io
from dataclasses import dataclass

import numpy as np
import pikepdf
from pikepdf import Dictionary, Name
from PIL import Image

from models.geometry import median_colour
from pipelines.documents import encode_jpeg, stored_page

JPEG_QUALITY = 85
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_STRIP_OFFSET, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 278, 279
_GLANCE_PX = 64


@dataclass(frozen=True)
class Picture:
    """A picture in a PDF.

    Attributes:
        stream: the image object.
        matrix: 3 x 3, from PDF's unit square, in which an image is drawn, to shares of the upright page's width and
            height from its top left corner.
        paper: the page's colour, RGB.
    """

    stream: pikepdf.Stream
    matrix: np.ndarray
    paper: tuple[int, int, int]


def stored_picture(pdf: pikepdf.Pdf, content: bytes, page_number: int, size: tuple[int, int]) -> Picture | None:
    """Return a page's picture without a change to its pixels; None if its file has none that a PDF can hold so.

    Args:
        content: the document.
        size: width and height of the page as it was read; a file that has changed since is not taken.
    """
    stored = stored_page(content, page_number)
    if stored is None or stored.size != size:
        return None
    image = stored.image
    if image.mode == "1":
        stream = _fax_object(pdf, image)
        paper = (255, 255, 255)
    else:
        stream = _jpeg_object(pdf, content, image.width, image.height, len(image.getbands()))
        image.draft("RGB", (_GLANCE_PX, _GLANCE_PX))
        paper = _rgb(median_colour(np.asarray(image.convert("RGB"))))
    return Picture(stream, stored.turn @ _FROM_UNIT_SQUARE, paper)


def encoded_picture(pdf: pikepdf.Pdf, image: np.ndarray) -> Picture:
    """Return the picture of a page's pixels, (H, W, 3) uint8 RGB: a JPEG, grey if they have no colour; lossless, and
    smaller, if they are black and white."""
    height, width = image.shape[:2]
    grey = image[..., 0]
    if not all(np.array_equal(grey, image[..., i]) for i in (1, 2)):
        stream = _jpeg_object(pdf, encode_jpeg(image, JPEG_QUALITY), width, height, 3)
    elif ((grey != 0) & (grey != 255)).any():
        stream = _jpeg_object(pdf, encode_jpeg(grey, JPEG_QUALITY), width, height, 1)
    else:
        stream = _fax_object(pdf, Image.fromarray(grey).convert("1", dither=Image.Dither.NONE))
    return Picture(stream, _FROM_UNIT_SQUARE, _rgb(median_colour(image)))


_FROM_UNIT_SQUARE = np.array([[1.0, 0, 0], [0, -1, 1], [0, 0, 1]])


def _rgb(colour: tuple[int, ...]) -> tuple[int, int, int]:
    red, green, blue = (list(colour) * 3)[:3]
    return red, green, blue


def _jpeg_object(pdf: pikepdf.Pdf, content: bytes, width: int, height: int, channels: int) -> pikepdf.Stream:
    return pdf.make_stream(
        content, Type=Name.XObject, Subtype=Name.Image, Width=width, Height=height, BitsPerComponent=8,
        ColorSpace=Name.DeviceGray if channels == 1 else Name.DeviceRGB, Filter=Name.DCTDecode,
    )  # fmt: skip


def _fax_object(pdf: pikepdf.Pdf, image: Image.Image) -> pikepdf.Stream:
    """Return an image of mode "1" as CCITT Group 4, lossless; libtiff encodes it, as one strip."""
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", compression="group4", tiffinfo={_ROWS_PER_STRIP: image.height})
    with Image.open(io.BytesIO(buffer.getvalue())) as written:
        ((start,), (size,)) = written.tag_v2[_STRIP_OFFSET], written.tag_v2[_STRIP_BYTES]
        white_is_zero = written.tag_v2[_PHOTOMETRIC] == _WHITE_IS_ZERO
    return pdf.make_stream(
        buffer.getvalue()[start : start + size], Type=Name.XObject, Subtype=Name.Image, Width=image.width,
        Height=image.height, ColorSpace=Name.DeviceGray, BitsPerComponent=1, Filter=Name.CCITTFaxDecode,
        DecodeParms=Dictionary(K=-1, Columns=image.width, Rows=image.height, BlackIs1=not white_is_zero),
    )  # fmt: skip
