"""Finds the text lines of a page with a DB network."""

import numpy as np

from models.blob import blob, rgb
from models.bundle import Bundle, load_bundle
from models.geometry import quad_size
from models.runtime import Network
from models.text_detection.db import DBDecoding, TextRegion, decode
from models.text_detection.preprocess import DetectionInput, as_seen, stitched, view_of

_LEAST_LETTER = 5  # px; no letter is lower, so pictures narrower than that hold none


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
        margin = np.array(view.margin, np.float32) * np.array(scale, np.float32)
        size = np.array((width, height), np.float32)
        regions = []
        for region in decode(probability, scale, self.decoding):
            polygon = np.clip(region.polygon - margin, 0, size)
            if min(quad_size(polygon)) >= 1:  # else it lies in the margin
                regions.append(TextRegion(polygon, region.confidence))
        return sorted(regions, key=lambda region: (float(region.polygon[0, 1]), float(region.polygon[0, 0])))

    def _probability_map(self, tile: np.ndarray) -> np.ndarray:
        (output,) = self.network(blob([tile], self.input)).values()
        return (output[0, 0] * 255).astype(np.uint8)
