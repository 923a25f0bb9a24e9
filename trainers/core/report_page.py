"""The frame of a page: colours for light and dark screens, the switch between English and Korean, common shapes.

The switch is a pair of radio buttons and a CSS rule; elements with `lang="en"` or `lang="ko"` follow it.
"""

import base64
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

import cv2
import numpy as np

__all__ = ["asset", "both", "escape", "facts", "jpeg_uri", "page", "table", "tile"]
_JPEG_QUALITY = 72


def page(title: str, heading: str, body: str, *, style: str = "", script: str = "") -> str:
    """A whole HTML document.

    Args:
        title: text.
        heading: HTML of the headline and what stands beneath it.
        body: HTML.
        style, script: CSS and JavaScript of this page alone.
    """
    return _frame().substitute(title=escape(title), heading=heading, body=body, style=style, script=script)


def both(english: str, korean: str, tag: str = "span") -> str:
    """HTML that shows `english` or `korean` (both already HTML), as the reader's switch says; `tspan` in SVG texts."""
    return f'<{tag} lang="en">{english}</{tag}><{tag} lang="ko">{korean}</{tag}>'


def tile(value: str, label: str) -> str:
    """A figure and its name, both HTML."""
    return f'<div class="tile"><strong>{value}</strong><span>{label}</span></div>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values, both HTML."""
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; `numeric` columns stand to the right."""

    def row(tag: str, cells: Sequence[str]) -> str:
        marked = (f"<{tag}{' class=n' if at in numeric else ''}>{cell}</{tag}>" for at, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(row("td", cells) for cells in rows)
    return f'<div class="wide"><table><thead>{row("th", head)}</thead><tbody>{body}</tbody></table></div>'


def jpeg_uri(image: np.ndarray) -> str:
    """An image, uint8 [height, width, 3] RGB, as a `data:` URI."""
    content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def asset(package: str, name: str) -> str:
    """The text of a file of a package: CSS or JavaScript."""
    return files(package).joinpath(name).read_text("utf-8")


@cache
def _frame() -> Template:
    return Template(asset(__package__, "page.html"))
