"""Pages as the detection network takes them: at a scale that suits it, and in overlapping tiles where that is too much.

The tiles' probability maps are stitched along the middle of their overlaps and decoded once, so a line that crosses a
seam is found once and whole, whatever its length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from pydantic import Field

from models.blob import ImageFormat
from models.geometry import median_colour

_STRIDE = 32  # sides of the network's input are multiples of it
# A crop of a single line is no page: enlarged until its short side had a page's, its letters came out hundreds of px
# high and the line in pieces. Ordinary pages (a short side of 272 px and more) need no more than this.
_MOST_ENLARGED = 2.0
_ENLARGED_PIXELS = 24_000_000  # pages are not enlarged beyond it; larger pages keep their size
_MARGIN = 32  # px, after scaling, of paper put around pictures too small to have some: letters touch a crop's edge


class DetectionInput(ImageFormat):
    """At which scale pages are looked at. All sides in px, after scaling."""

    min_short_side: int = Field(
        ge=_STRIDE, description="pages with a shorter short side are enlarged to it, but at most twice"
    )
    max_short_side: int = Field(ge=_STRIDE, description="pages with a longer short side are reduced to it")
    tile_side: int = Field(ge=_STRIDE, multiple_of=_STRIDE, description="longer sides are read in tiles of this size")
    tile_overlap: int = Field(ge=0)


@dataclass(frozen=True, slots=True)
class View:
    """How a page is looked at, in px: scaled to `size` (width, height), in the middle of a `canvas` (width, height)
    whose sides the network's stride divides."""

    size: tuple[int, int]
    canvas: tuple[int, int]

    @property
    def margin(self) -> tuple[int, int]:
        """(left, top) px of the canvas before the page begins."""
        return (self.canvas[0] - self.size[0]) // 2, (self.canvas[1] - self.size[1]) // 2


def view_of(width: int, height: int, form: DetectionInput) -> View:
    """Return the scale and size at which a page of `width` x `height` px goes into the network: its short side within
    the given range, both sides rounded to the network's stride.

    What is looked at is bounded by the page itself: it is enlarged at most twice, and not beyond 24 megapixels. A
    picture too small for the range even then (a crop of a line, a label) keeps its proportions and gets a margin.
    """
    short = min(width, height)
    wanted = float(np.clip(short, form.min_short_side, form.max_short_side)) / short
    scale = min(wanted, _MOST_ENLARGED)
    if scale > 1:
        scale = max(1.0, min(scale, (_ENLARGED_PIXELS / (width * height)) ** 0.5))
    if wanted <= _MOST_ENLARGED:
        size = (_nearest_stride(width * scale), _nearest_stride(height * scale))
        return View(size, size)
    size = (round(width * scale), round(height * scale))
    return View(size, (_with_margin(size[0]), _with_margin(size[1])))


def _nearest_stride(side: float) -> int:
    return max(_STRIDE, round(side / _STRIDE) * _STRIDE)


def _with_margin(side: int) -> int:
    return -(-(side + 2 * _MARGIN) // _STRIDE) * _STRIDE


def as_seen(image: np.ndarray, view: View) -> np.ndarray:
    """Return the canvas, (H, W, 3) uint8, with a page (h, w, 3) uint8 as the network sees it; margins in its median
    colour."""
    height, width = image.shape[:2]
    shrinks = view.size[0] * view.size[1] < width * height
    scaled = cv2.resize(image, view.size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if view.canvas == view.size:
        return scaled
    left, top = view.margin
    right, bottom = view.canvas[0] - view.size[0] - left, view.canvas[1] - view.size[1] - top
    return cv2.copyMakeBorder(scaled, top, bottom, left, right, cv2.BORDER_CONSTANT, value=median_colour(image))


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Spread the fewest spans (start, stop) of `tile` px over `length`, neighbours sharing at least `overlap` px.

    A length up to `tile` is one span of its own size.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must be in 0..{tile - 1}, not {overlap}")
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = np.linspace(0, length - tile, count).round().astype(int).tolist()
    return [(start, start + tile) for start in starts]


def stitched(
    image: np.ndarray, tile: int, overlap: int, probability_map: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply `probability_map`, (h, w, 3) -> (h, w) uint8, to tiles of `image` and join the maps to one (H, W)."""
    height, width = image.shape[:2]
    rows, columns = spans(height, tile, overlap), spans(width, tile, overlap)
    if len(rows) == len(columns) == 1:
        return probability_map(image)
    joined = np.zeros((height, width), np.uint8)
    for (top, bottom), (first_row, last_row) in zip(rows, _seams(rows), strict=True):
        for (left, right), (first_column, last_column) in zip(columns, _seams(columns), strict=True):
            part = probability_map(np.ascontiguousarray(image[top:bottom, left:right]))
            joined[first_row:last_row, first_column:last_column] = part[
                first_row - top : last_row - top, first_column - left : last_column - left
            ]
    return joined


def _seams(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the share (start, stop) of each span when overlaps are split in the middle."""
    middles = ((stop + start) // 2 for (_, stop), (start, _) in pairwise(parts))
    return list(pairwise([parts[0][0], *middles, parts[-1][1]]))
