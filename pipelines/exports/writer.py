"""What a format of an export is: a class of writers, each of which writes one document."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, Generic, Literal, TypeVar

import numpy as np
from typing_extensions import Self

from pipelines.exports.publish import Document

LoadPage = Callable[[Any], np.ndarray]
LoadOriginal = Callable[[Any], bytes | None]
P = TypeVar("P")


@dataclass(frozen=True)
class Pixels:
    """Where pixels come from, for formats that show them.

    Attributes:
        load_page: original pixels of a record, (H, W, 3) uint8 RGB; never called for failed pages.
        load_original: the bytes of a record's document, for formats that keep them.
        dpi: pixels per inch of pages whose records do not say, for their size on paper.
        passwords: tried on encrypted PDFs.
    """

    load_page: LoadPage
    load_original: LoadOriginal | None = None
    dpi: float = 200
    passwords: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True)
class ExportOptions:
    """How documents are exported.

    Attributes:
        pdf_pages: `keep`: a PDF's pages stay as they are, `upright`: those that are turned are turned back. None: a
            PDF's pages are kept, those of images upright.
        pdf_a: whether PDFs are PDF/A-2b; pages of PDFs are then drawn as pictures.
    """

    pdf_pages: Literal["keep", "upright"] | None = None
    pdf_a: bool = False


class DocumentWriter(ABC, Generic[P]):
    """Writes one document, page by page. `P` is what the reader's `export_page` makes of a record.

    Attributes:
        name: of the format.
        suffix: of the file's name, with its dot.
        missing: pages that were read, but whose picture cannot be opened any more.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    missing: int = 0

    @classmethod
    def open(cls, stream: BinaryIO, document: Document, pixels: Pixels, options: ExportOptions) -> Self:
        """Return a writer of `document` to `stream`. Formats take what they need of `pixels` and `options`."""
        return cls(stream, document)

    def __init__(self, stream: BinaryIO, document: Document):
        self.stream, self.document = stream, document

    @abstractmethod
    def add(self, page: P) -> None:
        """Write the next page."""

    def finish(self) -> None:
        """Write what follows the last page."""

    def close(self) -> None:
        """Free what the writer holds; called also when writing failed."""
