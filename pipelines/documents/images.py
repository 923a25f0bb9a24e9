"""Raster formats to RGB arrays with Pillow.

Pillow alone, although OpenCV decodes a 300 dpi A4 page 4 ms (JPEG) to 15 ms (PNG) faster, with equal pixels: OpenCV
returns a cut-off JPEG as a half-grey image without an error, and those milliseconds are 1-3 % of reading the page.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from pipelines.documents.errors import DocumentError, UnreadableDocument
from pipelines.documents.limits import Limits

# Pillow's guard against decompression bombs warns at 89 megapixels and raises at 179, for the whole process; ours is
# checked in the header, per job.
Image.MAX_IMAGE_PIXELS = None

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Cameras and editors write 72, or 1, where they know no resolution.
_LEAST_DPI, _MOST_DPI = 75.0, 10_000.0
# Fax pages have 204 x 98 pixels an inch, or 204 x 196. What is further apart is no resolution but a damaged header.
_SQUARE, _MOST_ASPECT = 1.01, 5.0
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
# The same for shares of width and height, x to the right and y down.
_TURNS = {
    orientation: np.array([*matrix, [0, 0, 1]], float)
    for orientation, matrix in {
        2: ([-1, 0, 1], [0, 1, 0]),
        3: ([-1, 0, 1], [0, -1, 1]),
        4: ([1, 0, 0], [0, -1, 1]),
        5: ([0, 1, 0], [1, 0, 0]),
        6: ([0, -1, 1], [1, 0, 0]),
        7: ([0, -1, 1], [-1, 0, 1]),
        8: ([0, 1, 0], [-1, 0, 1]),
    }.items()
}
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
_BY_EXIF = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF")  # unless a JPEG's own header says it
_PER_INCH = {2: 1.0, 3: 2.54}  # EXIF's units: inch, centimetre
_BITS_PER_SAMPLE, _COMPRESSION, _PLANAR_CONFIGURATION = 258, 259, 284
_UNCOMPRESSED, _SEPARATE_PLANES = 1, 2


class DecodedPage(NamedTuple):
    """A page's pixels, (H, W, 3) uint8 RGB, and how many of them are an inch; None if the file does not say."""

    image: np.ndarray
    dpi: float | None


def decode_raster(content: bytes, name: str, image_format: str, frame: int, limits: Limits) -> DecodedPage:
    """One frame of an image file.

    Args:
        content: the whole file.
        name: document (and page) for messages.
        image_format: Pillow's name of the format.
        frame: 0-based index in the file.

    Returns:
        RGB, EXIF/TIFF orientation applied, alpha blended over white. Pixels that are not square, a fax's, are made so:
        the coarser axis is stretched. A resolution below 75 dpi counts as none.

    Raises:
        PageTooLarge: by the header, before pixels are allocated.
        UnreadableDocument: damaged, cut off, or of a kind that Pillow does not read.
    """
    if image_format == "HEIF":
        _register_heif(name)
    try:
        with Image.open(BytesIO(content), formats=[image_format]) as image:
            if frame:
                image.seek(frame)
            limits.check_page(image.width, image.height, name)
            _check_planes(image, name)
            resolution = _resolution(image)
            image.load()
            return _squared(_rgb(_upright(image)), resolution, name, limits)
    except DocumentError:
        raise
    except UnidentifiedImageError as error:  # its message has no more than an address in memory
        detail = _missing_end(content, image_format) or "its header is damaged, or its samples are of an uncommon kind"
        remedy = "scan or copy it again, or save it with 8 bits a sample"
        raise UnreadableDocument(f"{name}: unreadable {image_format}, {detail}; {remedy}") from error
    except Exception as error:  # Pillow's plugins raise whatever their parsing runs into on damaged files
        detail = _missing_end(content, image_format) or f"{type(error).__name__}: {error}"
        raise UnreadableDocument(f"{name}: damaged {image_format}, {detail}; scan or copy it again") from error


