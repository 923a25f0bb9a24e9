"""The meters reader: decode → meter; then each reading is judged by the others of its meter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.exports.store import RecordStore
from pipelines.ledger import Ledger
from pipelines.readers.base import Reader
from pipelines.readers.meters import report
from pipelines.readers.meters.columns import MeterColumns
from pipelines.readers.meters.readings import READINGS, write_readings
from pipelines.readers.meters.record import MeterRecord
from pipelines.readers.meters.settings import MetersReaderSettings
from pipelines.report.body import Body
from pipelines.stages.base import StageSpec
from pipelines.stages.decode import DecodeStage
from pipelines.stages.meter import MeterStage


class MetersReader(Reader[MetersReaderSettings, MeterRecord]):
    """Reads photos of water, gas and electricity meters."""

    name = "meters"
    settings_type = MetersReaderSettings
    record_type = MeterRecord
    reading_version = 1
    own_files = (READINGS,)

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec[MeterRecord]]:
        settings = self.settings
        reading = {
            "screen": settings.meter_screen.bundle,
            "digits": settings.meter_digits.bundle,
            "precision": settings.precision,
        }
        return [
            StageSpec(DecodeStage, {"limits": settings.limits.build(), "for_angles": False}),
            StageSpec(MeterStage, reading | {"device": device, "threads": threads}, gpu=device != "cpu"),
        ]

    def identity(self) -> dict[str, Any]:
        # Readings are judged anew at every run, so how they are judged may change.
        return {name: value for name, value in super().identity().items() if name != "max_rate"}

    def manifest_columns(self) -> MeterColumns:
        return self.settings.columns

    def conclude(self, ledger: Ledger, manifest: pa.Table) -> list[str]:
        return write_readings(ledger, manifest, self.settings.max_rate).lines()

    @classmethod
    def report(
        cls, store: RecordStore[MeterRecord], card: dict[str, Any], load_page: Callable[[MeterRecord], np.ndarray]
    ) -> Body:
        return report.body(store, card, load_page)
