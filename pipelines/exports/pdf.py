"""Searchable PDF: the upright page image with its text over it, invisible, in its place.

The text is in a glyphless font, as Tesseract's and OCRmyPDF's is: a TrueType font of 1 KB with one blank glyph, in
which every UTF-16 code unit is a character code and ToUnicode is the identity. So any script is searchable and can be
copied without a real font being embedded. `glyphless.ttf` was made with fontTools: 1000 units per em, two empty glyphs
500 units wide.
"""

import io
import logging
import tempfile
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, cast

import cv2
import numpy as np
import pikepdf
from pikepdf import Array, Dictionary, Name, Operator
from PIL import Image
from typing_extensions import Self

from common.project import VERSION
from models.geometry import transform_points
from pipelines.exports.publish import Document
from pipelines.exports.tree import Page, Word, baseline
from pipelines.exports.upright import turn_upright, upright_turn, upright_view
from pipelines.exports.writer import DocumentWriter, LoadOriginal, LoadPage, Pixels
from pipelines.readers.documents.record import PageRecord

log = logging.getLogger(__name__)

POINTS_PER_INCH = 72
# PDF 1.7, annex C: readers need not show pages beyond this many points (200 inches).
MAX_SIDE = 14400
A4_POINTS = (595.28, 841.89)
JPEG_QUALITY = 85
_ADVANCE = 0.5  # em, of every glyph
_PAGES_IN_MEMORY = 32  # then they go to a temporary file until the document is whole


class PdfWriter(DocumentWriter[Page]):
    """One PDF a document. A failed page is an empty page.

    Args:
        load_page: gives a record's original pixels, (H, W, 3) uint8 RGB.
        load_original: returns the file's bytes if the page is a JPEG file, else None; they are embedded unchanged if
            the page is upright.
        dpi: pixels per inch of the pages, for the size on paper.
    """

    name = "pdf"
    suffix = ".pdf"

    @classmethod
    def open(cls, stream: BinaryIO, document: Document, pixels: Pixels) -> Self:
        return cls(stream, document, pixels.load_page, pixels.load_original, pixels.dpi)

    def __init__(
        self,
        stream: BinaryIO,
        document: Document,
        load_page: LoadPage,
        load_original: LoadOriginal | None = None,
        dpi: float = 200,
    ):
        super().__init__(stream, document)
        self.load_page = load_page
        self.load_original = load_original
        self.dpi = dpi
        self.missing = 0
        self.resources = ExitStack()
        self.chunks: list[Path] = []
        self._begin_chunk()

    def add(self, page: Page) -> None:
        if len(self.pdf.pages) == _PAGES_IN_MEMORY:
            self._end_chunk()
        if page.error:
            self.pdf.add_blank_page(page_size=self._page_size(page.record.width, page.record.height))
            return
        matrix, (width, height) = upright_view(page)
        page_size = self._page_size(width, height)
        pdf_page = self.pdf.add_blank_page(page_size=page_size)
        content = []
        resources = Dictionary(Font=Dictionary(F0=self.font))
        image = self._image(page)
        if image is not None:
            resources.XObject = Dictionary(Im0=image)
            content += [
                ([], Operator("q")),
                ([*_numbers(page_size[0], 0, 0, page_size[1], 0, 0)], Operator("cm")),
                ([Name.Im0], Operator("Do")),
                ([], Operator("Q")),
            ]
        content += _text_layer(page, matrix, page_size[1], page_size[0] / width)
        pdf_page.Resources = resources
        pdf_page.Contents = self.pdf.make_stream(pikepdf.unparse_content_stream(content))

    def finish(self) -> None:
        with self.resources:
            if self.chunks:
                self._end_chunk()
                for chunk in self.chunks:
                    self.pdf.pages.extend(self.resources.enter_context(pikepdf.open(chunk)).pages)
            with self.pdf.open_metadata(set_pikepdf_as_editor=False) as metadata:
                metadata["dc:title"] = self.document.name
                metadata["pdf:Producer"] = f"ocray {VERSION}"
            self._save(self.stream, object_stream_mode=pikepdf.ObjectStreamMode.generate, deterministic_id=True)

    def close(self) -> None:
        """Let go of what a document that could not be finished holds."""
        self.resources.close()

    def _save(self, stream: BinaryIO, **options) -> None:
        guarded = _GuardedStream(stream)
        self.pdf.save(cast(BinaryIO, guarded), **options)  # has what pikepdf needs of a stream
        if guarded.failure is not None:
            raise guarded.failure

    def _begin_chunk(self) -> None:
        self.pdf = self.resources.enter_context(pikepdf.new())
        self.font = glyphless_font(self.pdf)

    def _end_chunk(self) -> None:
        if not self.chunks:
            self.folder = Path(self.resources.enter_context(tempfile.TemporaryDirectory(prefix="ocray-pdf-")))
        self.chunks.append(self.folder / f"{len(self.chunks)}.pdf")
        with self.chunks[-1].open("w+b") as file:
            self._save(file)
        self._begin_chunk()

    def _page_size(self, width: int, height: int) -> tuple[float, float]:
        """Points, for a page of width x height px."""
        if not width or not height:
            return A4_POINTS
        scale = min(POINTS_PER_INCH / self.dpi, MAX_SIDE / max(width, height))
        return max(3.0, width * scale), max(3.0, height * scale)

    def _image(self, page: Page) -> pikepdf.Stream | None:
        """Return the upright page as an image object; None, with a warning, if its source cannot be read any more."""
        record = page.record
        try:
            original = self.load_original(record) if self.load_original and upright_turn(page) == 0 else None
            if original is not None and (channels := _plain_jpeg(original, record)):
                return _jpeg_object(self.pdf, original, record.width, record.height, channels)
            image = turn_upright(self.load_page(record), page)
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
        return _image_object(self.pdf, image)