@dataclass(frozen=True)
class StoredImage:
    """A page's pixels as its file stores them.

    Attributes:
        image: of mode L or RGB, not decoded yet: a JPEG file; or of mode 1, upright: black and white.
        turn: 3 x 3, from shares of its width and height, from its top left corner, to those of the page upright.
        size: width and height of the page as `decode_raster` returns it.
    """

    image: Image.Image
    turn: np.ndarray
    size: tuple[int, int]


def stored_image(content: bytes, image_format: str, frame: int) -> StoredImage | None:
    """Return a frame that a PDF can hold without a change to its pixels: a JPEG, or black and white; else None.

    Raises:
        Exception: of any kind, for a file that `decode_raster` would refuse too.
    """
    image = Image.open(BytesIO(content), formats=[image_format])
    if frame:
        image.seek(frame)
    resolution = _resolution(image)
    if image_format == "JPEG" and image.mode in ("L", "RGB"):
        orientation = _exif(image).get(ExifTags.Base.Orientation, 1)
        size = (image.height, image.width) if orientation in _SIDEWAYS else image.size
        return StoredImage(image, _TURNS.get(orientation, np.eye(3)), _square_pixels(size, resolution)[0])
    if image.mode == "1" and not image.has_transparency_data:
        image.load()
        upright = _upright(image)
        return StoredImage(upright, np.eye(3), _square_pixels(upright.size, resolution)[0])
    return None


def encode_jpeg(image: np.ndarray, quality: int = 85) -> bytes:
    """JPEG bytes of an (H, W, 3) uint8 RGB or (H, W) uint8 grey image; quality 1..100.

    Raises:
        ValueError: JPEG cannot hold it (a side of 0 or above 65,500 px).
    """
    if not (0 < image.shape[0] <= 65500 and 0 < image.shape[1] <= 65500):
        raise ValueError(f"JPEG holds sides of 1 to 65,500 px, not {image.shape[1]} × {image.shape[0]}; scale it down")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes (fastest compression) of an (H, W, 3) uint8 RGB image."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _register_heif(name: str) -> None:
    try:
        import pillow_heif  # an extra: photos of phones only
    except ImportError as error:
        raise UnreadableDocument(
            f"{name}: HEIF pictures need pillow-heif: pip install 'ocray[heif]', or save it as JPEG"
        ) from error
    pillow_heif.register_heif_opener()


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF data says. Pillow does the same for TIFF's orientation tag while it loads."""
    method = _UPRIGHT.get(_exif(image).get(ExifTags.Base.Orientation, 1))
    return image if method is None else image.transpose(method)


def _exif(image: Image.Image) -> Mapping[int, Any]:
    try:
        return image.getexif()
    except Exception:  # a damaged EXIF block does not make the pixels unreadable; viewers ignore it too
        return {}


class _Resolution(NamedTuple):
    """Pixels across and down; of an inch if `absolute`, else only their ratio is known."""

    across: float
    down: float
    absolute: bool


