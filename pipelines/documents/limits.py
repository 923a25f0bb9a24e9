"""What of documents is read: how large a page may be, how finely a PDF page is rendered, which pages, and by which
passwords."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.documents.errors import PageTooLarge


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one job, the same for planning and decoding.

    Attributes:
        max_megapixels: largest page, in millions of pixels; checked in the header before anything is decoded. A page of
            300 megapixels takes 0.9 GB as RGB. A PDF page above it is rendered at a lower resolution instead.
        pages: first and last numbers of the pages that are read of each document; all if empty.
        passwords: tried on encrypted PDFs.
        max_side: longest side of a page, in px: what a page costs grows with its sides, too. PDF pages as above.
        pdf_dpi: resolution PDF pages are rendered at, in dots per inch (a PDF unit is 1/72 inch).
        max_document_mib: largest document, in MiB; a document is held in memory while its pages are read.
    """

    max_megapixels: float = 300.0
    pdf_dpi: int = 200
    max_document_mib: int = 2048
    max_side: int = 250_000
    pages: Sequence[tuple[int, int]] = ()
    passwords: Sequence[str] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("max_megapixels", "pdf_dpi", "max_document_mib", "max_side"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1_000_000)

    def selected(self, count: int) -> list[int]:
        """Return the numbers of the pages that are read of a document that has `count`."""
        numbers = range(1, count + 1)
        if not self.pages:
            return list(numbers)
        return [number for number in numbers if any(first <= number <= last for first, last in self.pages)]

    def check_page(self, width: int, height: int, name: str) -> None:
        """Raise PageTooLarge when a page of width × height px is over the limit. `name` says which page."""
        if width * height > self.max_pixels:
            raise PageTooLarge(
                f"{name}: {width:,} × {height:,} px are {width * height / 1e6:,.1f} megapixels, over the limit of "
                f"{self.max_megapixels:g}; scale the page down or raise --max-megapixels"
            )

        if max(width, height) > self.max_side:
            raise PageTooLarge(
                f"{name}: {width:,} × {height:,} px, over the limit of {self.max_side:,} px a side; cut it into pages"
            )

    def check_document(self, size: int, uri: str) -> None:
        """Raise PageTooLarge when a document of `size` bytes is over the limit."""
        if size > self.max_document_mib * 2**20:
            raise PageTooLarge(
                f"{uri}: {size / 2**20:,.0f} MiB, over the limit of {self.max_document_mib} MiB a document; split it"
            )