class _GuardedStream:
    """A stream whose writes fail later: an exception that crosses qpdf, a full disk's say, would abort the process."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.failure: Exception | None = None
        self.read, self.tell, self.seek, self.seekable = stream.read, stream.tell, stream.seek, stream.seekable
        self.readable, self.writable = stream.readable, stream.writable

    def write(self, content) -> int:
        if self.failure is None:
            try:
                self.stream.write(content)
            except Exception as error:
                self.failure = error
        return len(content)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self.stream.flush()
            except Exception as error:
                self.failure = error


def glyphless_font(pdf: pikepdf.Pdf) -> pikepdf.Object:
    """Return the invisible text's font in `pdf`: composite (Type 0), codes are UTF-16BE units (PDF 32000-1, 9.7)."""
    program = files("pipelines.exports").joinpath("glyphless.ttf").read_bytes()
    descriptor = pdf.make_indirect(
        Dictionary(
            Type=Name.FontDescriptor, FontName=Name.Glyphless, Flags=5, FontBBox=Array([0, -200, 500, 800]),
            ItalicAngle=0, Ascent=800, Descent=-200, CapHeight=800, StemV=80,
            FontFile2=pdf.make_stream(program, Length1=len(program)),
        )
    )  # fmt: skip
    descendant = pdf.make_indirect(
        Dictionary(
            Type=Name.Font, Subtype=Name.CIDFontType2, BaseFont=Name.Glyphless, FontDescriptor=descriptor,
            CIDSystemInfo=Dictionary(Registry="Adobe", Ordering="Identity", Supplement=0),
            CIDToGIDMap=pdf.make_stream(b"\x00\x01" * 0x10000), DW=int(_ADVANCE * 1000),
        )
    )  # fmt: skip
    return pdf.make_indirect(
        Dictionary(
            Type=Name.Font, Subtype=Name.Type0, BaseFont=Name.Glyphless, Encoding=Name("/Identity-H"),
            DescendantFonts=Array([descendant]), ToUnicode=pdf.make_stream(_identity_cmap()),
        )
    )  # fmt: skip


