"""Configuration of a reader: which bundles read, with which settings. Loaded from `configs/pipelines/*.yaml`.

A job takes any `ReaderConfig` and asks it for all that differs from reader to reader; the documents reader is here, the
meters reader in `pipelines.meters`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from common.config import ConfigError, Settings, find_yaml, read_yaml, validate
from common.project import config_folder
from models.bundle import Bundle, load_bundle
from models.text_recognition.languages import bundle_languages
from pipelines.documents import Limits
from pipelines.ledger import Ledger
from pipelines.records import RECORDS, BaseRecord
from pipelines.sources.sightings import MeterColumns
from pipelines.stages.base import StageSpec

CONFIGS = config_folder("pipelines")


class LimitSettings(Settings):
    """What is decoded at all."""

    max_megapixels: float = Field(default=300, gt=0)
    pdf_dpi: int = Field(default=200, ge=36, le=1200)

    def build(self) -> Limits:
        """The limits as planning and decoding take them."""
        return Limits(**self.model_dump())


class BundleSettings(Settings):
    """A network: the name of its bundle, its folder or URI."""

    bundle: str


class ModelSettings(BundleSettings):
    """A stage that runs one bundle. `batch_size` pages are handed to it at once."""

    batch_size: int = Field(default=1, ge=1, le=256)


class TextDetectionSettings(ModelSettings):
    """The five parameters of DB postprocessing (PP-OCR's names without `det_db_`); left out, the bundle's own hold."""

    thresh: float | None = Field(default=None, gt=0, lt=1)
    box_thresh: float | None = Field(default=None, ge=0, le=1)
    unclip_ratio: float | None = Field(default=None, ge=0)
    use_dilation: bool | None = None
    score_mode: Literal["fast", "slow"] | None = None


class TextRecognitionSettings(Settings):
    """Recognisers: of each bundle, the languages (ISO 639-1) it is used for. Those that the languages asked for need
    take part; see `models.text_recognition.cascade`. Lines read with less than `min_confidence` are dropped.
    """

    recognizers: dict[str, list[str]] = Field(min_length=1)
    sure: float = Field(default=0.95, ge=0, le=1, description="of several recognisers, the next read lines below it")
    min_confidence: float = Field(default=0.5, ge=0, le=1)
    batch_size: int = Field(default=1, ge=1, le=256)

    @field_validator("recognizers")
    @classmethod
    def _one_for_each_language(cls, recognizers: dict[str, list[str]]) -> dict[str, list[str]]:
        languages = [language for named in recognizers.values() for language in named]
        twice = sorted({language for language in languages if languages.count(language) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands twice; name one recogniser for each language")
        if not all(recognizers.values()):
            raise ValueError("every recogniser needs a language")
        return recognizers

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that can be asked for."""
        return tuple(language for named in self.recognizers.values() for language in named)

    def chosen(self, languages: Sequence[str]) -> dict[str, list[str]]:
        """The bundles that read `languages`, each with those it is there for; all in the order asked for.

        Raises:
            ConfigError: no language, one twice, or one that no recogniser is named for.
        """
        if not languages or len(set(languages)) < len(languages):
            raise ConfigError(f"languages: {','.join(languages) or 'none'}; name one or several, each once")
        unknown = [language for language in languages if language not in self.languages]
        if unknown:
            raise ConfigError(f"languages: nothing here reads {', '.join(unknown)}; known: {', '.join(self.languages)}")
        bundle_of = {language: bundle for bundle, named in self.recognizers.items() for language in named}
        bundles: dict[str, list[str]] = {}
        for language in languages:
            bundles.setdefault(bundle_of[language], []).append(language)
        return bundles

    def open_bundles(self, languages: Sequence[str]) -> list[Bundle]:
        """The cards of `chosen(languages)`, checked against what they are named for.

        Raises:
            ConfigError: see `chosen`; or a card lacks a language, or what several recognisers need to be compared.
            BundleError: no such bundle.
        """
        opened = [(reference, load_bundle(reference, "text_recognition")) for reference in self.chosen(languages)]
        for reference, bundle in opened:
            reads = bundle_languages(bundle)
            lacking = [language for language in self.recognizers[reference] if language not in reads]
            if lacking:
                raise ConfigError(
                    f"text_recognition.recognizers: bundle {bundle.name} is named for {', '.join(lacking)}, but its "
                    f"card says that it reads {', '.join(reads)}"
                )
            if len(opened) > 1 and not bundle.card.decoding.get("calibration"):
                raise ConfigError(
                    f"bundle {bundle.name} cannot be compared with another recogniser: its card has no "
                    "decoding.calibration; fit one (benchmarks/recognition_calibration.py), or ask for fewer languages"
                )
        return [bundle for _, bundle in opened]


class ReaderConfig(Settings, ABC):
    """What all readers have, and what a job asks of one.

    Attributes:
        bundle_settings: settings that name one bundle of the task they are called after.
        reading_version: raised with every change of the code after which the same pages give other records; outputs of
            different versions are not mixed. `tests/test_golden_records.py` tells when.
    """

    bundle_settings: ClassVar[tuple[str, ...]]
    reading_version: ClassVar[int]

    reader: str
    limits: LimitSettings = LimitSettings()
    precision: Literal["auto", "f32", "bf16"] = "auto"

    @property
    def record_type(self) -> type[BaseRecord]:
        """What it makes of a page."""
        return RECORDS[self.reader]

    @property
    def meter_columns(self) -> MeterColumns | None:
        """The columns of manifests that say which meter is where; None: such columns mean nothing to this reader."""
        return None

    @abstractmethod
    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        """The reader's stages in order."""

    def for_languages(self, languages: str) -> "ReaderConfig":
        """The same reader for other languages, given as `ko,en`.

        Raises:
            ConfigError: it cannot read them.
        """
        raise ConfigError(f"the {self.reader} reader knows no languages; leave out languages {languages}")

    def open_bundles(self) -> dict[str, list[Bundle]]:
        """The checked cards that each stage needs.

        Raises:
            BundleError, ConfigError: one is missing, or not what it is named for.
        """
        return {name: [load_bundle(getattr(self, name).bundle, name)] for name in self.bundle_settings}

    def identity(self) -> dict[str, Any]:
        """The settings that decide what is read; a job with others is another job."""
        return self.model_dump()

    def conclude(self, ledger: Ledger, manifest: pa.Table) -> list[str]:
        """Work on all records together, when every page of `manifest` is read; returns lines that tell what was found.

        Done at every run of a job, also when nothing was left to read.
        """
        return []


class DocumentsConfig(ReaderConfig):
    """The documents reader. `languages` are read unless others are asked for, the commonest first."""

    bundle_settings = ("deskew", "orientation", "text_detection")
    reading_version = 1

    reader: Literal["documents"] = "documents"
    languages: list[str]
    deskew: ModelSettings
    orientation: ModelSettings
    text_detection: TextDetectionSettings
    text_recognition: TextRecognitionSettings

    @model_validator(mode="after")
    def _languages_are_read(self) -> "DocumentsConfig":
        try:
            self.text_recognition.chosen(self.languages)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    def for_languages(self, languages: str) -> "DocumentsConfig":
        """The same reader for other languages, given as `ko,en`.

        Raises:
            ConfigError: see `TextRecognitionSettings.chosen`.
        """
        asked = [language.strip() for language in languages.split(",")]
        self.text_recognition.chosen(asked)
        return self.model_copy(update={"languages": asked})

    def open_bundles(self) -> dict[str, list[Bundle]]:
        """Those for the languages asked for; raises also what `TextRecognitionSettings.open_bundles` does."""
        return super().open_bundles() | {"text_recognition": self.text_recognition.open_bundles(self.languages)}

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        # Imported here so that checking a configuration opens no runtime.
        from pipelines.stages.decode import DecodeStage
        from pipelines.stages.straighten import DeskewStage, OrientationStage
        from pipelines.stages.text import TextDetectionStage, TextRecognitionStage

        def spec(stage: type, settings: ModelSettings | TextRecognitionSettings, **extra) -> StageSpec:
            kwargs = settings.model_dump(exclude={"batch_size", "recognizers"})
            kwargs |= {"device": device, "threads": threads} | extra
            return StageSpec(stage, kwargs, settings.batch_size, gpu=device != "cpu")

        reading = self.text_recognition
        return [
            StageSpec(DecodeStage, {"limits": self.limits.build()}),
            spec(DeskewStage, self.deskew),
            spec(OrientationStage, self.orientation, precision=self.precision),
            spec(TextDetectionStage, self.text_detection, precision=self.precision),
            spec(
                TextRecognitionStage,
                reading,
                recognizers=reading.chosen(self.languages),
                languages=tuple(self.languages),
                precision=self.precision,
            ),
        ]


def load_config(reference: str | Path) -> ReaderConfig:
    """Load a reader's configuration: a name from `configs/pipelines/` (`documents`, `meters`) or a YAML file, whose
    `reader` says which one it is (left out: documents).

    Raises:
        ConfigError: no such file, YAML that does not parse, an unknown reader or key (the nearest known one is named)
            or a value out of range.
    """
    from pipelines.meters import MetersConfig  # which builds on this module

    readers: dict[str, type[ReaderConfig]] = {"documents": DocumentsConfig, "meters": MetersConfig}
    path = find_yaml(reference, CONFIGS, "configuration")
    content = read_yaml(path)
    reader = content.get("reader", "documents")
    if reader not in readers:
        raise ConfigError(f"{path}: reader is {reader!r}; known: {', '.join(readers)}")
    return validate(readers[reader], content, str(path))
