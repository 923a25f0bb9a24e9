"""Drawings of pages in the report: a picture that is embedded once, and marks over it in the page's own pixels."""

import math
from xml.etree.ElementTree import Element

import cv2
import numpy as np
from markupsafe import Markup

from common.pictures import jpeg_uri
from common.svg import element, markup, points
from models.geometry import median_colour
from pipelines.exports.publish import document_name
from pipelines.records import BaseRecord

# Pixels of an embedded picture: enough to make out the lines, some 60 KB as JPEG.
_PIXELS = 500_000
_PIXELS_TALL = 900_000
_JPEG_QUALITY = 62
TALL = 2.2  # sides of a page that is shown taller than others
# Confidence classes of the drawing: at least 0.9, at least 0.7, less.
_CLASSES = ((0.9, "high"), (0.7, "middle"), (0.0, "low"))


def confidence_class(confidence: float) -> str:
    """Return `high`, `middle` or `low`: how a mark of that confidence (0..1) is drawn."""
    return next(name for least, name in _CLASSES if confidence >= least)


def view(width: int, height: int, label: str, *drawing: Element) -> Markup:
    """Return a drawing of width × height px: the inner SVG clips it to the page, the outer fits it to its place."""
    clipped = element("svg", *drawing, width=width, height=height)
    return markup(element("svg", clipped, viewBox=f"0 0 {width} {height}", role="img", aria_label=label))


def ground(width: int, height: int, fill: str = "#fff") -> Element:
    """Return an empty page of one colour."""
    return element("rect", width=width, height=height, fill=fill)


def polygon(kind: str, corners: list[list[float]], title: str) -> Element:
    """Return a polygon from (x, y) in px; `title` is its tooltip."""
    whole = [[round(x), round(y)] for x, y in corners]
    return element("polygon", element("title", title), class_=kind, points=points(whole))


def embedded(image: np.ndarray, record: BaseRecord) -> tuple[Element, str]:
    """Return the page as an SVG image in the page's own coordinates, and the colour of its ground.

    Args:
        image: uint8 [height, width, 3] RGB, or [height, width] grey.
        record: its width and height, px.
    """
    height, width = image.shape[:2]
    budget = _PIXELS_TALL if max(height / width, width / height) > TALL else _PIXELS
    scale = min(1.0, math.sqrt(budget / (width * height)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    fill = "#{:02x}{:02x}{:02x}".format(*(list(median_colour(image)) * 3)[:3])
    place = {"width": record.width, "height": record.height, "preserveAspectRatio": "none"}
    return element("image", **place, href=jpeg_uri(small, _JPEG_QUALITY)), fill


def page_name(record: BaseRecord) -> str:
    """Return the document's name, with the page's number if it has several."""
    name = document_name(record.document_uri)
    return f"{name} · {record.page_number}/{record.page_count}" if record.page_count > 1 else name
