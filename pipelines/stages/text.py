"""Text: finding lines on the upright page, and reading their crops across pages."""

import copy
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from models.bundle import load_bundle
from models.geometry import quad_size, rounded, turn_within
from models.text_detection.db import DBDecoding
from models.text_detection.predictor import TextDetector
from models.text_recognition.cascade import RecognizerCascade
from models.text_recognition.languages import line_languages
from models.text_recognition.predictor import RecognizedText, TextRecognizer
from models.text_recognition.preprocess import crop_line
from models.text_recognition.word_places import word_places
from pipelines.page import Page
from pipelines.readers.documents.record import Line, PageRecord
from pipelines.stages.layer import (
    arrange,
    can_be_read,
    likeness,
    outside_layer,
    sample_crops,
    unread_view,
)
from pipelines.stages.layout import lay_out, upright_map

# A turned page larger than both (a large scan that is skewed) is reduced before it is turned. The detector looks at
# pages whose shorter side has at most half of this.
_UPRIGHT_PIXELS, _UPRIGHT_SHORT_SIDE = 100_000_000, 2560
# A text layer in doubt is used if lines read from the picture are so much like it: an earlier OCR with an error in ten
# characters is worse than reading again.
_ALIKE = 0.9


def looks_at_pixels(page: Page[PageRecord]) -> bool:
    """Whether there is something on a page that its text layer does not say."""
    return page.layer is None or page.layer.look != "nothing"


def upright_image(page: Page[PageRecord]) -> tuple[np.ndarray, np.ndarray]:
    """Return the page turned upright, and the affine map from original to upright pixels; at full resolution, except
    for pages that would take too much memory."""
    degrees = -page.record.turned_degrees
    return turn_within(page.pixels, degrees, _UPRIGHT_PIXELS, _UPRIGHT_SHORT_SIDE)


class TextDetectionStage:
    """Finds text lines on the upright page and cuts them from the ORIGINAL pixels, which are interpolated only once.

    Of a page with a text layer it looks for what is not in the layer. The page itself is dropped here: only the crops
    are needed further.
    """

    name = "text_detection"

    def __init__(self, bundle: str, device: str, threads: int, precision: str, **decoding):
        opened = load_bundle(bundle, "text_detection")
        given = {name: value for name, value in decoding.items() if value is not None}
        self.predictor = TextDetector(
            opened, device, threads, precision, opened.decoding(DBDecoding).model_copy(update=given)
        )

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        looked_at = [page for page in pages if looks_at_pixels(page)]
        turned = [upright_image(page) for page in looked_at]
        views = [
            unread_view(page.layer, image, matrix) if page.layer is not None else (image, np.zeros(2, np.float32))
            for page, (image, matrix) in zip(looked_at, turned, strict=True)
        ]
        found = self.predictor([view for view, _ in views])
        for page, (_, matrix), (_, corner), regions in zip(looked_at, turned, views, found, strict=True):
            polygons = [region.polygon + corner for region in regions]
            if page.layer is not None:
                polygons = outside_layer(polygons, page.layer, matrix)
            arrange(page, matrix, polygons, with_layer=page.layer is not None and not page.layer.doubt)
            page.crops = [
                crop_line(page.pixels, polygon)
                for place, polygon in enumerate(page.polygons)
                if page.layer_line(place) is None
            ]
            page.samples = sample_crops(page)
            page.record.models[self.name] = self.predictor.network.name
        for page in pages:  # after the loop: a failing page sends all of them through again, one by one
            if not looks_at_pixels(page):
                arrange(page, upright_map(page.record)[0], [], with_layer=True)
            page.image = None


class TextRecognitionStage:
    """Reads the crops of all pages of a call together, so that batches are full and little is padded.

    Args:
        recognizers: bundles in the order in which they read, each with the languages it is there for.
        languages: requested ISO 639-1 codes; each line gets one of them.
        sure, min_confidence: see `RecognizerCascade`.
    """

    name = "text_recognition"

    def __init__(
        self,
        recognizers: Mapping[str, Sequence[str]],
        languages: Sequence[str],
        device: str,
        threads: int,
        precision: str,
        sure: float,
        min_confidence: float,
    ):
        self.sure, self.min_confidence = sure, min_confidence
        opened = {
            bundle: TextRecognizer(bundle, device, threads, precision, min_confidence=0) for bundle in recognizers
        }
        self._read_with(opened, recognizers, languages)

    def for_languages(
        self,
        opened: Mapping[str, TextRecognizer],
        recognizers: Mapping[str, Sequence[str]],
        languages: Sequence[str],
    ) -> "TextRecognitionStage":
        """Return a stage with the same settings for other languages; `opened` holds the recognisers, which stay
        shared."""
        other = copy.copy(self)
        other._read_with(opened, recognizers, languages)
        return other

    def _read_with(
        self,
        opened: Mapping[str, TextRecognizer],
        recognizers: Mapping[str, Sequence[str]],
        languages: Sequence[str],
    ) -> None:
        self.opened = {bundle: opened[bundle] for bundle in recognizers}
        self.languages = tuple(languages)
        self.predictor = RecognizerCascade(
            list(self.opened.values()), list(recognizers.values()), self.sure, self.min_confidence
        )
        self.device = f"{self.predictor.device} {self.predictor.precision}"

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        self._settle_doubts([page for page in pages if page.layer is not None and page.layer.doubt])
        crops = [crop for page in pages for crop in page.crops]
        results = zip(self.predictor(crops), crops, strict=True)
        for page in pages:
            lines = [self._line(page, place, results) for place in range(len(page.polygons))]
            languages = line_languages([line.text for line in lines], [line.language for line in lines], self.languages)
            for line, language in zip(lines, languages, strict=True):
                line.language = language
            record = page.record
            lay_out(record, lines, page.blocks)
            if looks_at_pixels(page):
                record.models[self.name] = self.predictor.name
                record.device = self.device
            sources = {line.source for line in record.lines}
            if len(sources) > 1:
                record.source = "both"
            elif "text_layer" in sources or (page.layer is not None and not sources):
                record.source = "text_layer"
        for page in pages:
            page.release()

    def _settle_doubts(self, pages: list[Page[PageRecord]]) -> None:
        """Compare layers in doubt with what their pictures say, and use them or the pictures."""
        results = iter(self.predictor([crop for page in pages for crop in page.samples.values()]))
        for page in pages:
            layer = page.layer
            if layer is None:
                continue
            read = {line: next(results).text for line in page.samples}
            alike = likeness([layer.lines[line].text for line in read], list(read.values()))
            if (read and alike >= _ALIKE) or not can_be_read(layer, self.languages):
                arrange(page, upright_map(page.record)[0], [], with_layer=True)
                page.crops = []
            else:
                page.layer = None
                what = f"lines read from the picture are {alike:.0%} like it" if read else "it has no line to compare"
                page.record.text_layer_problem = f"{layer.doubt}; {what}"

    @staticmethod
    def _line(page: Page[PageRecord], place: int, results: Iterator[tuple[RecognizedText, np.ndarray]]) -> Line:
        polygon = rounded(page.polygons[place])
        known = page.layer_line(place)
        if known is not None:
            return Line(
                text=known.text, confidence=1.0, polygon=polygon, language="", words=known.words, source="text_layer"
            )
        read, crop = next(results)
        across, down = quad_size(page.polygons[place])
        return Line(
            text=read.text,
            confidence=round(read.confidence, 4),
            polygon=polygon,
            language=read.language,
            words=word_places(read.text, read.places, crop) if across > down else [],
        )
