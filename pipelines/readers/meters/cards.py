"""Photos of meters as the reader saw them: the display in the photo, and its strip with the digits that were read."""

import base64
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from models.geometry import map_points
from models.meter_digits.preprocess import StripInput, cut_strip
from pipelines.readers.meters.record import MeterRecord
from pipelines.report.markup import both, escape
from pipelines.report.overlays import CLASSES, embedded, page_name, view

# The strip as it is shown; the digit network's own may be smaller.
_STRIP = StripInput(
    colour="RGB", mean=0, std=1, height=96, display=64, margin=24, min_width=96, max_width=960, width_step=1
)
_TEXT_HEIGHT = 40  # px above the strip, for what was read
_JPEG_QUALITY = 75


def meter_card(
    record: MeterRecord, judgement: dict[str, Any] | None, load_page: Callable[[MeterRecord], np.ndarray], identity: str
) -> str:
    """One photo's figure, with what `readings.parquet` says of it. When its source cannot be opened any more, it says
    so and the display stands on an empty photo."""
    note, strip = "", ""
    try:
        photo = load_page(record)
        picture, _ = embedded(photo, record)
        strip = _strip(photo, record)
    except Exception as error:
        picture = f'<rect width="{record.width}" height="{record.height}" fill="#fff"/>'
        message = escape(f"{type(error).__name__}: {error}")
        note = f'<p class="note">{both("Picture not available", "그림을 열 수 없음")}: {message}</p>'
    drawing = f'<g id="{identity}">{picture}{_display(record)}</g>'
    views = [
        f"<div>{view(record.width, record.height, 'photo', drawing)}<small>{both('as it came', '원본')}</small></div>"
    ]
    if strip:
        views.append(f"<div>{strip}<small>{both('the display', '표시창')}</small></div>")
    name = f'<b title="{escape(record.document_uri)}">{escape(page_name(record))}</b>'
    return (
        f'<figure class="page meter"><figcaption>{name}'
        f'{_facts(record)}{_thought(judgement)}</figcaption>{note}<div class="views">{"".join(views)}</div></figure>'
    )


def _display(record: MeterRecord) -> str:
    """The display's quad with its top edge marked, and the digits' boxes."""
    if record.screen_corners is None:
        return ""
    kind = "high" if record.success else "low"
    (x, y), (end_x, end_y) = record.screen_corners[:2]
    top = f'<line class="top-edge" x1="{x:.0f}" y1="{y:.0f}" x2="{end_x:.0f}" y2="{end_y:.0f}"/>'
    title = escape(f"{record.reading} · {record.meter_class}")
    return f'<polygon class="{kind}" points="{_points(record.screen_corners)}"><title>{title}</title></polygon>{top}'


def _strip(photo: np.ndarray, record: MeterRecord) -> str:
    """The display cut out flat, with each digit's box and above it what was read there."""
    if record.screen_corners is None:
        return ""
    image, matrix = cut_strip(photo, np.array(record.screen_corners, np.float32), _STRIP)
    height, width = image.shape[:2]
    content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    parts = [
        f'<image y="{_TEXT_HEIGHT}" width="{width}" height="{height}" '
        f'href="data:image/jpeg;base64,{base64.b64encode(content).decode()}"/>'
    ]
    first_behind = len(record.digits) - record.fraction_digits
    for number, digit in enumerate(record.digits):
        box = map_points(matrix, np.array(digit.box)) + np.array([0, _TEXT_HEIGHT], np.float32)
        kind = next(name for least, name in CLASSES if digit.confidence >= least)
        title = escape(f"{digit.character} · {digit.confidence:.2f}")
        parts.append(f'<polygon class="{kind}" points="{_points(box.tolist())}"><title>{title}</title></polygon>')
        behind = " behind" if number >= first_behind else ""
        parts.append(
            f'<text class="digit {kind}{behind}" x="{box[:, 0].mean():.0f}" y="{_TEXT_HEIGHT - 8}">'
            f"{escape(digit.character)}</text>"
        )
    return view(width, height + _TEXT_HEIGHT, "display", "".join(parts))


def _points(corners: list[list[float]]) -> str:
    return " ".join(f"{x:.0f},{y:.0f}" for x, y in corners)


def _facts(record: MeterRecord) -> str:
    facts = []
    if record.reading:
        facts.append(f'<strong class="reading">{escape(record.reading)}</strong>')
    if record.meter_class:
        facts.append(f"{escape(record.meter_class)} {record.class_confidence:.2f}")
    if record.reading and record.confidence is not None:
        facts.append(both(f"confidence {record.confidence:.2f}", f"신뢰도 {record.confidence:.2f}"))
    facts.append(f"{record.width:,} × {record.height:,} px")
    reason = f'<span class="reason">{escape(record.reason)}</span>' if record.reason else ""
    return f'<span class="muted">{" · ".join(facts)}</span>{reason}'


def _thought(judgement: dict[str, Any] | None) -> str:
    """Which meter it is, and whether its reading can be right."""
    if judgement is None or judgement["meter_id"] is None:
        return ""
    seen = f"{escape(judgement['meter_id'])} · {judgement['time']:%Y-%m-%d %H:%M} UTC"
    words = f'<span class="muted">{both("meter", "계량기")} {seen}</span>'
    if judgement["reason"]:
        kind = "reason" if judgement["plausible"] is False else "muted"
        words += f'<span class="{kind}">{escape(judgement["reason"])}</span>'
    if judgement["repaired"]:
        repaired = f"<strong>{escape(judgement['repaired'])}</strong>"
        words += f'<span class="good">{both(f"repaired: {repaired}", f"바로잡음: {repaired}")}</span>'
    return words
