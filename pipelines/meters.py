"""The meters reader: photos of meters to readings, and each reading judged by the others of its meter."""

from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from pipelines.config import BundleSettings, ReaderConfig
from pipelines.ledger import Ledger
from pipelines.readings import write_readings
from pipelines.sources.sightings import MeterColumns
from pipelines.stages.base import StageSpec


class MetersConfig(ReaderConfig):
    """The meters reader. `columns` say where manifests hold a photo's meter and time; `max_rate` (units a day) is the
    most a meter may turn whose manifest says no other."""

    bundle_settings = ("meter_screen", "meter_digits")
    reading_version = 1

    reader: Literal["meters"] = "meters"
    meter_screen: BundleSettings
    meter_digits: BundleSettings
    columns: MeterColumns = MeterColumns()
    max_rate: float | None = Field(default=None, gt=0)

    @property
    def meter_columns(self) -> MeterColumns:
        return self.columns

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        # Imported here so that checking a configuration opens no runtime.
        from pipelines.stages.decode import DecodeStage
        from pipelines.stages.meter import MeterStage

        reading = {"screen": self.meter_screen.bundle, "digits": self.meter_digits.bundle, "precision": self.precision}
        return [
            StageSpec(DecodeStage, {"limits": self.limits.build(), "for_angles": False}),
            StageSpec(MeterStage, reading | {"device": device, "threads": threads}, gpu=device != "cpu"),
        ]

    def identity(self) -> dict[str, Any]:
        # Readings are judged anew at every run, so how they are judged may change.
        return self.model_dump(exclude={"max_rate"})

    def conclude(self, ledger: Ledger, manifest: pa.Table) -> list[str]:
        return write_readings(ledger, manifest, self.max_rate).lines()
