"""Forms of requests with photos of meters: fields that accompany a photo, and images written as JSON numbers."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Annotated, Any, ClassVar, cast

import numpy as np
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import from_json
from typing_extensions import Self

from models.meter.plausibility import Observation, judge_new
from pipelines.documents import encode_png
from pipelines.readers.meters.readings import shows_leading_zeros
from pipelines.readers.meters.record import MeterRecord
from ray_apps.serving.answers import Judgement
from ray_apps.serving.problems import Problem
from ray_apps.serving.settings import AppSettings, PhotoLimits
from ray_apps.serving.uploads import JsonDocument

_MAX_EARLIER_READINGS = 1000
_MAX_WIDTH = 65_536  # px of an image of JSON numbers
_IMAGE_BEGINS, _IMAGE_ENDS = re.compile(rb"\[\s*\[\s*\["), re.compile(rb"\]\s*\]\s*\]")


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def _parsed(history: Any) -> Any:
    """Parse the part of a form, which is JSON text."""
    return from_json(history) if isinstance(history, str) else history


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
MeterId = Annotated[str, Field(min_length=1, max_length=200, description="name of the meter; returned in the record")]
Time = Annotated[
    Moment,
    Field(
        description="when the photo was taken: ISO 8601 with its zone (in a URL, + is written %2B)",
        examples=["2026-06-01T09:30:00+09:00"],
    ),
]
MaxRate = Annotated[
    float,
    Field(
        gt=0,
        le=1e9,
        description="the fastest that the meter can run, in its units per day; the server's own when left out",
    ),
]


class EarlierReading(BaseModel):
    """A reading of the meter that was accepted."""

    model_config = ConfigDict(extra="forbid")
    time: Moment
    reading: str = Field(pattern=r"^[0-9x]{1,16}(\.[0-9x]{1,16})?$", examples=["00123.4"])


class PhotoForm(JsonDocument):
    """A photo, the meter it shows, when it was taken, and earlier readings of that meter to check it against."""

    parts: ClassVar[tuple[str, ...]] = ("meter_id", "time", "max_rate", "history")
    meter_id: MeterId | None = None
    time: Time | None = None
    max_rate: MaxRate | None = None
    history: Annotated[list[EarlierReading], BeforeValidator(_parsed)] | None = Field(
        default=None,
        max_length=_MAX_EARLIER_READINGS,
        description="earlier or later readings; as a part of a form JSON text",
    )


def judge_record(record: MeterRecord, history: Sequence[EarlierReading], max_rate: float | None) -> Judgement:
    """Return whether a record's reading is plausible, by the rules of the bulk job. Earlier readings count as certain.

    Raises:
        ValueError: the record has no time.
    """
    if record.time is None:
        raise ValueError("a reading without a time cannot be judged")
    confidences = tuple(digit.confidence for digit in record.digits)
    new = Observation(record.time, record.reading, confidences, record.success)
    # The display's class is that of all its readings.
    displays = [(record.meter_class, earlier.reading) for earlier in history]
    displays += [(record.meter_class, record.reading)] if record.success else []
    earlier = [Observation(each.time, each.reading) for each in history]
    judged = judge_new(new, earlier, max_rate, shows_leading_zeros(displays))
    return Judgement(plausible=judged.plausible, reason=judged.reason, repaired=judged.repaired)


_parsing = asyncio.Lock()  # one large body at a time


class PixelForm(JsonDocument):
    """A photo, or its pixels: `image`, or the body itself, is [height][width][3] of integers from 0 to 255, RGB."""

    # Only for the API description: `parse` removes pixels before pydantic would validate each of them.
    image: list[list[list[int]]] | None = Field(default=None, description="rows of pixels of 3 channels, RGB, 0 to 255")
    _png: bytes | None = None

    @classmethod
    async def parse(cls, body: bytes, settings: AppSettings) -> Self:
        most = cast(PhotoLimits, settings.limits).json_megapixels  # only the meters app has this form
        # Each pixel and each row ends with a bracket.
        if body.count(b"]") > 1.01 * most * 1e6 + 1000:
            detail = (
                f"the image is over the limit of {most:g} megapixels as JSON numbers; send it as a PNG or JPEG file"
            )
            raise Problem(413, detail)
        async with _parsing:
            return await asyncio.to_thread(cls._parse, body)

    @classmethod
    def _parse(cls, body: bytes) -> Self:
        try:
            given, rows = _without_pixels(body)
        except ValueError as error:
            raise Problem(422, f"the JSON body is not understood: {error}") from error
        fields = {"image": given, "name": "image.png"} if isinstance(given, list) else given
        image = fields.pop("image", None) if isinstance(fields, dict) else None
        form = cls.model_validate(fields)
        if image is not None:
            if form.content is not None or form.uri is not None:
                raise Problem(422, "the JSON body must have either `image`, `content` (base64) or `uri`")
            form._png = encode_png(pixels(image if rows is None else map(_parsed_row, rows)))
        return form

    def encoded(self) -> bytes | None:
        return self._png or super().encoded()


def _without_pixels(body: bytes) -> tuple[Any, list[bytes] | None]:
    """Return a JSON body with its image left empty, and the image's rows as JSON; None if they could not be removed.

    Parsed as a whole, millions of numbers would block all other requests of this process for seconds.

    Raises:
        ValueError: the body is not JSON.
    """
    begin = _IMAGE_BEGINS.search(body)
    end = _IMAGE_ENDS.search(body, begin.end()) if begin else None
    if begin and end:
        with suppress(ValueError):
            given = from_json(body[: begin.start()] + b"[]" + body[end.end() :])
            if given == [] or (isinstance(given, dict) and given.get("image") == []):
                # An image holds no strings, so white space means nothing.
                rows = body[begin.end() : end.start()].translate(None, b" \t\r\n")
                return given, [b"[[" + row + b"]]" for row in rows.split(b"]],[[")]
    return from_json(body), None


def _parsed_row(row: bytes) -> Any:
    if row.count(b"[") > _MAX_WIDTH:
        raise ValueError("the image is too wide")
    return from_json(row)


def pixels(image: Iterable[Any]) -> np.ndarray:
    """Return nested lists as (h, w, 3) uint8. Raises Problem 422."""
    try:
        rows = [_row(row) for row in image]
        return np.stack(rows)
    except (ValueError, TypeError, OverflowError):
        pass  # numpy's message is not about images
    raise Problem(422, "the image must be [height][width][3] of integers from 0 to 255, all rows of one width")


def _row(row: Any) -> np.ndarray:
    values = np.asarray(row)
    if values.dtype.kind not in "iu" or values.ndim != 2 or values.shape[1] != 3:
        raise ValueError("not a row of pixels")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("not bytes")
    return values.astype(np.uint8)
