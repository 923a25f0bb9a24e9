"""Which meter a photo shows and when it was taken, from the columns of a manifest."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from pipelines.arrow_types import UTC
from pipelines.sources.columns import RowError
from pipelines.sources.document import InputError

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ].+)?")
_PARSER = TypeAdapter(datetime)


class MeterColumns(BaseModel):
    """Names of the manifest columns. A manifest may lack them all: its photos are read, and not judged.

    `time_zone` (IANA name) is that of times without one; None refuses such times.
    """

    model_config = ConfigDict(extra="forbid")
    meter_id: str = "meter_id"
    time: str = "time"
    max_rate: str = "max_rate"
    time_zone: str | None = None

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f"no time zone {name!r}; give an IANA name such as Asia/Seoul or UTC") from error
        return name

    @property
    def manifest_fields(self) -> list[pa.Field]:
        return [pa.field("meter_id", pa.string()), pa.field("time", UTC), pa.field("max_rate", pa.float64())]

    def present(self, manifest: str, columns: Sequence[str]) -> list[str]:
        """Return which of the columns a manifest has.

        Raises:
            InputError: only one of meter and time.
        """
        here = [name for name in (self.meter_id, self.time) if name in columns]
        if len(here) == 1:
            missing = self.time if here == [self.meter_id] else self.meter_id
            raise InputError(
                f"{manifest}: column {here[0]!r} but no {missing!r}: a meter's readings are judged in order of time; "
                f"add the column, or name it under columns in the configuration (the manifest has {', '.join(columns)})"
            )
        return [*here, self.max_rate] if here and self.max_rate in columns else here

    def values(self, manifest: str, row: int, cells: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return `meter_id`, `time` (aware, in UTC) and `max_rate` (units a day; None: none is said), or None for a row
        whose meter and time are both empty.

        Raises:
            RowError: a meter without a time or the reverse, or a value that is neither. InputError: a time without a
                zone, when there is no `time_zone`.
        """
        where = f"{manifest}, row {row}"
        meter, when, rate = (_bare(cells.get(name)) for name in (self.meter_id, self.time, self.max_rate))
        if meter is None and when is None:
            return None
        if meter is None or when is None:
            given, missing = (self.time, self.meter_id) if meter is None else (self.meter_id, self.time)
            raise RowError(f"{where}: {given} but no {missing}; give both, or neither to read it without judging it")
        return {
            "meter_id": _meter_id(meter),
            "time": self._utc(when, where),
            "max_rate": None if rate is None else _max_rate(rate, where),
        }

    def describe(self, values: Mapping[str, Any]) -> str:
        return f"meter {values['meter_id']} at {values['time']}"

    def _utc(self, value: Any, where: str) -> datetime:
        moment = _moment(value, where)
        if moment.utcoffset() is None:
            if self.time_zone is None:
                raise InputError(
                    f"{where}: time {value} has no time zone; write it as {moment.isoformat()}+09:00 (or …Z for UTC), "
                    "or set columns.time_zone in the configuration"
                )
            moment = moment.replace(tzinfo=ZoneInfo(self.time_zone))
        return moment.astimezone(timezone.utc)


def _bare(value: Any) -> Any:
    """Return None for an empty cell."""
    if isinstance(value, str):
        value = value.strip()
    return None if value in (None, "") or (isinstance(value, float) and math.isnan(value)) else value


def _meter_id(value: Any) -> str:
    # Tables with gaps hold whole numbers as floats.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _moment(value: Any, where: str) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    if isinstance(value, str) and _ISO.fullmatch(value):  # pydantic would take numbers for seconds since 1970
        try:
            return _PARSER.validate_python(value)
        except ValidationError:
            pass
    raise RowError(f"{where}: time {value} is not an ISO 8601 time; write it as 2026-05-01T10:00:00+09:00")


def _max_rate(value: Any, where: str) -> float:
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise RowError(f"{where}: max_rate {value} is not a number of units a day above 0")
    return rate
