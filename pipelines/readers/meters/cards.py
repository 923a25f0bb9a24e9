"""Photos of meters as the reader saw them: the display in the photo, and its strip with the digits that were read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from markupsafe import Markup

from common.pictures import jpeg_uri
from common.svg import element
from models.geometry import map_points
from models.meter_digits.preprocess import StripInput, cut_strip
from pipelines.readers.meters.record import MeterRecord
from pipelines.report.card import Words
from pipelines.report.drawings import confidence_class, embedded, ground, page_name, polygon, view

# The strip as it is shown; the digit network's own may be smaller.
_STRIP = StripInput(
    colour="RGB", mean=0, std=1, height=96, display=64, margin=24, min_width=96, max_width=960, width_step=1
)
_TEXT_HEIGHT = 40  # px above the strip, for what was read
_JPEG_QUALITY = 75


@dataclass(frozen=True)
class MeterCard:
    """What is shown of a photo.

    Attributes:
        facts: after the reading. reason: why there is no reading that can be used.
        judgement: its row of `readings.parquet`, None for a photo whose meter is not known.
        problem: why its picture cannot be shown; the display is then drawn on an empty photo.
        photo, strip: drawings of the photo and of the display, the latter None where there is none.
    """

    name: str
    uri: str
    reading: str
    facts: list[Words]
    reason: str
    judgement: dict[str, Any] | None
    problem: str
    photo: Markup
    strip: Markup | None


def meter_card(
    record: MeterRecord, judgement: dict[str, Any] | None, load_page: Callable[[MeterRecord], np.ndarray], identity: str
) -> MeterCard:
    """Return what is shown of a photo, with its row of `readings.parquet`; `identity` is the id of its drawing."""
    problem, strip = "", None
    try:
        photo = load_page(record)
        picture, _ = embedded(photo, record)
        strip = _strip(photo, record)
    except Exception as error:
        picture = ground(record.width, record.height)
        problem = f"{type(error).__name__}: {error}"
    drawing = element("g", picture, *_display(record), id=identity)
    return MeterCard(
        name=page_name(record),
        uri=record.document_uri,
        reading=record.reading,
        facts=_facts(record),
        reason=record.reason,
        judgement=judgement if judgement and judgement["meter_id"] is not None else None,
        problem=problem,
        photo=view(record.width, record.height, "photo", drawing),
        strip=strip,
    )


def _display(record: MeterRecord) -> list[Element]:
    """Return the display's quad with its top edge marked."""
    if record.screen_corners is None:
        return []
    (x1, y1), (x2, y2) = record.screen_corners[:2]
    quad = polygon(
        "high" if record.success else "low", record.screen_corners, f"{record.reading} · {record.meter_class}"
    )
    return [quad, element("line", class_="top-edge", x1=x1, y1=y1, x2=x2, y2=y2)]


def _strip(photo: np.ndarray, record: MeterRecord) -> Markup | None:
    """Return the display cut out flat, with each digit's box and above it what was read there."""
    if record.screen_corners is None:
        return None
    image, matrix = cut_strip(photo, np.array(record.screen_corners, np.float32), _STRIP)
    height, width = image.shape[:2]
    parts = [element("image", y=_TEXT_HEIGHT, width=width, height=height, href=jpeg_uri(image, _JPEG_QUALITY))]
    first_behind = len(record.digits) - record.fraction_digits
    for place, digit in enumerate(record.digits):
        box = map_points(matrix, np.array(digit.box)) + np.array([0, _TEXT_HEIGHT], np.float32)
        kind = confidence_class(digit.confidence)
        parts.append(polygon(kind, box.tolist(), f"{digit.character} · {digit.confidence:.2f}"))
        behind = " behind" if place >= first_behind else ""
        middle = float(box[:, 0].mean())
        parts.append(element("text", digit.character, class_=f"digit {kind}{behind}", x=middle, y=_TEXT_HEIGHT - 8))
    return view(width, height + _TEXT_HEIGHT, "display", *parts)


def _facts(record: MeterRecord) -> list[Words]:
    facts: list[Words] = []
    if record.meter_class:
        facts.append(f"{record.meter_class} {record.class_confidence:.2f}")
    if record.reading and record.confidence is not None:
        facts.append((f"confidence {record.confidence:.2f}", f"신뢰도 {record.confidence:.2f}"))
    return [*facts, f"{record.width:,} × {record.height:,} px"]
