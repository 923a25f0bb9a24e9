"""The page renderer: training pages for the deskew and orientation networks, and the files in `samples/`.

Needs numpy, Pillow and fontTools alone, so that it also runs on a bare GPU machine; pyarrow only where Parquet is read
or written.
`render_page` sets a clean upright page; whoever trains turns it, then `degrade` damages it, so that no damage tells
which side was up.
"""

from trainers.render.canvas import RenderedLine
from trainers.render.degradation import degrade
from trainers.render.errors import RenderError
from trainers.render.fonts import FontSet, FontsMissingError
from trainers.render.page import KINDS, RenderedPage, render_page
from trainers.render.texts import TextSource

__all__ = [
    "KINDS",
    "FontSet",
    "FontsMissingError",
    "RenderError",
    "RenderedLine",
    "RenderedPage",
    "TextSource",
    "degrade",
    "render_page",
]
