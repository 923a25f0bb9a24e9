"""Pages with a text layer: what is to be read beside it, and whether it is what the picture shows."""

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from models.geometry import bounding_box, box_corners, covered_share, invert_affine, transform_points
from models.layout.reading_order import reading_order
from models.text_recognition.languages import script_weights, scripts
from models.text_recognition.preprocess import crop_line
from pipelines.documents import LayerLine, TextLayer
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord

_ROOM = 12  # px around a place that is looked at
_IN_LAYER = 0.4  # share of a detected line under lines of the layer
_SAMPLES, _LEAST_SAMPLE = 6, 4  # lines that are compared, and their characters at least


def arrange(page: Page[PageRecord], matrix: np.ndarray, polygons: Sequence[np.ndarray], with_layer: bool) -> None:
    """Set a page's polygons and blocks in reading order.

    Args:
        matrix: 2 x 3, from its pixels to those of the page upright.
        polygons: detected lines, (4, 2) in pixels of the page upright.
        with_layer: whether the lines of its text layer are among the page's lines.
    """
    known = page.layer.lines if with_layer and page.layer is not None else []
    upright = [*polygons, *(transform_points(matrix, _points(line)) for line in known)]
    blocks = reading_order(upright)
    order = [index for block in blocks for row in block for index in row]
    place = {index: number for number, index in enumerate(order)}
    back = invert_affine(matrix)
    page.blocks = [[[place[index] for index in row] for row in block] for block in blocks]
    page.layer_lines = [max(-1, index - len(polygons)) for index in order] if known else []
    page.polygons = [
        transform_points(back, upright[index]) if (line := page.layer_line(number)) is None else _points(line)
        for number, index in enumerate(order)
    ]


def unread_view(layer: TextLayer, image: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of an upright page that its layer does not say everything about, and the part's corner."""
    corner = np.zeros(2, np.float32)
    if layer.look == "page":
        return image, corner
    points = np.concatenate([transform_points(matrix, box_corners(*place)) for place in layer.unread])
    low = np.floor(np.maximum(points.min(axis=0) - _ROOM, 0)).astype(int)
    high = np.ceil(points.max(axis=0) + _ROOM).astype(int)
    return np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]), low.astype(np.float32)


def outside_layer(polygons: Sequence[np.ndarray], layer: TextLayer, matrix: np.ndarray) -> list[np.ndarray]:
    """Return the detected lines that are not in the layer: those within what it does not say, and not under its text.

    A layer in doubt may say anything: then all of them.
    """
    if layer.doubt:
        return list(polygons)
    lines = [bounding_box(transform_points(matrix, _points(line))) for line in layer.lines]
    places = [bounding_box(transform_points(matrix, box_corners(*place))) for place in layer.unread]
    return [
        polygon
        for polygon in polygons
        if covered_share(bounding_box(polygon), lines) < _IN_LAYER
        and covered_share(bounding_box(polygon), places) >= 0.5
    ]


def sample_crops(page: Page[PageRecord]) -> dict[int, np.ndarray]:
    """Return crops of some lines of a layer in doubt, by their index: long ones, from all over the page."""
    if page.layer is None or not page.layer.doubt:
        return {}
    lengths = [len(line.text) for line in page.layer.lines]
    parts = np.array_split(np.arange(len(lengths)), min(_SAMPLES, len(lengths)))
    longest = [max(part.tolist(), key=lengths.__getitem__) for part in parts]
    return {
        index: crop_line(page.pixels, _points(page.layer.lines[index]))
        for index in longest
        if lengths[index] >= _LEAST_SAMPLE
    }


def likeness(texts: Sequence[str], read: Sequence[str]) -> float:
    """Return how alike texts are, 0..1, spaces aside."""
    total = alike = 0.0
    for text, other in zip(texts, read, strict=True):
        first, second = ("".join(line.split()) for line in (text, other))
        alike += SequenceMatcher(None, first, second, autojunk=False).ratio() * len(first)
        total += len(first)
    return alike / total if total else 0.0


def can_be_read(layer: TextLayer, languages: Sequence[str]) -> bool:
    """Whether most letters of a layer are of scripts that the recognisers know: others cannot be compared."""
    weights = script_weights(" ".join(line.text for line in layer.lines))
    known = {"latin"}.union(*(scripts(language) for language in languages))
    return sum(weights[script] for script in known) >= weights.total() / 2


def _points(line: LayerLine) -> np.ndarray:
    return np.array(line.polygon, np.float32)
