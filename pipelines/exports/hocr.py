"""hOCR 1.2 (Breuel 2007; kba.github.io/hocr-spec/1.2): XHTML whose classes and titles carry the layout."""

from html import escape
from typing import BinaryIO

import numpy as np

from common.project import VERSION
from pipelines.exports.publish import Document
from pipelines.exports.tree import Line, Page
from pipelines.exports.writer import DocumentWriter

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>{name}</title>
<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>
<meta name="ocr-system" content="ocray {version}"/>
<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_poly ocrp_wconf"/>
<meta name="ocr-number-of-pages" content="{pages}"/>
</head>
<body>
"""


class HocrWriter(DocumentWriter[Page]):
    """One hOCR file a document. Boxes are in original page pixels.

    A line carries the slope of its baseline (within 45 degrees) or its `textangle` (beyond), and when it is not level
    its polygon.
    """

    name = "hocr"
    suffix = ".hocr"

    def __init__(self, stream: BinaryIO, document: Document):
        super().__init__(stream, document)
        head = _HEAD.format(name=escape(document.name), version=VERSION, pages=document.page_count)
        self.stream.write(head.encode())

    def add(self, page: Page) -> None:
        record = page.record
        number = record.page_number
        image = self.document.source.replace("\\", "/").replace('"', "%22")
        title = f'image "{image}"; bbox 0 0 {record.width} {record.height}; ppageno {number - 1}'
        if record.dpi is not None:
            title += f"; scan_res {record.dpi:g} {record.dpi:g}"
        rows = [f'<div class="ocr_page" id="page_{number}" title="{escape(title)}">']
        if page.error:
            rows.append(f"<!-- not read: {escape(page.error).replace('--', '- -')} -->")
        lines = words = 0
        for block_number, block in enumerate(page.blocks, 1):
            box = "bbox {} {} {} {}".format(*page.box(block.points))
            rows.append(f'<div class="ocr_carea" id="block_{number}_{block_number}" title="{box}">')
            rows.append(f'<p class="ocr_par" id="par_{number}_{block_number}" title="{box}">')
            for line in block.lines:
                lines += 1
                rows.append(f'<span class="ocr_line" id="line_{number}_{lines}" title="{_line_title(page, line)}">')
                spans = []
                for word in line.words:
                    words += 1
                    title = "bbox {} {} {} {}; x_wconf {}".format(*page.box(word.polygon), _percent(word.confidence))
                    spans.append(
                        f'<span class="ocrx_word" id="word_{number}_{words}" title="{title}">{escape(word.text)}</span>'
                    )
                rows.append(" ".join(spans) + "</span>")
            rows.append("</p></div>")
        rows.append("</div>\n")
        self.stream.write("\n".join(rows).encode())

    def finish(self) -> None:
        self.stream.write(b"</body>\n</html>\n")


def _line_title(page: Page, line: Line) -> str:
    left, top, right, bottom = page.box(line.polygon)
    parts = [f"bbox {left} {top} {right} {bottom}"]
    (x0, y0), (x1, y1) = line.baseline.astype(float)
    if abs(line.angle) < 45:
        # A polynomial in px, y down, whose origin is the box's lower left corner.
        slope = (y1 - y0) / (x1 - x0)
        parts.append(f"baseline {slope:.4f} {y0 - slope * (x0 - left) - bottom:.1f}")
    else:
        parts.append(f"textangle {line.angle % 360:.2f}")
    if abs(line.angle) > 0.05:
        parts.append("poly " + " ".join(str(round(v)) for v in np.asarray(line.polygon).reshape(-1).tolist()))
    parts += [f"x_size {line.height:.1f}", f"x_wconf {_percent(line.confidence)}"]
    return "; ".join(parts)


def _percent(confidence: float) -> int:
    return round(100 * confidence)
