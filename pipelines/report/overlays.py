"""Pages as the reader saw them: the picture as it came and as it was turned, text lines drawn over it by confidence.

A picture is embedded once; the upright view is the same drawing through the page's affine map, so it shows exactly what
the records say.
"""

import base64
import math
from collections.abc import Callable

import cv2
import numpy as np

from models.geometry import median_colour
from pipelines.exports.publish import document_name
from pipelines.exports.tree import Page, build_page
from pipelines.exports.upright import upright_view
from pipelines.readers.documents.record import PageRecord
from pipelines.records import BaseRecord
from pipelines.report.markup import both, escape, number

# Pixels of an embedded picture: enough to make out the lines, some 60 KB as JPEG.
_PIXELS = 500_000
_PIXELS_TALL = 900_000
_JPEG_QUALITY = 62
_TALL = 2.2
_LEAST_MARKED = 1.0  # degrees; less cannot be seen at this size
# Confidence classes of the drawing: at least 0.9, at least 0.7, less.
CLASSES = ((0.9, "high"), (0.7, "middle"), (0.0, "low"))


def page_card(record: PageRecord, load_page: Callable[[PageRecord], np.ndarray], identity: str) -> str:
    """One page's figure. When its source cannot be read any more, the lines stand on an empty page and it says so."""
    page = build_page(record)
    note = ""
    try:
        picture, fill = embedded(load_page(record), record)
    except Exception as error:
        picture, fill = f'<rect width="{record.width}" height="{record.height}" fill="#fff"/>', "#fff"
        message = escape(f"{type(error).__name__}: {error}")
        note = f'<p class="note">{both("Picture not available", "그림을 열 수 없음")}: {message}</p>'
    matrix, (width, height) = upright_view(page)
    a, c, e, b, d, f = matrix.reshape(-1).tolist()
    tall = " tall" if max(record.height / max(1, record.width), height / max(1, width)) > _TALL else ""
    drawing = f'<g id="{identity}">{picture}{_lines(page)}</g>{_angle_mark(page)}'
    before = view(record.width, record.height, "original", drawing)
    turned = f'<use href="#{identity}" transform="matrix({a:.6f} {b:.6f} {c:.6f} {d:.6f} {e:.2f} {f:.2f})"/>'
    after = view(width, height, "upright", f'<rect width="{width}" height="{height}" fill="{fill}"/>{turned}')
    name = escape(page_name(record))
    return (
        f'<figure class="page{tall}"><figcaption><b title="{escape(record.document_uri)}">{name}</b>{_facts(page)}'
        f"</figcaption>{note}"
        f'<div class="views"><div>{before}<small>{both("as it came", "원본")}</small></div>'
        f"<div>{after}<small>{both('upright', '바로 세움')}</small></div></div></figure>"
    )


def view(width: int, height: int, label: str, drawing: str) -> str:
    """A drawing of width x height page pixels: the inner SVG clips it to the page, the outer fits it to its place."""
    return (
        f'<div class="view" tabindex="0"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<svg width="{width}" height="{height}">{drawing}</svg></svg></div>'
    )


def embedded(image: np.ndarray, record: BaseRecord) -> tuple[str, str]:
    """The page as an SVG image element in the page's own coordinates, and the colour of its ground."""
    height, width = image.shape[:2]
    budget = _PIXELS_TALL if max(height / width, width / height) > _TALL else _PIXELS
    scale = min(1.0, math.sqrt(budget / (width * height)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    if small.ndim == 3:
        small = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    fill = "#{:02x}{:02x}{:02x}".format(*(list(median_colour(image)) * 3)[:3])
    element = (
        f'<image width="{record.width}" height="{record.height}" preserveAspectRatio="none" '
        f'href="data:image/jpeg;base64,{base64.b64encode(content).decode()}"/>'
    )
    return element, fill


def _lines(page: Page) -> str:
    parts = []
    for block in page.blocks:
        for line in block.lines:
            points = " ".join(f"{x:.0f},{y:.0f}" for x, y in line.polygon.tolist())
            name = next(name for least, name in CLASSES if line.confidence >= least)
            title = escape(f"{line.text} · {line.confidence:.2f}")
            parts.append(f'<polygon class="{name}" points="{points}"><title>{title}</title></polygon>')
    return "".join(parts)


def _angle_mark(page: Page) -> str:
    """How far the page stands turned: a level line, the page's own level line, and the angle between them."""
    if abs(page.angle) < _LEAST_MARKED:
        return ""
    radians = math.radians(page.angle)
    x, y = page.record.width / 2, page.record.height / 2
    arm = 0.36 * min(page.record.width, page.record.height)
    bow = 0.6 * arm
    end_x, end_y = x + arm * math.cos(radians), y - arm * math.sin(radians)
    bow_x, bow_y = x + bow * math.cos(radians), y - bow * math.sin(radians)
    sweep = 0 if page.angle > 0 else 1
    return (
        f'<g class="angle"><line class="level" x1="{x:.0f}" y1="{y:.0f}" x2="{x + arm:.0f}" y2="{y:.0f}"/>'
        f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{end_x:.0f}" y2="{end_y:.0f}"/>'
        f'<path d="M{x + bow:.0f} {y:.0f} A{bow:.0f} {bow:.0f} 0 0 {sweep} {bow_x:.0f} {bow_y:.0f}"/></g>'
    )


def page_name(record: BaseRecord) -> str:
    name = document_name(record.document_uri)
    return f"{name} · {record.page_number}/{record.page_count}" if record.page_count > 1 else name


def _facts(page: Page) -> str:
    record = page.record
    facts = [f"{record.width:,} × {record.height:,} px"]
    if record.skew_degrees is not None and record.orientation_degrees is not None:
        turned = f"{page.angle:.1f}°".replace("-", "−")
        level = abs(page.angle) < 0.05
        facts.append(both("upright", "바로 섬") if level else both(f"turned {turned}", f"{turned} 돌아감"))
    lines = len(record.lines)
    facts.append(both(f"{lines:,} line{'' if lines == 1 else 's'}", f"{lines:,}줄"))
    if page.confidence is not None:
        facts.append(both(f"confidence {page.confidence:.2f}", f"신뢰도 {page.confidence:.2f}"))
    if record.timings_ms:
        seconds = number(sum(record.timings_ms.values()) / 1000)
        facts.append(both(f"{seconds} s", f"{seconds}초"))
    return f'<span class="muted">{" · ".join(facts)}</span>'
