"""The line renderer: images of single lines of text with what they say, for training recognisers.

Like the page renderer it needs numpy, Pillow and fontTools alone; pyarrow only where Parquet is read or written.
"""

from trainers.render.lines.line import RenderedLine, render_line
from trainers.render.lines.source import RenderedLines

__all__ = ["RenderedLine", "RenderedLines", "render_line"]
