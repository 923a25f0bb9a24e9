"""Reads line crops with a CTC network."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.bundle import Bundle, BundleError, load_bundle
from models.runtime import Network
from models.text_recognition import ctc, language_model
from models.text_recognition.language_model import LanguageModel, LanguageModelError
from models.text_recognition.preprocess import (
    RecognitionInput,
    batch_of,
    bucket_width,
    cut_long_line,
    in_batches,
    strip_width,
)

_CACHED_KERNELS = 2000  # for about 50 of the some 100 (batch, width) shapes, 250 MB


@dataclass(frozen=True, slots=True)
class RecognizedText:
    """The characters read from one line crop. `language` names the recogniser's language group.

    `places` says, for each character of the text, about where it stands, as a share of the crop's width; it is empty if
    that is not known.
    """

    text: str
    confidence: float
    language: str
    places: tuple[float, ...] = ()


class CTCDecoding(BaseModel):
    """How the network's steps become text."""

    model_config = ConfigDict(extra="forbid")
    charset: Literal["labels"] = Field(default="labels", description="the characters of classes 1..: the card's labels")
    language: str = Field(description="language group read, ISO 639-1 codes joined by +")
    space_bonus: float = Field(default=0.0, ge=0, le=5, description="see `ctc.decode`")
    language_weight: float = Field(
        default=0.0, ge=0, le=1, description="of the bundle's language model, see `ctc.decode`; 0: not used"
    )
    calibration: ctc.Calibration | None = Field(
        default=None, description="of the confidence; without it, the mean probability of the characters"
    )


class TextRecognizer:
    """Text of line crops.

    >>> TextRecognizer()([crop])[0].text  # crop: (h, w, 3) uint8 RGB, one horizontal line

    Args:
        bundle: a `text_recognition` bundle or its name.
        device, threads, precision: see `models.runtime.Network`.
        min_confidence: a line read with less comes back as the empty text (with its confidence).
        calibrated: make confidences true as the card says; without, they are the mean probability of the characters.

    Raises:
        BundleError, DeviceError: the bundle or the device cannot be used.
    """

    def __init__(
        self,
        bundle: Bundle | str = "ppocrv6-rec@small",
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
        min_confidence: float = 0.5,
        calibrated: bool = True,
    ):
        bundle = load_bundle(bundle, "text_recognition") if isinstance(bundle, str) else bundle
        bundle.require_task("text_recognition")
        self.input = bundle.input(RecognitionInput)
        decoding = bundle.decoding(CTCDecoding)
        self.space_bonus = decoding.space_bonus
        self.language_weight = decoding.language_weight
        self.language_model = bundle_language_model(bundle) if decoding.language_weight else None
        self.language = decoding.language
        self.calibration = decoding.calibration if calibrated else None
        self.min_confidence = min_confidence
        self.characters = ["", *bundle_characters(bundle)]
        self.network = Network(bundle, device, threads, precision, _CACHED_KERNELS)

    def __call__(self, crops: list[np.ndarray]) -> list[RecognizedText]:
        """Read crops, in the given order.

        Crops of one width bucket share batches, whichever page they are from; a crop's padding depends on its own size
        alone, so its text does not depend on its batch-mates.

        Args:
            crops: (h, w) or (h, w, 3) uint8, RGB, of any sizes.
        """
        cuts = [cut_long_line(crop, self.input.height, self.input.max_width) for crop in crops]
        read = iter(self._read_pieces([piece for cut in cuts for piece, _ in cut]))
        return [self._joined([(piece.shape[1], joint, next(read)) for piece, joint in cut]) for cut in cuts]

    def _read_pieces(self, pieces: list[np.ndarray]) -> list["_Piece"]:
        """Read crops that are not too long; they are scaled batch by batch, since scaled crops of small print take many
        times the memory of the page."""
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, piece in enumerate(pieces):
            width = strip_width(piece, self.input.height, self.input.max_width)
            buckets[bucket_width(width, self.input)].append(index)
        results: dict[int, _Piece] = {}
        for width in sorted(buckets):
            for indices in in_batches(buckets[width], width):
                results.update(zip(indices, self._read([pieces[index] for index in indices], width), strict=True))
        return [results[index] for index in range(len(pieces))]

    def _read(self, pieces: list[np.ndarray], width: int) -> list["_Piece"]:
        (output,) = self.network(batch_of(pieces, width, self.input)).values()
        if output.shape[2] != len(self.characters):
            raise BundleError(
                f"bundle {self.network.name}: the network has {output.shape[2]} classes, its charset with blank "
                f"{len(self.characters)}; the card belongs to other weights"
            )
        lines = ctc.decode(
            output, self.characters, self.calibration, self.space_bonus, self.language_model, self.language_weight
        )
        step = width / output.shape[1]
        scaled = [strip_width(piece, self.input.height, self.input.max_width) for piece in pieces]
        return [
            _Piece(line.text, line.confidence, [min(1.0, (at + 0.5) * step / across) for at in line.steps])
            for line, across in zip(lines, scaled, strict=True)
        ]

    def _joined(self, pieces: list[tuple[int, str, "_Piece"]]) -> RecognizedText:
        """One line's pieces, each (width, text before it, what was read) counting by its length."""
        whole = sum(width for width, _, _ in pieces)
        text, places, start = "", list[float](), 0
        for width, joint, piece in pieces:
            read = piece.stripped() if joint else piece
            text += joint + read.text
            places += [start / whole] * len(joint) + [(start + place * width) / whole for place in read.places]
            start += width
        lengths = [max(1, len(piece.text)) for _, _, piece in pieces]
        confidence = float(np.average([piece.confidence for _, _, piece in pieces], weights=lengths))
        if confidence < self.min_confidence:
            return RecognizedText("", confidence, self.language)
        return RecognizedText(text, confidence, self.language, tuple(places))


class _Piece(NamedTuple):
    """What was read from a piece of a line; `places` are shares of its width."""

    text: str
    confidence: float
    places: list[float]

    def stripped(self) -> "_Piece":
        """Return it without spaces at its ends."""
        start = len(self.text) - len(self.text.lstrip())
        end = len(self.text.rstrip())
        return self._replace(text=self.text[start:end], places=self.places[start:end])


def bundle_language_model(bundle: Bundle) -> LanguageModel:
    """Return the language model of a `text_recognition` bundle. Raises BundleError: it has none."""
    if language_model.FILE not in bundle.card.files:
        raise BundleError(f"bundle {bundle.name} holds no language model ({language_model.FILE})")
    try:
        return LanguageModel.load(bundle.file(language_model.FILE))
    except LanguageModelError as error:
        raise BundleError(f"bundle {bundle.name}: {language_model.FILE}: {error}") from error


def language_model_file(source: str) -> bytes:
    """Return the content of a language model's file, named by its path or by a `text_recognition` bundle that holds it.

    Raises:
        LanguageModelError: there is none.
    """
    if Path(source).is_file():
        return Path(source).read_bytes()
    try:
        bundle = load_bundle(source, "text_recognition")
        if language_model.FILE not in bundle.card.files:
            raise LanguageModelError(f"bundle {bundle.name} holds no language model")
        return bundle.file(language_model.FILE)
    except BundleError as error:
        raise LanguageModelError(f"{source} is neither a file nor a recogniser's bundle: {error}") from error


def bundle_characters(bundle: Bundle) -> list[str]:
    """Return the characters of the classes 1.. of a `text_recognition` bundle. Raises BundleError: it has none."""
    if not bundle.card.labels:
        raise BundleError(f"bundle {bundle.name}: its charset is empty; export the model with its labels")
    return list(bundle.card.labels)
