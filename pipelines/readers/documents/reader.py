"""The documents reader: decode → deskew → orientation → text detection → text recognition."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from typing_extensions import Self

from common.config import ConfigError
from models.bundle import Bundle, load_bundle
from models.text_recognition.languages import bundle_languages
from pipelines.documents import TextLayerUse
from pipelines.exports.alto import AltoWriter
from pipelines.exports.hocr import HocrWriter
from pipelines.exports.markdown import MarkdownWriter
from pipelines.exports.pdf.writer import PdfWriter
from pipelines.exports.store import RecordStore
from pipelines.exports.table_csv import TableCsvWriter
from pipelines.exports.text import TextWriter
from pipelines.exports.tree import Page, build_page
from pipelines.readers.base import ModelSettings, Reader
from pipelines.readers.documents import report
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.documents.settings import DocumentsReaderSettings, TextRecognitionSettings
from pipelines.report.body import Body
from pipelines.stages.base import StageSpec
from pipelines.stages.decode import DecodeStage
from pipelines.stages.straighten import DeskewStage, OrientationStage
from pipelines.stages.text import TextDetectionStage, TextRecognitionStage


class DocumentsReader(Reader[DocumentsReaderSettings, PageRecord]):
    """Reads the text of pages, whatever way they are turned."""

    name = "documents"
    settings_type = DocumentsReaderSettings
    record_type = PageRecord
    reading_version = 4
    export_formats = (TextWriter, MarkdownWriter, TableCsvWriter, HocrWriter, AltoWriter, PdfWriter)

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec[PageRecord]]:
        settings = self.settings

        def spec(stage: type, chosen: ModelSettings | TextRecognitionSettings, **extra: Any) -> StageSpec[PageRecord]:
            kwargs = chosen.model_dump(exclude={"batch_size", "recognizers"})
            kwargs |= {"device": device, "threads": threads} | extra
            return StageSpec(stage, kwargs, chosen.batch_size, gpu=device != "cpu")

        return [
            StageSpec(DecodeStage, {"limits": settings.limits.build(), "text_layer": settings.text_layer}),
            spec(DeskewStage, settings.deskew),
            spec(OrientationStage, settings.orientation, precision=settings.precision),
            spec(TextDetectionStage, settings.text_detection, precision=settings.precision),
            spec(
                TextRecognitionStage,
                settings.text_recognition,
                recognizers=settings.text_recognition.recognizers_for(settings.languages),
                languages=tuple(settings.languages),
                precision=settings.precision,
            ),
        ]

    def bundles(self) -> dict[str, list[Bundle]]:
        return super().bundles() | {"text_recognition": self.recognizer_bundles(self.settings.languages)}

    def recognizer_bundles(self, languages: Sequence[str]) -> list[Bundle]:
        """Return the cards of the recognisers for `languages`, checked against what they are named for.

        Raises:
            ConfigError: see `TextRecognitionSettings.recognizers_for`; or a card lacks a language, or what several
                recognisers need to be compared. BundleError: no such bundle.
        """
        settings = self.settings.text_recognition
        opened = [
            (reference, load_bundle(reference, "text_recognition")) for reference in settings.recognizers_for(languages)
        ]
        for reference, bundle in opened:
            reads = bundle_languages(bundle)
            lacking = [language for language in settings.recognizers[reference] if language not in reads]
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

    def for_languages(self, languages: str) -> Self:
        """Return the same reader for other languages, given as `ko,en`.

        Raises:
            ConfigError: see `TextRecognitionSettings.recognizers_for`.
        """
        requested = [language.strip() for language in languages.split(",")]
        self.settings.text_recognition.recognizers_for(requested)
        return self.changed(languages=requested)

    def with_turn_below(self, confidence: float) -> Self:
        """Return the same reader with another confidence below which a page is left as it is; 0: none is. An unsure
        skew alone is withheld up to this at most."""
        deskew, orientation = self.settings.deskew, self.settings.orientation
        return self.changed(
            deskew=deskew.model_copy(update={"turn_below": min(confidence, deskew.turn_below)}),
            orientation=orientation.model_copy(update={"turn_below": confidence}),
        )

    def with_text_layer(self, use: TextLayerUse) -> Self:
        """Return the same reader with another use of the text layers of PDFs."""
        return self.changed(text_layer=use)

    @classmethod
    def export_page(cls, record: PageRecord) -> Page:
        return build_page(record)

    @classmethod
    def report(
        cls, store: RecordStore[PageRecord], card: dict[str, Any], load_page: Callable[[PageRecord], np.ndarray]
    ) -> Body:
        return report.body(store, card, load_page)
