"""Finds the text lines of a page with a DB network."""

import cv2
import numpy as np
from pydantic import Field, ValidationError

from models.blob import ImageFormat, blob, rgb
from models.bundle import Bundle, BundleError, load_bundle
from models.results import TextRegion
from models.runtime import Network
from models.text_detection.db import DBDecoding, decode
from models.text_detection.tiling import stitched

_STRIDE = 32  # sides of the network's input are multiples of it


class DetectionInput(ImageFormat):
    """At which scale pages are looked at. All sides in px, after scaling."""

    min_short_side: int = Field(ge=_STRIDE, description="pages with a shorter short side are enlarged to it")
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
    """

    def __init__(
        self,
        bundle: Bundle | str = "ppocrv6-det@small",
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
        decoding: DBDecoding | None = None,
    ):
        cv2.setNumThreads(threads)
        bundle = load_bundle(bundle, "text_detection") if isinstance(bundle, str) else bundle
        bundle.require_task("text_detection")
        try:
            self.input = DetectionInput.model_validate(bundle.card.input)
            self.decoding = decoding or DBDecoding.model_validate(bundle.card.decoding)
        except ValidationError as error:
            raise BundleError(f"bundle {bundle.name}: input or decoding is not valid: {error}") from error
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
        target = scaled_size(width, height, self.input)
        shrinks = target[0] * target[1] < width * height
        scaled = cv2.resize(image, target, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        probability = stitched(scaled, self.input.tile_side, self.input.tile_overlap, self._probability_map)
        regions = decode(probability, (width / target[0], height / target[1]), self.decoding)
        clipped = (
            TextRegion(np.clip(region.polygon, 0, np.array((width, height), np.float32)), region.confidence)
            for region in regions
        )
        return sorted(clipped, key=lambda region: (float(region.polygon[0, 1]), float(region.polygon[0, 0])))

    def _probability_map(self, tile: np.ndarray) -> np.ndarray:
        (output,) = self.network(blob([tile], self.input)).values()
        return (output[0, 0] * 255).astype(np.uint8)


def scaled_size(width: int, height: int, form: DetectionInput) -> tuple[int, int]:
    """(width, height) at which a page is looked at: its short side brought into the given range, both sides rounded to
    the network's stride."""
    short = min(width, height)
    scale = np.clip(short, form.min_short_side, form.max_short_side) / short
    return tuple(max(_STRIDE, round(side * scale / _STRIDE) * _STRIDE) for side in (width, height))
