"""What a reader is: all that makes a job or a served app of documents another one than of meters."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

import numpy as np
import pyarrow as pa
from pydantic import Field
from typing_extensions import Self

from common.config import ConfigError, Settings, validate
from models.bundle import Bundle, load_bundle
from pipelines.documents import Limits, TextLayerUse
from pipelines.exports.store import RecordStore
from pipelines.exports.writer import DocumentWriter
from pipelines.ledger import Ledger
from pipelines.records import BaseRecord, R
from pipelines.report import plain
from pipelines.report.body import Body
from pipelines.sources.columns import ManifestColumns
from pipelines.stages.base import StageSpec


class LimitSettings(Settings):
    """What is decoded at all."""

    max_megapixels: float = Field(default=300, gt=0)
    pdf_dpi: int = Field(default=200, ge=36, le=1200)
    pages: str = Field(
        default="",
        pattern=r"^$|^\d+(-\d*)?(,\d+(-\d*)?)*$",
        description="pages of each document: 1-3,7 or 5-; all by default",
    )
    password_file: str | None = Field(default=None, description="a file with passwords of PDFs, one a line")

    def build(self) -> Limits:
        """Return the limits as planning and decoding take them.

        Raises:
            ConfigError: the file of passwords cannot be read, or a range of pages is empty.
        """
        passwords = [] if self.password_file is None else _passwords(self.password_file)
        pages = [_range(part) for part in self.pages.split(",")] if self.pages else []
        return Limits(self.max_megapixels, self.pdf_dpi, pages=tuple(pages), passwords=tuple(passwords))


_LAST_PAGE = 2**31 - 1


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    pages = int(first), int(last or _LAST_PAGE) if dash else int(first)
    if not 1 <= pages[0] <= pages[1]:
        raise ConfigError(f"pages {text}: there is none; pages count from 1")
    return pages


def _passwords(path: str) -> list[str]:
    """Return the lines of a file; spaces belong to a password, the end of a line does not."""
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the password file {path} cannot be read: {error}") from error
    return [line for line in lines if line]


class BundleSettings(Settings):
    """A network: the name of its bundle, its folder or URI."""

    bundle: str


class ModelSettings(BundleSettings):
    """A stage that runs one bundle over `batch_size` pages at once."""

    batch_size: int = Field(default=1, ge=1, le=256)


class ReaderSettings(Settings):
    """Settings in the YAML of every reader. `reader` names the reader: see `pipelines.readers.registry`."""

    reader: str
    limits: LimitSettings = LimitSettings()
    precision: Literal["auto", "f32", "bf16"] = "auto"


S = TypeVar("S", bound=ReaderSettings)


class Reader(ABC, Generic[S, R]):
    """Reads pages to records, in a bulk job and in a served app. What depends on no settings belongs to the class.

    Attributes:
        name: for people; that of its folder, for those in `pipelines.readers`.
        settings_type: its settings, checked when they are loaded.
        record_type: what it makes of a page; the columns of its Parquet files are derived from it.
        reading_version: to be raised with every change of the code after which the same pages give other records, since
            outputs of different versions are not mixed. `tests/test_golden_records.py` notices such changes.
        export_formats: what its records can be exported to beside JSON Lines.
        own_files: names of what `conclude` writes beside the records; deleted when a job starts anew.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[ReaderSettings]]
    record_type: ClassVar[type[BaseRecord]]
    reading_version: ClassVar[int]
    export_formats: ClassVar[tuple[type[DocumentWriter[Any]], ...]] = ()
    own_files: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: S):
        self.settings = settings

    @abstractmethod
    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec[R]]:
        """Return its stages in order. They open their networks later, where they run."""

    def bundles(self) -> dict[str, list[Bundle]]:
        """Return the checked cards that each stage needs: of the settings that name a bundle, by their own names, which
        are those of the bundles' tasks.

        Raises:
            BundleError, ConfigError: one is missing, or not what it is named for.
        """
        named = {name: value for name, value in self.settings if isinstance(value, BundleSettings)}
        return {task: [load_bundle(each.bundle, task)] for task, each in named.items()}

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide how a page is read; a job with others is another job. Which pages are read,
        and by which passwords, may change."""
        return self.settings.model_dump(exclude={"limits": {"pages", "password_file"}})

    def manifest_columns(self) -> ManifestColumns | None:
        """Return the columns of manifests that mean something to it; None: none do."""
        return None

    def conclude(self, ledger: Ledger, manifest: pa.Table) -> list[str]:
        """Work on all records together, when every page of `manifest` is read; return what was found, in
        lines of text.

        Done at every run of a job, also when nothing was left to read.
        """
        return []

    @classmethod
    def export_page(cls, record: R) -> Any:
        """Return what the writers of `export_formats` take of a page: made once for all of them."""
        return record

    @classmethod
    def report(cls, store: RecordStore[R], card: dict[str, Any], load_page: Callable[[R], np.ndarray]) -> Body:
        """Return its part of the job's report; by default the figures that all readers have.

        Args:
            store: the job's records. card: what `job.json` holds. load_page: as `write_report` takes it.
        """
        return plain.body(store, card)

    def for_languages(self, languages: str) -> Self:
        """Return the same reader for other languages, given as `ko,en`.

        Raises:
            ConfigError: it cannot read them.
        """
        raise ConfigError(f"the {self.name} reader knows no languages; leave out languages {languages}")

    def with_turn_below(self, confidence: float) -> Self:
        """Return the same reader that turns pages only from another confidence on.

        Raises:
            ConfigError: this reader turns none.
        """
        raise ConfigError(f"the {self.name} reader turns no pages; leave out turn-below {confidence:g}")

    def with_text_layer(self, use: TextLayerUse) -> Self:
        """Return the same reader with another use of the text layers of PDFs.

        Raises:
            ConfigError: this reader takes everything from pixels.
        """
        raise ConfigError(f"the {self.name} reader reads pixels alone; leave out text-layer {use}")

    def with_limits(self, **limits: Any) -> Self:
        """Return the same reader with other limits of what is decoded.

        Raises:
            ConfigError: they cannot be.
        """
        return self.changed(limits=self.settings.limits.model_dump() | limits)

    def changed(self, **settings: Any) -> Self:
        """Return the same reader with some of its settings changed.

        Raises:
            ConfigError: as for the settings in a YAML file.
        """
        other = copy.copy(self)
        content = self.settings.model_dump() | settings
        other.settings = cast(S, validate(self.settings_type, content, f"the {self.name} reader"))
        return other
