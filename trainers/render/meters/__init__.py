"""The meter renderer: photos of water, gas and electricity meters and of pumps, and their displays cut out, with exact
labels, for training the networks that find and read displays.

Like the page renderer it needs numpy, Pillow and fontTools alone; pyarrow only where Parquet is written.
"""

from trainers.render.meters.scene import render_photo
from trainers.render.meters.strip import render_strip

__all__ = ["render_photo", "render_strip"]
