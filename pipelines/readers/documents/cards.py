"""Pages as the reader saw them: the picture as it came and as it was turned, text lines drawn over it by confidence.

The upright view is the same drawing through the page's affine map, so it shows exactly what the records say.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from markupsafe import Markup

from common.svg import element
from pipelines.exports.tree import Page, build_page
from pipelines.exports.upright import upright_view
from pipelines.readers.documents.record import PageRecord
from pipelines.report.card import Words
from pipelines.report.drawings import TALL, confidence_class, embedded, ground, page_name, polygon, view
from pipelines.report.numbers import number

_LEAST_MARKED = 1.0  # degrees; less cannot be seen at this size


@dataclass(frozen=True)
class PageCard:
    """What is shown of a page.

    Attributes:
        problem: why its picture cannot be shown; its lines are then drawn on an empty page.
        before, after: drawings of the page as it came and upright.
    """

    name: str
    uri: str
    facts: list[Words]
    problem: str
    tall: bool
    before: Markup
    after: Markup


def page_card(record: PageRecord, load_page: Callable[[PageRecord], np.ndarray], identity: str) -> PageCard:
    """Return what is shown of a page; `identity` is the id of its drawing in the report."""
    page = build_page(record)
    problem = ""
    try:
        picture, fill = embedded(load_page(record), record)
    except Exception as error:
        picture, fill = ground(record.width, record.height), "#fff"
        problem = f"{type(error).__name__}: {error}"
    matrix, (width, height) = upright_view(page)
    a, c, e, b, d, f = matrix.reshape(-1).tolist()
    drawing = element("g", picture, *_lines(page), id=identity)
    turned = element("use", href=f"#{identity}", transform=f"matrix({a:.6f} {b:.6f} {c:.6f} {d:.6f} {e:.2f} {f:.2f})")
    return PageCard(
        name=page_name(record),
        uri=record.document_uri,
        facts=_facts(page),
        problem=problem,
        tall=max(record.height / max(1, record.width), height / max(1, width)) > TALL,
        before=view(record.width, record.height, "original", drawing, *_angle_mark(page)),
        after=view(width, height, "upright", ground(width, height, fill), turned),
    )


def _lines(page: Page) -> list[Element]:
    return [
        polygon(confidence_class(line.confidence), line.polygon.tolist(), f"{line.text} · {line.confidence:.2f}")
        for block in page.blocks
        for line in block.lines
    ]


def _angle_mark(page: Page) -> list[Element]:
    """Return a level line, the page's own level line, and the angle between them; nothing for an upright page."""
    if abs(page.angle) < _LEAST_MARKED:
        return []
    radians = math.radians(page.angle)
    x, y = page.record.width / 2, page.record.height / 2
    arm = 0.36 * min(page.record.width, page.record.height)
    bow = 0.6 * arm
    end_x, end_y = x + arm * math.cos(radians), y - arm * math.sin(radians)
    bow_x, bow_y = x + bow * math.cos(radians), y - bow * math.sin(radians)
    sweep = 0 if page.angle > 0 else 1
    arc = f"M{x + bow:.0f} {y:.0f} A{bow:.0f} {bow:.0f} 0 0 {sweep} {bow_x:.0f} {bow_y:.0f}"
    level = element("line", class_="level", x1=x, y1=y, x2=x + arm, y2=y)
    own = element("line", x1=x, y1=y, x2=end_x, y2=end_y)
    return [element("g", level, own, element("path", d=arc), class_="angle")]


def _facts(page: Page) -> list[Words]:
    record = page.record
    facts: list[Words] = [f"{record.width:,} × {record.height:,} px"]
    if record.skew_degrees is not None and record.orientation_degrees is not None:
        turned = f"{page.angle:.1f}°".replace("-", "−")
        level = abs(page.angle) < 0.05
        if record.withheld_degrees is not None:
            facts.append(("left as it is: orientation unsure", "그대로 둠: 방향이 불확실함"))
        else:
            facts.append(("upright", "바로 섬") if level else (f"turned {turned}", f"{turned} 돌아감"))
    lines = len(record.lines)
    facts.append((f"{lines:,} line{'' if lines == 1 else 's'}", f"{lines:,}줄"))
    if page.confidence is not None:
        facts.append((f"confidence {page.confidence:.2f}", f"신뢰도 {page.confidence:.2f}"))
    if record.timings_ms:
        seconds = number(sum(record.timings_ms.values()) / 1000)
        facts.append((f"{seconds} s", f"{seconds}초"))
    return facts
