"""Settings of the documents reader: `configs/pipelines/documents.yaml`."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from common.config import ConfigError, Settings
from pipelines.documents import TextLayerUse
from pipelines.readers.base import ModelSettings, ReaderSettings


class DeskewSettings(ModelSettings):
    """`turn_below`: a skew of less confidence is withheld. The default is below all right answers on the real pages
    in turns, dark on light and negated (0.63 and more); see docs/figures.md."""

    turn_below: float = Field(default=0.5, ge=0, le=1)


class OrientationSettings(ModelSettings):
    """`turn_below`: a page whose orientation has less confidence is left as it is. The default lies between right
    answers on real pages in turns (0.74 and more) and those on drawings, noise and single words (mostly below 0.6);
    see docs/figures.md."""

    turn_below: float = Field(default=0.7, ge=0, le=1)


class TextDetectionSettings(ModelSettings):
    """The five parameters of DB postprocessing (PP-OCR's names without `det_db_`); left out, the bundle's own hold."""

    thresh: float | None = Field(default=None, gt=0, lt=1)
    box_thresh: float | None = Field(default=None, ge=0, le=1)
    unclip_ratio: float | None = Field(default=None, ge=0)
    use_dilation: bool | None = None
    score_mode: Literal["fast", "slow"] | None = None


class TextRecognitionSettings(Settings):
    """Recognisers: for each bundle, the languages (ISO 639-1) that it is used for. Those of the requested languages
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
            raise ValueError(f"{', '.join(twice)} occurs twice; name one recogniser for each language")
        if not all(recognizers.values()):
            raise ValueError("every recogniser needs a language")
        return recognizers

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that can be requested."""
        return tuple(language for named in self.recognizers.values() for language in named)

    def recognizers_for(self, languages: Sequence[str]) -> dict[str, list[str]]:
        """Return the bundles that read `languages`, each with those it is there for; all in the requested order.

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


class DocumentsReaderSettings(ReaderSettings):
    """`languages` are read unless others are requested, the commonest first."""

    reader: str = "documents"
    languages: list[str]
    text_layer: TextLayerUse = Field(
        default="auto",
        description="text of PDFs: used if it is sound (auto), always, or never: then all is read from pixels",
    )
    deskew: DeskewSettings
    orientation: OrientationSettings
    text_detection: TextDetectionSettings
    text_recognition: TextRecognitionSettings

    @model_validator(mode="after")
    def _languages_are_read(self) -> Self:
        try:
            self.text_recognition.recognizers_for(self.languages)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self
