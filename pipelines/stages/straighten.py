"""Straightening: how far the page is turned, first within the deskew network's range, then by quarter turns."""

from models.deskew.predictor import DeskewPredictor
from models.geometry import turn
from models.orientation.predictor import OrientationPredictor
from pipelines.page import Page


class DeskewStage:
    """Finds the skew of each page's view."""

    name = "deskew"

    def __init__(self, bundle: str, device: str, threads: int):
        self.predictor = DeskewPredictor(bundle, device=device, threads=threads)

    def __call__(self, pages: list[Page]) -> None:
        for page, skew in zip(pages, self.predictor([page.view for page in pages]), strict=True):
            page.record.skew_degrees, page.record.skew_confidence = skew.degrees, skew.confidence
            page.record.models[self.name] = self.predictor.name


class OrientationStage:
    """Finds the quarter turn of each view after its skew is taken out; the last stage that needs the view."""

    name = "orientation"

    def __init__(self, bundle: str, device: str, threads: int):
        self.predictor = OrientationPredictor(bundle, device=device, threads=threads)

    def __call__(self, pages: list[Page]) -> None:
        views = [turn(page.view, -page.record.skew_degrees) for page in pages]
        for page, orientation in zip(pages, self.predictor(views), strict=True):
            record = page.record
            record.orientation_degrees, record.orientation_confidence = orientation.degrees, orientation.confidence
            record.models[self.name] = self.predictor.name
        for page in pages:  # after the loop: a failing page sends all of them through again, one by one
            page.view = None