def _identity_cmap() -> bytes:
    """ToUnicode that maps every two-byte code to itself; a range may not cross a high byte, and 100 make a block."""
    ranges = [f"<{high:02X}00> <{high:02X}FF> <{high:02X}00>" for high in range(256)]
    blocks = [ranges[start : start + 100] for start in range(0, 256, 100)]
    body = "\n".join(f"{len(block)} beginbfrange\n" + "\n".join(block) + "\nendbfrange" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        f"{body}\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()


def _text_layer(page: Page, matrix: np.ndarray, page_height: float, scale: float) -> list:
    """Instructions that show each word, and the space behind it, over its place on the upright page."""
    content = [([], Operator("BT")), ([3], Operator("Tr"))]
    for block in page.blocks:
        for line in block.lines:
            for number, word in enumerate(line.words):
                following = line.words[number + 1] if number + 1 < len(line.words) else None
                content += _word(word, following, matrix, page_height, scale)
    content.append(([], Operator("ET")))
    return content


def _word(word: Word, following: Word | None, matrix: np.ndarray, page_height: float, scale: float) -> list:
    polygon = transform_points(matrix, word.polygon).astype(float) * scale
    start, end = baseline(polygon)
    size = float(np.linalg.norm(polygon[[3, 2]] - polygon[[0, 1]], axis=1).mean())
    length = float(np.linalg.norm(end - start))
    if size <= 0 or length <= 0:
        return []
    cos, sin = (end - start) / length
    code = word.text.encode("utf-16-be")
    content = [
        ([Name.F0, *_numbers(size)], Operator("Tf")),
        ([*_numbers(cos, -sin, sin, cos, start[0], page_height - start[1])], Operator("Tm")),
        ([*_numbers(100 * length / (len(code) / 2 * _ADVANCE * size))], Operator("Tz")),
        ([pikepdf.String(code)], Operator("Tj")),
    ]
    if following is not None:
        next_start = transform_points(matrix, following.polygon).astype(float)[3] * scale
        gap = max(0.01, float(np.linalg.norm(next_start - polygon[2])))
        content += [
            ([*_numbers(100 * gap / (_ADVANCE * size))], Operator("Tz")),
            ([pikepdf.String(" ".encode("utf-16-be"))], Operator("Tj")),
        ]
    return content


def _numbers(*values: float) -> list:
    return [round(float(value), 4) for value in values]


def _image_object(pdf: pikepdf.Pdf, image: np.ndarray) -> pikepdf.Stream:
    """Return a page image: JPEG, grey if it has no colour; packed bits (lossless, smaller) if it is black and white."""
    height, width = image.shape[:2]
    grey = image if image.ndim == 2 else image[..., 0]
    if image.ndim == 3 and not all(np.array_equal(grey, image[..., i]) for i in (1, 2)):
        return _jpeg_object(pdf, _jpeg(cv2.cvtColor(image, cv2.COLOR_RGB2BGR)), width, height, 3)
    if not ((grey != 0) & (grey != 255)).any():
        packed = np.packbits(grey != 0, axis=1).tobytes()
        return pdf.make_stream(
            packed, Type=Name.XObject, Subtype=Name.Image, Width=width, Height=height,
            ColorSpace=Name.DeviceGray, BitsPerComponent=1,
        )  # fmt: skip
    return _jpeg_object(pdf, _jpeg(grey), width, height, 1)


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _jpeg_object(pdf: pikepdf.Pdf, content: bytes, width: int, height: int, channels: int) -> pikepdf.Stream:
    return pdf.make_stream(
        content, Type=Name.XObject, Subtype=Name.Image, Width=width, Height=height, BitsPerComponent=8,
        ColorSpace=Name.DeviceGray if channels == 1 else Name.DeviceRGB, Filter=Name.DCTDecode,
    )  # fmt: skip


def _plain_jpeg(content: bytes, record: PageRecord) -> int:
    """1 (grey) or 3 (colour) when `content` is a JPEG that shows the page as it was read, else 0: EXIF turns, CMYK and
    other sizes need a new encoding."""
    if content[:2] != b"\xff\xd8":
        return 0
    with Image.open(io.BytesIO(content)) as image:
        turned = image.getexif().get(0x0112, 1) != 1
        if turned or image.size != (record.width, record.height):
            return 0
        return {"L": 1, "RGB": 3}.get(image.mode, 0)
