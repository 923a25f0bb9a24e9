"""Text: finding lines on the upright page, and reading their crops across pages."""

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from models.bundle import load_bundle
from models.geometry import invert_affine, transform_points, turn_within
from models.layout.reading_order import page_text, reading_order
from models.text_detection.db import DBDecoding
from models.text_detection.predictor import TextDetector
from models.text_recognition.cascade import RecognizerCascade
from models.text_recognition.languages import line_languages
from models.text_recognition.predictor import TextRecognizer
from models.text_recognition.preprocess import crop_line
from pipelines.page import Page
from pipelines.readers.documents.record import Line, PageRecord

# A turned page larger than both (a large scan that is skewed) is reduced before it is turned. The detector looks at
# pages whose shorter side has at most half of this.
_UPRIGHT_PIXELS, _UPRIGHT_SHORT_SIDE = 100_000_000, 2560


def upright_image(page: Page[PageRecord]) -> tuple[np.ndarray, np.ndarray]:
    """Return the page turned upright, and the affine map from original to upright pixels; at full resolution, except
    for pages that would take too much memory."""
    degrees = -page.record.turned_degrees
    return turn_within(page.pixels, degrees, _UPRIGHT_PIXELS, _UPRIGHT_SHORT_SIDE)


class TextDetectionStage:
    """Finds text lines on the upright page and cuts them from the ORIGINAL pixels, which are interpolated only once.

    The page itself is dropped here: only the crops are needed further.
    """

    name = "text_detection"

    def __init__(self, bundle: str, device: str, threads: int, precision: str, **decoding):
        opened = load_bundle(bundle, "text_detection")
        given = {name: value for name, value in decoding.items() if value is not None}
        self.predictor = TextDetector(
            opened, device, threads, precision, opened.decoding(DBDecoding).model_copy(update=given)
        )

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        turned = [upright_image(page) for page in pages]
        for page, (_, matrix), regions in zip(pages, turned, self.predictor([u for u, _ in turned]), strict=True):
            back = invert_affine(matrix)
            blocks = reading_order([region.polygon for region in regions])
            order = [index for block in blocks for row in block for index in row]
            place = {index: number for number, index in enumerate(order)}
            page.blocks = [[[place[index] for index in row] for row in block] for block in blocks]
            page.polygons = [transform_points(back, regions[index].polygon) for index in order]
            page.crops = [crop_line(page.pixels, polygon) for polygon in page.polygons]
            page.record.models[self.name] = self.predictor.network.name
        for page in pages:  # after the loop: a failing page sends all of them through again, one by one
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
        results = iter(self.predictor([crop for page in pages for crop in page.crops]))
        read = [[next(results) for _ in page.crops] for page in pages]
        for page, texts in zip(pages, read, strict=True):
            languages = line_languages([line.text for line in texts], [line.language for line in texts], self.languages)
            page.record.lines = [
                Line(
                    text=line.text,
                    confidence=round(line.confidence, 4),
                    polygon=[[round(float(x), 2), round(float(y), 2)] for x, y in polygon],
                    language=language,
                )
                for line, polygon, language in zip(texts, page.polygons, languages, strict=True)
                if line.text.strip()
            ]
            page.record.text = page_text([line.text.strip() and line.text for line in texts], page.blocks)
            page.record.models[self.name] = self.predictor.name
            page.record.device = self.device
        for page in pages:
            page.release()
