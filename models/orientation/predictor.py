"""Reads the orientation of level pages with an exported orientation bundle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.bundle import Bundle, BundleError, load_bundle
from models.orientation.line_reader import LineReader
from models.orientation.preprocess import OrientationInput, page_tiles
from models.runtime import Network

_BATCH = 24  # tiles run at once
READS_WELL = 0.97  # confidence of reading from which the directions across are not tried
UNSURE = 0.98  # confidence below which a page is looked at again


@dataclass(frozen=True, slots=True)
class Orientation:
    """How far the page is turned counter-clockwise: 0, 90, 180 or 270 degrees."""

    degrees: int
    confidence: float


class OrientationPredictor:
    """Finds by how many quarter turns a page is turned, once its lines are level (a residual skew of ±3° is fine).

    The bundle's labels are the classes in degrees: `0 90 180 270`, or `0 180` for a two-way bundle.

    >>> from models.orientation.predictor import OrientationPredictor
    >>> predictor = OrientationPredictor("orientation@1")
    >>> answer, = predictor([page])  # doctest: +SKIP
    >>> answer.degrees               # doctest: +SKIP
    180

    Args:
        bundle: packaged name, folder, URI or an opened bundle, of task `orientation`.
        device: see `models.runtime.Network`.
        threads: CPU threads a call uses.
        reader: reads lines of doubtful pages (default: one of its own, with the packaged recogniser).
        precision: the arithmetic of that reader's network, see `models.runtime.Network`; this one runs in f32 always.

    Raises:
        BundleError: no such bundle, one of another task, an invalid card, or labels that are no quarter turns.
        DeviceError: the device cannot be had.
    """

    def __init__(
        self,
        bundle: str | Path | Bundle = "orientation@1",
        device: str = "cpu",
        threads: int = 1,
        reader: LineReader | None = None,
        precision: str = "auto",
    ):
        bundle = (bundle if isinstance(bundle, Bundle) else load_bundle(bundle)).require_task("orientation")
        self.input = bundle.input(OrientationInput)
        labels = bundle.card.labels
        if labels not in (["0", "180"], ["0", "90", "180", "270"]):
            raise BundleError(f"bundle {bundle.name}: labels must be 0 180 or 0 90 180 270 (degrees), not {labels}")
        self.degrees = [int(label) for label in labels]
        self.reader = reader or LineReader(device, threads, precision=precision)
        self.network = Network(bundle, device, threads)
        self.name, self.device = self.network.name, self.network.device

    def __call__(self, images: list[np.ndarray]) -> list[Orientation]:
        """Orientation of each page, in order; 0 degrees with confidence 0 for a blank one.

        Args:
            images: uint8 pages, grey or RGB, any size from 1 x 1 px, text lines level or upright; about 1,600 px on the
                long side is enough.

        Raises:
            ValueError: an image of another dtype or shape.
        """
        tiles = [page_tiles(image, self.input) for image in images]
        logits = self._logits(tiles)
        unsure = [index for index, page in enumerate(tiles) if len(page) and _softmax(logits[index]).max() < UNSURE]
        read = {index: answer for index in unsure if (answer := self._read(images[index], logits[index]))}
        self._look_again(tiles, logits, [index for index in unsure if index not in read])
        return [
            read.get(index) or (self._answer(logits[index]) if len(page) else Orientation(0, 0.0))
            for index, page in enumerate(tiles)
        ]

    def _read(self, image: np.ndarray, logits: np.ndarray) -> Orientation | None:
        """Return the direction in which the page's lines read: the network's answer or its opposite; if those read
        poorly, also the two directions across, of which the one with more characters counts. None if no line gives
        evidence."""
        likely = self.degrees[int(logits.argmax())]
        best, most = None, 0.0
        for degrees in (likely, (likely + 90) % 360):
            reading = self.reader.read(np.rot90(image, -degrees // 90)) if degrees in self.degrees else None
            if reading and reading.characters > most:
                answer = degrees if reading.upright else (degrees + 180) % 360
                best, most = Orientation(answer, reading.confidence), reading.characters
            if best and best.confidence >= READS_WELL:
                break
        return best

    def _look_again(self, tiles: list[np.ndarray], logits: np.ndarray, pages: list[int]) -> None:
        """Average the logits of pages whose lines cannot be read over all turns of their tiles: what the network thinks
        of all pages alike, whatever their orientation, cancels out."""
        classes = len(self.degrees)
        for quarters in range(1, classes):
            turned = [np.rot90(tiles[index], quarters * 4 // classes, (1, 2)) for index in pages]
            logits[pages] += np.roll(self._logits(turned), -quarters, axis=1)
        logits[pages] /= classes

    def _logits(self, tiles: list[np.ndarray]) -> np.ndarray:
        """Logits of each page [pages, classes] from its tiles; 0 for a page without any."""
        logits = np.zeros((len(tiles), len(self.degrees)))
        if not any(len(page) for page in tiles):
            return logits
        everything = np.ascontiguousarray(np.concatenate(tiles))
        outputs = [self.network(everything[first : first + _BATCH]) for first in range(0, len(everything), _BATCH)]
        evidence, weight = (np.concatenate([output[name] for output in outputs]) for name in ("evidence", "weight"))
        first = 0
        for index, page in enumerate(tiles):
            here = slice(first, first + len(page))
            first += len(page)
            if len(page):
                logits[index] = _softmax(weight[here]) @ evidence[here]
        return logits

    def _answer(self, logits: np.ndarray) -> Orientation:
        probability = _softmax(logits)
        best = int(probability.argmax())
        return Orientation(self.degrees[best], float(probability[best]))


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponential = np.exp(logits.astype(np.float64) - logits.max())
    return exponential / exponential.sum()
