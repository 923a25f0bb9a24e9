"""ALTO 4.4 (loc.gov/standards/alto): layout and text as libraries and archives keep them."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from common.project import VERSION
from pipelines.exports.publish import Document
from pipelines.exports.tree import Line, Page
from pipelines.exports.writer import DocumentWriter

_LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{1,8})*")  # the language groups that are BCP 47 tags
_TEXT_STAGES = ("text_detection", "text_recognition")
_SPOOL_BYTES = 8 << 20


class AltoWriter(DocumentWriter[Page]):
    """Writes one ALTO file per document, one `Page` element per page; `ROTATION` is how far it is turned
    counter-clockwise.

    Lines carry their polygon and baseline. A failed page has QUALITY "Missing" and the error as QUALITY_DETAIL.
    """

    name = "alto"
    suffix = ".xml"

    def __init__(self, stream: BinaryIO, document: Document):
        super().__init__(stream, document)
        self.models: dict[str, str] = {}
        self.resolutions: dict[float, list[int]] = {}
        # The models come before the pages in the file, but are known after them.
        self.layout = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - closed by close

    def add(self, page: Page) -> None:
        record = page.record
        self.models.update({f"{stage}\n{model}": record.device for stage, model in record.models.items()})
        number = record.page_number
        if record.dpi is not None:
            self.resolutions.setdefault(record.dpi, []).append(number)
        attributes = {
            "ID": f"page_{number}",
            "HEIGHT": record.height,
            "WIDTH": record.width,
            "PHYSICAL_IMG_NR": number,
        }
        if page.error:
            attributes |= {"QUALITY": "Missing", "QUALITY_DETAIL": page.error}
        else:
            attributes["ROTATION"] = f"{page.angle % 360:.2f}"
        if page.confidence is not None:
            attributes["PC"] = f"{page.confidence:.4f}"
        rows = [f"<Page{_attributes(attributes)}>"]
        if not page.error:
            space = {"HPOS": 0, "VPOS": 0, "WIDTH": record.width, "HEIGHT": record.height}
            rows.append(f"<PrintSpace{_attributes(space)}>")
            lines = 0
            for block_number, block in enumerate(page.blocks, 1):
                identity = {"ID": f"block_{number}_{block_number}"}
                rows.append(f"<TextBlock{_attributes(identity | _place(page, block.points))}>")
                for line in block.lines:
                    lines += 1
                    rows += _line(page, line, f"line_{number}_{lines}")
                rows.append("</TextBlock>")
            rows.append("</PrintSpace>")
        rows.append("</Page>\n")
        self.layout.write("\n".join(rows).encode())

    def finish(self) -> None:
        head = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            ' xsi:schemaLocation="http://www.loc.gov/standards/alto/ns-v4#'
            ' http://www.loc.gov/standards/alto/v4/alto-4-4.xsd" SCHEMAVERSION="4.4">',
            "<Description>",
            "<MeasurementUnit>pixel</MeasurementUnit>",
            f"<sourceImageInformation><fileName>{escape(self.document.source)}</fileName></sourceImageInformation>",
            *(_resolution(dpi, pages) for dpi, pages in self.resolutions.items()),
            *(_processing(key, device) for key, device in sorted(self.models.items())),
            "</Description>",
            "<Layout>\n",
        ]
        self.stream.write("\n".join(head).encode())
        self.layout.seek(0)
        shutil.copyfileobj(self.layout, self.stream)
        self.stream.write(b"</Layout>\n</alto>\n")

    def close(self) -> None:
        self.layout.close()


def _resolution(dpi: float, pages: list[int]) -> str:
    """How many pixels are an inch, as ABBYY's engines say it: ALTO itself has no place for it."""
    settings = f"x-dpi:{dpi:g}, y-dpi:{dpi:g}, pages:{','.join(str(page) for page in pages)}"
    return _step(f"resolution_{dpi:g}", "preOperation", "decode", settings)


def _processing(key: str, device: str) -> str:
    stage, model = key.split("\n")
    category = "contentGeneration" if stage in _TEXT_STAGES else "preOperation"
    return _step(f"{stage}_{model}", category, stage, f"model {model}" + (f", device {device}" if device else ""))


def _step(identity: str, category: str, stage: str, settings: str) -> str:
    return (
        f'<Processing ID="processing_{re.sub(r"[^A-Za-z0-9_.-]", "_", identity)}">'
        f"<processingCategory>{category}</processingCategory>"
        f"<processingStepDescription>{escape(stage)}</processingStepDescription>"
        f"<processingStepSettings>{escape(settings)}</processingStepSettings>"
        f"<processingSoftware><softwareName>ocray</softwareName><softwareVersion>{VERSION}</softwareVersion>"
        "</processingSoftware></Processing>"
    )


def _line(page: Page, line: Line, identity: str) -> list[str]:
    attributes = {"ID": identity} | _place(page, line.polygon) | {"BASELINE": _points(line.baseline)}
    if _LANGUAGE.fullmatch(line.language):
        attributes["LANG"] = line.language
    rows = [f"<TextLine{_attributes(attributes)}>", f'<Shape><Polygon POINTS="{_points(line.polygon)}"/></Shape>']
    for number, word in enumerate(line.words):
        if number:
            previous = line.words[number - 1].polygon
            gap = np.stack([previous[1], word.polygon[0], word.polygon[3], previous[2]])
            rows.append(f"<SP{_attributes(_place(page, gap))}/>")
        content = {"CONTENT": word.text, "WC": f"{word.confidence:.4f}"}
        rows.append(f"<String{_attributes(_place(page, word.polygon) | content)}/>")
    rows.append("</TextLine>")
    return rows


def _place(page: Page, points: np.ndarray) -> dict[str, int]:
    left, top, right, bottom = page.box(points)
    return {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}


def _points(points: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())


def _attributes(values: Mapping[str, object]) -> str:
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in values.items())
