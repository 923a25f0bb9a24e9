"""Photos of meters as requests bring them: what may be said with a photo, and images written as JSON numbers."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Annotated, Any, ClassVar

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
from ray_apps.serving.settings import MetersSettings
from ray_apps.serving.uploads import JsonDocument

_MOST_EARLIER = 1000
_WIDEST = 65_536  # px of an image of JSON numbers
_IMAGE_BEGINS, _IMAGE_ENDS = re.compile(rb"\[\s*\[\s*\["), re.compile(rb"\]\s*\]\s*\]")


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("no time of this calendar") from None


def _parsed(history: Any) -> Any:
    """A form's part is JSON text."""
    return from_json(history) if isinstance(history, str) else history


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
MeterId = Annotated[str, Field(min_length=1, max_length=200, description="names the meter; comes back in the record")]
Time = Annotated[
    Moment,
    Field(
        description="when the photo was taken: ISO 8601 with its zone (in a URL, + is written %2B)",
        examples=["2026-06-01T09:30:00+09:00"],
    ),
]
MaxRate = Annotated[
    float,
    Field(gt=0, le=1e9, description="the most the meter can turn, in its units a day; left out: the server's own"),
]


class EarlierReading(BaseModel):
    """A reading of the meter that was taken for right."""

    model_config = ConfigDict(extra="forbid")
    time: Moment
    reading: str = Field(pattern=r"^[0-9x]{1,16}(\.[0-9x]{1,16})?$", examples=["00123.4"])


class PhotoForm(JsonDocument):
    """A photo, which meter it shows and when it was taken, and earlier readings of that meter to judge it by."""

    parts: ClassVar[tuple[str, ...]] = ("meter_id", "time", "max_rate", "history")
    meter_id: MeterId | None = None
    time: Time | None = None
    max_rate: MaxRate | None = None
    history: Annotated[list[EarlierReading], BeforeValidator(_parsed)] | None = Field(
        default=None, max_length=_MOST_EARLIER, description="earlier or later readings; as a part of a form JSON text"
    )


def judge_record(record: MeterRecord, history: Sequence[EarlierReading], max_rate: float | None) -> Judgement:
    """What is thought of a record's reading, as the bulk job thinks of it. Earlier readings count as surely read."""
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
    """A photo, or its pixels: `image`, or the body itself, is [height][width][3] of whole numbers 0 to 255, RGB."""

    # For the description alone: `parse` takes pixels out before pydantic would look at every one of them.
    image: list[list[list[int]]] | None = Field(default=None, description="rows of pixels of 3 channels, RGB, 0 to 255")
    _png: bytes | None = None

    @classmethod
    async def parse(cls, body: bytes, settings: MetersSettings) -> Self:
        most = settings.limits.json_megapixels
        # Each pixel ends with a bracket, each row too.
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
        said = {"image": given, "name": "image.png"} if isinstance(given, list) else given
        image = said.pop("image", None) if isinstance(said, dict) else None
        form = cls.model_validate(said)
        if image is not None:
            if form.content is not None or form.uri is not None:
                raise Problem(422, "the JSON body must have either `image`, `content` (base64) or `uri`")
            form._png = encode_png(pixels(image if rows is None else map(_parsed_row, rows)))
        return form

    def encoded(self) -> bytes | None:
        return self._png or super().encoded()


def _without_pixels(body: bytes) -> tuple[Any, list[bytes] | None]:
    """What a JSON body says with its image left empty, and the image's rows as JSON; None where they are in it still.

    Parsed as a whole, millions of numbers would hold up all other requests of this process for seconds.

    Raises:
        ValueError: it is no JSON.
    """
    begin = _IMAGE_BEGINS.search(body)
    end = _IMAGE_ENDS.search(body, begin.end()) if begin else None
    if begin and end:
        with suppress(ValueError):
            said = from_json(body[: begin.start()] + b"[]" + body[end.end() :])
            if said == [] or (isinstance(said, dict) and said.get("image") == []):
                # There are no strings in an image: white space means nothing.
                rows = body[begin.end() : end.start()].translate(None, b" \t\r\n")
                return said, [b"[[" + row + b"]]" for row in rows.split(b"]],[[")]
    return from_json(body), None


def _parsed_row(row: bytes) -> Any:
    if row.count(b"[") > _WIDEST:
        raise ValueError("the image is too wide")
    return from_json(row)


def pixels(image: Iterable[Any]) -> np.ndarray:
    """(h, w, 3) uint8 of nested lists. Raises Problem 422."""
    try:
        rows = [_row(row) for row in image]
        return np.stack(rows)
    except (ValueError, TypeError, OverflowError):
        pass  # told below: numpy's words are not about images
    raise Problem(422, "the image must be [height][width][3] of whole numbers from 0 to 255, all rows of one width")


def _row(row: Any) -> np.ndarray:
    values = np.asarray(row)
    if values.dtype.kind not in "iu" or values.ndim != 2 or values.shape[1] != 3:
        raise ValueError("no row of pixels")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("no bytes")
    return values.astype(np.uint8)
