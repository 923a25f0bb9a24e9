"""Settings of the meters reader: `configs/pipelines/meters.yaml`."""

from pydantic import Field

from pipelines.readers.base import BundleSettings, ReaderSettings
from pipelines.readers.meters.columns import MeterColumns


class MetersReaderSettings(ReaderSettings):
    """`columns` say where manifests hold a photo's meter and time; `max_rate` (units a day) is the most that a meter
    can turn whose manifest says no other."""

    reader: str = "meters"
    meter_screen: BundleSettings
    meter_digits: BundleSettings
    columns: MeterColumns = MeterColumns()
    max_rate: float | None = Field(default=None, gt=0)
