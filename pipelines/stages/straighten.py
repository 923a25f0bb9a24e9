"""Straightening: how far the page is turned, first within the deskew network's range, then by quarter turns."""

import numpy as np

from models.deskew.predictor import DeskewPredictor
from models.geometry import fit_within, reduction_matrix, turn, turn_matrix, turn_within, wrap_degrees
from models.orientation.predictor import OrientationPredictor
from pipelines.documents import encode_jpeg, encode_png
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord

_VIEW_PIXELS, _VIEW_SHORT_SIDE = 32_000_000, 800  # a turned view larger than both is reduced


class DeskewStage:
    """Finds the skew of each page's view. Below a confidence of `turn_below` it is withheld: 0."""

    name = "deskew"

    def __init__(self, bundle: str, device: str, threads: int, turn_below: float):
        self.turn_below = turn_below
        self.predictor = DeskewPredictor(bundle, device=device, threads=threads)

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        pages = [page for page in pages if page.needs_angles]
        for page, skew in zip(pages, self.predictor([page.small_view for page in pages]), strict=True):
            page.record.skew_degrees, page.record.skew_confidence = skew.degrees, skew.confidence
            if skew.confidence < self.turn_below:
                _withhold(page.record)
            page.record.models[self.name] = self.predictor.name


class OrientationStage:
    """Finds the quarter turn of each view after its skew is taken out; the last stage that needs the view. Below a
    confidence of `turn_below` it is withheld, and the skew with it: what has no legible lines has no skew either."""

    name = "orientation"

    def __init__(self, bundle: str, device: str, threads: int, precision: str, turn_below: float):
        self.turn_below = turn_below
        self.predictor = OrientationPredictor(bundle, device=device, threads=threads, precision=precision)

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        pages = [page for page in pages if page.needs_angles]
        views = [_level(page) for page in pages]
        for page, orientation in zip(pages, self.predictor(views), strict=True):
            record = page.record
            record.orientation_degrees, record.orientation_confidence = orientation.degrees, orientation.confidence
            if orientation.confidence < self.turn_below:
                _withhold(record)
            record.models[self.name] = self.predictor.name
        for page in pages:  # after the loop: a failing page sends all of them through again, one by one
            page.view = None


def _withhold(record: PageRecord) -> None:
    """Leave the page as it is, and note by how much it would have been turned."""
    if record.turned_degrees:
        record.withheld_degrees = wrap_degrees(record.turned_degrees + (record.withheld_degrees or 0.0))
    record.skew_degrees = 0.0
    if record.orientation_degrees is not None:
        record.orientation_degrees = 0


def _level(page: Page[PageRecord]) -> np.ndarray:
    """Return the page's view with its skew removed."""
    skew = page.record.skew_degrees or 0.0
    return turn_within(page.small_view, -skew, _VIEW_PIXELS, _VIEW_SHORT_SIDE)[0]


class UprightStage:
    """Makes the upright image of the pages that ask for one: reduced first, then turned, the whole page kept."""

    name = "upright"

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        for page in pages:
            wanted = page.upright
            if wanted is None:
                continue
            small = fit_within(page.pixels, wanted.max_side)
            height, width = small.shape[:2]
            degrees = -page.record.turned_degrees
            matrix, (wanted.width, wanted.height) = turn_matrix(width, height, degrees)
            wanted.matrix = matrix @ np.vstack([reduction_matrix(page.pixels, small), [0, 0, 1]])
            turned = turn(small, degrees)
            wanted.content = encode_png(turned) if wanted.media_type == "image/png" else encode_jpeg(turned)
