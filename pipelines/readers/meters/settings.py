"""Settings of the meters reader: `configs/pipelines/meters.yaml`."""

from pydantic import Field

from pipelines.readers.base import BundleSettings, ReaderSettings
from pipelines.readers.meters.columns import MeterColumns


class MetersReaderSettings(ReaderSettings):
    """`columns` name the manifest's columns of a photo's meter and time; `max_rate` (units per day) is the fastest that
    a meter can run, unless its manifest gives another rate."""

    reader: str = "meters"
    meter_screen: BundleSettings
    meter_digits: BundleSettings
    columns: MeterColumns = MeterColumns()
    max_rate: float | None = Field(default=None, gt=0)