def _resolution(image: Image.Image) -> _Resolution | None:
    """Return the resolution of an image that is turned upright; None if the file does not say. To be asked before
    Pillow loads the pixels, and turns those of a TIFF."""
    exif, info = _exif(image), image.info
    # Pillow takes what EXIF says across for both directions of a JPEG, and does not look at EXIF elsewhere.
    by_exif = image.format in _BY_EXIF and not info.get("jfif_unit")
    pair, absolute = None if by_exif else info.get("dpi"), True
    per_inch = _PER_INCH.get(exif.get(ExifTags.Base.ResolutionUnit, 2))
    if by_exif and per_inch and ExifTags.Base.XResolution in exif:
        pair = [exif.get(tag, 0) * per_inch for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution)]
    if pair is None:
        pair, absolute = info.get("resolution", info.get("aspect", info.get("jfif_density"))), False
    try:
        across, down = (float(value) for value in pair or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (math.isfinite(across) and math.isfinite(down) and across > 0 and down > 0):
        return None
    if exif.get(ExifTags.Base.Orientation, 1) in _SIDEWAYS:
        across, down = down, across
    return _Resolution(across, down, absolute)


def _squared(page: np.ndarray, resolution: "_Resolution | None", name: str, limits: Limits) -> DecodedPage:
    height, width = page.shape[:2]
    size, dpi = _square_pixels((width, height), resolution)
    if size != (width, height):
        limits.check_page(*size, name)
        page = cv2.resize(page, size, interpolation=cv2.INTER_LINEAR)
    return DecodedPage(page, dpi)


def _square_pixels(size: tuple[int, int], resolution: "_Resolution | None") -> tuple[tuple[int, int], float | None]:
    """Return the width and height of a page when its pixels are square, and their resolution."""
    if resolution is None:
        return size, None
    width, height = size
    dpi = max(resolution.across, resolution.down)
    aspect = dpi / min(resolution.across, resolution.down)
    if aspect > _MOST_ASPECT:
        return size, None
    if aspect > _SQUARE:
        size = (round(width * aspect), height) if resolution.across < dpi else (width, round(height * aspect))
    return size, round(dpi, 2) if resolution.absolute and _LEAST_DPI <= dpi <= _MOST_DPI else None


def _check_planes(image: Image.Image, name: str) -> None:
    """Refuse a TIFF whose colour planes Pillow would take apart wrongly: it reads the two bytes of each uncompressed
    sample as two samples of 8 bits. Compressed ones go through libtiff, rightly."""
    tags = getattr(image, "tag_v2", {})
    wide = max(tags.get(_BITS_PER_SAMPLE, (1,))) > 8
    separate = tags.get(_PLANAR_CONFIGURATION) == _SEPARATE_PLANES and len(image.getbands()) > 1
    if wide and separate and tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
        raise UnreadableDocument(
            f"{name}: TIFF with uncompressed separate colour planes of more than 8 bits is not read; save it with 8 "
            "bits a sample, or compressed with LZW or Deflate"
        )


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        grey = _eight_bits(np.asarray(image))
        if image.mode.startswith("I;16") and _white_is_zero(image):
            grey = 255 - grey
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if image.has_transparency_data:
        page = Image.new("RGBA", image.size, "white")
        page.alpha_composite(image.convert("RGBA"))
        image = page
    if image.mode in ("1", "L"):  # Pillow's own RGB takes four bytes a pixel besides the array
        return cv2.cvtColor(np.asarray(image.convert("L")), cv2.COLOR_GRAY2RGB)
    return np.ascontiguousarray(image if image.mode == "RGB" else image.convert("RGB"))


def _white_is_zero(image: Image.Image) -> bool:
    # Pillow turns WhiteIsZero round for 1 to 8 bits, not for 16.
    return getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Return (H, W) grey values of more than 8 bits, or floats, as uint8.

    Scanners store 10, 12 and 14 bits in 16-bit files without saying so; the brightest pixel of a page is paper, so the
    range is the fewest bits (8 or more) that hold it. Floats up to 1.0 are taken as 0..1.
    """
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    top = 1.0 if values.dtype.kind == "f" and brightest <= 1.0 else 2.0 ** max(8, int(brightest).bit_length()) - 1
    return np.clip(values * np.float32(255.0 / top), 0, 255).round().astype(np.uint8)


def _missing_end(content: bytes, image_format: str) -> str | None:
    """Says how far a cut-off file goes; None when its end is there."""
    size = len(content)
    if image_format == "JPEG" and b"\xff\xd9" not in content[-64:]:
        return f"cut off: it ends after {size:,} bytes without JPEG's end marker"
    if image_format == "PNG" and b"IEND" not in content[-64:]:
        return f"cut off: it ends after {size:,} bytes without PNG's IEND chunk"
    if image_format == "WEBP" and size >= 8:
        declared = struct.unpack_from("<I", content, 4)[0] + 8
    elif image_format == "BMP" and size >= 6:
        declared = struct.unpack_from("<I", content, 2)[0]
    else:
        return None
    return f"cut off: {size:,} of {declared:,} bytes are there" if declared > size else None
