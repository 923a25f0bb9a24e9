"""Reads line crops with a CTC network."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    """The characters read from one line crop. `language` names the recogniser's language group."""

    text: str
    confidence: float
    language: str


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
        pieces: list[np.ndarray] = []
        joints: list[list[str]] = []
        for crop in crops:
            cut = cut_long_line(crop, self.input.height, self.input.max_width)
            pieces += [piece for piece, _ in cut]
            joints.append([joint for _, joint in cut])
        read = iter(self._read_pieces(pieces))
        return [self._joined([next(read) for _ in between], between) for between in joints]

    def _read_pieces(self, pieces: list[np.ndarray]) -> list[tuple[str, float]]:
        """Text and confidence of crops that are not too long; scaled batch by batch, since scaled crops of small print
        take many times the memory of the page."""
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, piece in enumerate(pieces):
            width = strip_width(piece, self.input.height, self.input.max_width)
            buckets[bucket_width(width, self.input)].append(index)
        results: dict[int, tuple[str, float]] = {}
        for width in sorted(buckets):
            for indices in in_batches(buckets[width], width):
                results.update(zip(indices, self._read([pieces[index] for index in indices], width), strict=True))
        return [results[index] for index in range(len(pieces))]

    def _read(self, pieces: list[np.ndarray], width: int) -> list[tuple[str, float]]:
        (output,) = self.network(batch_of(pieces, width, self.input)).values()
        if output.shape[2] != len(self.characters):
            raise BundleError(
                f"bundle {self.network.name}: the network has {output.shape[2]} classes, its charset with blank "
                f"{len(self.characters)}; the card belongs to other weights"
            )
        return ctc.decode(
            output, self.characters, self.calibration, self.space_bonus, self.language_model, self.language_weight
        )

    def _joined(self, pieces: list[tuple[str, float]], joints: list[str]) -> RecognizedText:
        """One line's pieces, each (text, confidence) counting by its length, joined with the texts between them."""
        text, confidence = pieces[0]
        if len(pieces) > 1:
            text = "".join(
                joint + (text.strip() if joint else text) for joint, (text, _) in zip(joints, pieces, strict=True)
            )
            lengths = [max(1, len(text)) for text, _ in pieces]
            confidence = float(np.average([confidence for _, confidence in pieces], weights=lengths))
        return RecognizedText(text if confidence >= self.min_confidence else "", confidence, self.language)


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
