"""Documents, good and bad, that tests make themselves."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pikepdf
from PIL import Image

from pipelines.documents import decode_page


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    """Return (H, W, 3) uint8: smooth, and different in each corner, so that turning it shows."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 90)], axis=2).astype(np.uint8)
    image[: height // 3, : width // 3] = (250, 250, 20)
    return image


def encoded(image: np.ndarray | Image.Image, image_format: str, **options) -> bytes:
    """Return the file's bytes as Pillow writes them."""
    buffer = BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def decoded(*arguments) -> np.ndarray:
    """Return the pixels that `decode_page` gives."""
    return decode_page(*arguments).image


def multi_page(pages: list[np.ndarray | Image.Image], image_format: str, **options) -> bytes:
    """TIFF or PDF of several pages."""
    first, *others = [page if isinstance(page, Image.Image) else Image.fromarray(page) for page in pages]
    return encoded(first, image_format, save_all=True, append_images=others, **options)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises width × height px of RGB and holds none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def pdf(sizes_points: list[tuple[float, float]], drawing: bytes = b"", password: str | None = None) -> bytes:
    """Return a PDF with a page of each size; `drawing` is the content stream of every page."""
    document, buffer = pikepdf.new(), BytesIO()
    for size in sizes_points:
        document.add_blank_page(page_size=size)
        document.pages[-1].Contents = document.make_stream(drawing)
    encryption = pikepdf.Encryption(user=password, owner=password) if password else None
    document.save(buffer, encryption=encryption)
    return buffer.getvalue()
