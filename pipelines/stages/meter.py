"""Meters: from a photo to what its display says."""

from models.geometry import rounded
from models.meter.predictor import MeterPredictor
from pipelines.page import Page
from pipelines.readers.meters.record import Digit, MeterRecord


class MeterStage:
    """Reads the display of each photo. A photo without a reading is no error: its record says why."""

    name = "meter"

    def __init__(self, screen: str, digits: str, device: str, threads: int, precision: str):
        self.predictor = MeterPredictor(screen, digits, device, threads, precision)
        self.networks = {
            "meter_screen": self.predictor.detector.network,
            "meter_digits": self.predictor.reader.network,
        }
        self.models = {task: network.name for task, network in self.networks.items()}
        self.device = f"{self.predictor.device} {self.networks['meter_screen'].precision}"

    def __call__(self, pages: list[Page[MeterRecord]]) -> None:
        for page, found in zip(pages, self.predictor([page.pixels for page in pages]), strict=True):
            record = page.record
            record.success, record.reason, record.reading = found.success, found.reason, found.reading
            record.confidence = round(found.confidence, 4)
            record.meter_class, record.class_confidence = found.meter_class, round(found.class_confidence, 4)
            record.screen_corners = None if found.corners is None else rounded(found.corners)
            record.digits = [
                Digit(character=digit.character, box=rounded(digit.box), confidence=round(digit.confidence, 4))
                for digit in found.digits
            ]
            record.fraction_digits = found.fraction_digits
            record.models |= self.models
            record.device = self.device
        for page in pages:  # after the loop: a failing page sends all of them through again, one by one
            page.release()
