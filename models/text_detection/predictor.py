"""Finds the text lines of a page with a DB network."""

from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import Field

from models.blob import ImageFormat, blob, rgb
from models.bundle import Bundle, load_bundle
from models.geometry import median_colour, quad_size
from models.results import TextRegion
from models.runtime import Network
from models.text_detection.db import DBDecoding, decode
from models.text_detection.preprocess import stitched

_STRIDE = 32  # sides of the network's input are multiples of it
# A crop of a single line is no page: enlarged until its short side had a page's, its letters came out hundreds of px
# high and the line in pieces. Ordinary pages (a short side of 272 px and more) need no more than this.
_MOST_ENLARGED = 2.0
_ENLARGED_PIXELS = 24_000_000  # a page is not enlarged beyond it; what is larger by itself is looked at as it is
_MARGIN = 32  # px, after scaling, of paper put around pictures too small to have some: letters touch a crop's edge
_LEAST_LETTER = 5  # px; no letter is lower, so pictures narrower than that hold none


class DetectionInput(ImageFormat):
    """At which scale pages are looked at. All sides in px, after scaling."""

    min_short_side: int = Field(
        ge=_STRIDE, description="pages with a shorter short side are enlarged to it, but at most twice"
    )
    max_short_side: int = Field(ge=_STRIDE, description="pages with a longer short side are reduced to it")
    tile_side: int = Field(ge=_STRIDE, multiple_of=_STRIDE, description="longer sides are read in tiles of this size")
    tile_overlap: int = Field(ge=0)


class TextDetector:
    """Text lines of upright pages.

    >>> regions = TextDetector()([page])[0]  # page: (H, W, 3) uint8 RGB
    >>> regions[0].polygon.shape
    (4, 2)

    Args:
        bundle: a `text_detection` bundle or its name.
        device, threads, precision: see `models.runtime.Network`.
        decoding: replaces the bundle's own decoding parameters.

    Raises:
        BundleError, DeviceError: the bundle or the device cannot be used.
    """

    def __init__(
        self,
        bundle: Bundle | str = "ppocrv6-det@small",
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
        decoding: DBDecoding | None = None,
    ):
        bundle = load_bundle(bundle, "text_detection") if isinstance(bundle, str) else bundle
        bundle.require_task("text_detection")
        self.input = bundle.input(DetectionInput)
        self.decoding = decoding or bundle.decoding(DBDecoding)
        self.network = Network(bundle, device, threads, precision)

    def __call__(self, images: list[np.ndarray]) -> list[list[TextRegion]]:
        """Detect text in pages of any size.

        Args:
            images: (H, W) or (H, W, 3) uint8, RGB.

        Returns:
            Regions a page, polygons TL, TR, BR, BL in the image's pixels and inside it, from top to bottom.
        """
        return [self._detect(rgb(image)) for image in images]

    def _detect(self, image: np.ndarray) -> list[TextRegion]:
        height, width = image.shape[:2]
        if min(width, height) < _LEAST_LETTER:
            return []
        view = view_of(width, height, self.input)
        probability = stitched(
            as_seen(image, view), self.input.tile_side, self.input.tile_overlap, self._probability_map
        )
        scale = (width / view.size[0], height / view.size[1])
        margin, size = np.float32(view.margin) * np.float32(scale), np.float32((width, height))
        regions = []
        for region in decode(probability, scale, self.decoding):
            polygon = np.clip(region.polygon - margin, 0, size)
            if min(quad_size(polygon)) >= 1:  # else it lies in the margin
                regions.append(TextRegion(polygon, region.confidence))
        return sorted(regions, key=lambda region: (float(region.polygon[0, 1]), float(region.polygon[0, 0])))

    def _probability_map(self, tile: np.ndarray) -> np.ndarray:
        (output,) = self.network(blob([tile], self.input)).values()
        return (output[0, 0] * 255).astype(np.uint8)


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
    """How a page of `width` x `height` px is looked at: its short side brought into the given range, both sides rounded
    to the network's stride.

    What is looked at is bounded by the page itself: it is enlarged at most twice, and not beyond 24 megapixels. A
    picture too small for the range even then (a crop of a line, a label) keeps its proportions and gets a margin.
    """
    short = min(width, height)
    wanted = float(np.clip(short, form.min_short_side, form.max_short_side)) / short
    scale = min(wanted, _MOST_ENLARGED)
    if scale > 1:
        scale = max(1.0, min(scale, (_ENLARGED_PIXELS / (width * height)) ** 0.5))
    if wanted <= _MOST_ENLARGED:
        size = tuple(max(_STRIDE, round(side * scale / _STRIDE) * _STRIDE) for side in (width, height))
        return View(size, size)
    size = (round(width * scale), round(height * scale))
    return View(size, tuple(-(-(side + 2 * _MARGIN) // _STRIDE) * _STRIDE for side in size))


def as_seen(image: np.ndarray, view: View) -> np.ndarray:
    """The canvas, (H, W, 3) uint8, with a page (h, w, 3) uint8 as it is looked at; margins in its median colour."""
    height, width = image.shape[:2]
    shrinks = view.size[0] * view.size[1] < width * height
    scaled = cv2.resize(image, view.size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if view.canvas == view.size:
        return scaled
    left, top = view.margin
    right, bottom = view.canvas[0] - view.size[0] - left, view.canvas[1] - view.size[1] - top
    return cv2.copyMakeBorder(scaled, top, bottom, left, right, cv2.BORDER_CONSTANT, value=median_colour(image))
