"""Training of text recognition: line crops to characters, with connectionist temporal classification.

Strips are made as the predictor makes them (its own functions), and validated as it reads them: each padded to the
bucket of its own width. In training a batch goes through the network in groups of about one width, so that short lines
too are seen with little padding, and little is computed for nothing.

Weights are compared by CER: early in a training, and with thousands of characters, line accuracy is zero for long.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence, Sized
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator
from torch import nn
from torch.nn import functional

from models.bundle import Bundle, BundleError, load_bundle
from models.text_recognition import ctc
from models.text_recognition.charset import Charset, charset
from models.text_recognition.hangul import jamo_parts
from models.text_recognition.language_model import FILE, LanguageModel
from models.text_recognition.networks import CRNN, CTCNetwork, PPOCRv6, SVTRLCNet
from models.text_recognition.networks.ppocr import published_weights
from models.text_recognition.predictor import (
    CTCDecoding,
    bundle_characters,
    bundle_language_model,
    language_model_file,
)
from models.text_recognition.preprocess import RecognitionInput, bucket_width, resize_to_height
from trainers.core.checkpoint import WeightsError
from trainers.core.task import Batch, CardFields, Evaluated, Export, Sample, Split, Task, TaskSettings
from trainers.recognition.augmentation import augment_line
from trainers.recognition.metrics import (
    LANGUAGE_WEIGHTS,
    SPACE_BONUSES,
    best_reading,
    character_accuracy,
    cross_calibrated,
    expected_calibration_error,
    fit_calibration,
    recognition_metrics,
    reliability,
)
from trainers.recognition.report import write_reading_report
from trainers.recognition.source import LinesError, LineShardsSettings, LineSource, RenderedLinesSettings

_AS_IT_IS = ctc.Calibration()  # confidences are geometric means
_GROUPS = 4
_LEAST_GROUP = 8  # fewer strips make poor batch statistics
_HEAD = ("head.weight", "head.bias")
_PUBLISHED = "PP-OCRv6 small text recognition (CTC head)"
_JAMO = "head.jamo"
_BLOCKS = {
    "tps": ("crnn",),
    "features": ("crnn",),
    "sequence": ("crnn",),
    "step": ("ppocrv6",),
    "backbone_rate": ("svtr", "ppocrv6"),
}
_logger = logging.getLogger(__name__)


class RecognitionSettings(TaskSettings):
    """Settings of `RecognitionTask`.

    Attributes:
        architecture: `svtr` (SVTR-LCNet, light), `crnn` (TPS-ResNet-BiLSTM) or `ppocrv6` (with
            `train.initial_weights: ppocrv6-rec@small`, PaddleOCR's published weights).
        tps, features, sequence: blocks of crnn; see `CRNN`.
        step: of ppocrv6; see `PPOCRv6`.
        backbone_rate: learning rate of svtr's or ppocrv6's backbone, in units of `train.lr`. 0: it keeps its weights,
            and only the layers above it learn, at a third of the work: for the first steps after a change of charset.
        charset: a packaged one (ko_ksx1001, ko_full) or a file.
        height: px of the strips.
        max_width: px; longer lines are squeezed, in training and in reading.
        augmentation: 0..1, see `augment_line`.
        language: what the charset writes, for results: ISO 639-1 codes joined by +.
        language_model: of the texts to be read: a file made by `ocray language-model`, or a bundle that
            holds one. It is asked when validation lines are read, not in training, and goes into the exported bundle.
    """

    architecture: Literal["svtr", "crnn", "ppocrv6"] = "svtr"
    tps: bool = True
    features: Literal["resnet", "vgg"] = "resnet"
    sequence: Literal["bilstm", "none"] = "bilstm"
    step: Literal[4, 8] = 8
    backbone_rate: float = Field(default=1.0, ge=0, le=1)
    charset: str = "ko_ksx1001"
    height: int = Field(default=48, ge=32)
    max_width: int = Field(default=2048, ge=64)
    augmentation: float = Field(default=0.5, ge=0, le=1)
    language: str = Field(default="ko+en", pattern=r"^[a-z]{2}(\+[a-z]{2})*$")
    language_model: str | None = None

    @field_validator("charset")
    @classmethod
    def _readable(cls, value: str) -> str:
        charset(value)  # CharsetError is a ValueError: the config's reader names the key
        return value

    @field_validator("language_model")
    @classmethod
    def _is_one(cls, value: str | None) -> str | None:
        if value is not None:
            LanguageModel.load(language_model_file(value))  # LanguageModelError is a ValueError too
        return value

    @model_validator(mode="after")
    def _blocks_are_the_architectures(self):
        for name, owners in _BLOCKS.items():
            changed = getattr(self, name) != type(self).model_fields[name].default
            if changed and self.architecture not in owners:
                raise ValueError(f"{name} belongs to architecture {' or '.join(owners)}, not to {self.architecture}")
        if self.architecture == "ppocrv6" and self.height % 16:
            raise ValueError(f"height {self.height}: ppocrv6 takes multiples of 16 px")
        return self


class RecognitionTask(Task[RecognitionSettings, LineSource]):
    """See the module's text."""

    name = "recognition"
    bundle_task = "text_recognition"
    Settings = RecognitionSettings
    source_kinds = (LineShardsSettings, RenderedLinesSettings)
    validation_settings = frozenset({"charset", "height", "max_width"})
    best_metric = "cer"
    best_mode = "min"

    def __init__(self, settings: RecognitionSettings, sources: Mapping[str, LineSource], seed: int):
        super().__init__(settings, sources, seed)
        self.charset: Charset = charset(settings.charset)
        self.form = RecognitionInput(
            colour="RGB",
            mean=127.5,
            std=127.5,
            height=settings.height,
            min_width=32,
            max_width=settings.max_width,
            width_step=32,
        )
        self.bonuses, self.weights = SPACE_BONUSES, (0.0,)
        self.language_model: LanguageModel | None = None
        if settings.language_model:
            self.weights = LANGUAGE_WEIGHTS
            self.language_model = LanguageModel.load(language_model_file(settings.language_model))
        # Validation keeps lines that the charset cannot write: they are errors.
        self.lines: dict[str, LineSource] = dict(sources)
        if "train" in sources:
            self.lines["train"] = sources["train"].for_charset(self.charset)
            if self.lines["train"].left_out:
                _logger.warning("training lines of %s", self.lines["train"].left_out)

    def network(self) -> nn.Module:
        network = self._network()
        if not self.settings.backbone_rate:
            network.backbone.requires_grad_(False)
        # Convolutions of few channels run about twice as fast on CPUs with channels last.
        return network.to(memory_format=torch.channels_last)

    def _network(self) -> CTCNetwork:
        settings, classes = self.settings, self.charset.classes
        jamo = torch.from_numpy(jamo_parts(["", *self.charset.characters]))
        parts = jamo if jamo.any() else None
        if settings.architecture == "crnn":
            return CRNN(classes, settings.tps, settings.features, settings.sequence, parts)
        if settings.architecture == "svtr":
            return SVTRLCNet(classes, parts=parts)
        return PPOCRv6(classes, settings.height, settings.step, parts)

    def sample(self, index: int, split: Split) -> Sample:
        """`image` uint8 [height, width, 3], `classes` int64 [characters] (in training; else empty), `text` int32
        [characters] code points of the truth (in validation; else empty), `weight` float32: 0 for a line that cannot be
        used, because its image is unreadable or the charset does not write it."""
        rng = self.rng(split, index)
        try:
            image, text = self.lines[split].line(index)
        except LinesError as error:
            _logger.warning("left out: %s", error)
            return self._sample(np.zeros((1, 1, 3), np.uint8), np.zeros(0, np.int64), "", 0.0)
        label = self.charset.label(text)
        if split == "validation":
            return self._sample(image, np.zeros(0, np.int64), label.text, 1.0)
        usable = label.decision != "leave out"
        classes = self.charset.encode(label.text) if usable else np.zeros(0, np.int64)
        return self._sample(augment_line(image, rng, self.settings.augmentation), classes, "", float(usable))

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """`image` uint8 [batch, 3, height, width of the widest, in steps], `width` int64 [batch]; `classes` and `text`
        padded with 0 to the longest, `length` int64 [batch] of `classes`; `weight`."""
        widths = [sample["image"].shape[1] for sample in samples]
        images = np.zeros((len(samples), 3, self.form.height, bucket_width(max(widths), self.form)), np.uint8)
        for row, sample in zip(images, samples, strict=True):
            row[:, :, : sample["image"].shape[1]] = sample["image"].transpose(2, 0, 1)
        batch = {
            "image": images,
            "width": np.array(widths),
            "classes": padded_rows([sample["classes"] for sample in samples]),
            "length": np.array([len(sample["classes"]) for sample in samples]),
            "text": padded_rows([sample["text"] for sample in samples]),
            "weight": np.stack([sample["weight"] for sample in samples]),
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        total = torch.zeros((), device=batch["image"].device)
        blanks = torch.zeros_like(total)
        for indices in width_groups(batch["width"]):
            width = bucket_width(int(batch["width"][indices].max()), self.form)
            classes, length = batch["classes"][indices], batch["length"][indices]
            logits = network(self._strips(batch["image"][indices, :, :, :width], batch["width"][indices])).float()
            # A line with more characters than steps has no path and an infinite loss: zero_infinity leaves it out.
            losses = functional.ctc_loss(
                functional.log_softmax(logits, dim=2).transpose(0, 1),
                classes,
                torch.full_like(length, logits.shape[1]),
                length,
                blank=ctc.BLANK,
                reduction="none",
                zero_infinity=True,
            )
            total = total + (losses / length.clamp(min=1) * batch["weight"][indices]).sum()
            blanks += (logits.detach().argmax(dim=2) == ctc.BLANK).float().mean() * len(indices)
        return total / len(batch["width"]), {"blank_share": blanks / len(batch["width"])}

    def predict(self, network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        """Return `true` (strings) and `used` (bool) [batch]; `read` (strings) and `probability` (geometric mean over
        the characters read, 0 for none) [batch, bonuses, weights], for each bonus of the space and each weight of the
        language model."""
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, width in enumerate(batch["width"].tolist()):
            buckets[bucket_width(width, self.form)].append(index)
        read = np.full((len(batch["width"]), len(self.bonuses), len(self.weights)), "", object)
        probability = np.zeros(read.shape)
        characters = ["", *self.charset.characters]
        for width, indices in buckets.items():
            strips = self._strips(batch["image"][indices, :, :, :width], batch["width"][indices])
            steps = network(strips).float().cpu().numpy()
            for (i, bonus), (j, weight) in product(enumerate(self.bonuses), enumerate(self.weights)):
                lines = ctc.decode(steps, characters, _AS_IT_IS, bonus, self.language_model, weight)
                read[indices, i, j] = [line.text for line in lines]
                probability[indices, i, j] = [line.confidence for line in lines]
        true = np.array(["".join(map(chr, row[row > 0])) for row in batch["text"].cpu().numpy()], object)
        return {"true": true, "read": read, "probability": probability, "used": batch["weight"].cpu().numpy() > 0}

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """See `recognition_metrics`, at the `space_bonus` and then the `language_weight` of the most right words, which
        are given too (the weight where there is a language model); `confidence_scale` and `confidence_offset` (see
        `ctc.Calibration`), and `ece` of the confidences against character accuracies, each half of the lines being
        calibrated on the other half.

        Raises:
            LinesError: no line has an image that can be read.
        """
        used = predictions["used"]
        if not used.any():
            raise LinesError("no image of the validation lines can be read; see the warnings above")
        true, read, probability = (predictions[name][used] for name in ("true", "read", "probability"))
        bonus = best_reading(true, read[:, :, 0])
        weight = best_reading(true, read[:, bonus])
        read, probability = read[:, bonus, weight], probability[:, bonus, weight]
        accuracy = np.array([character_accuracy(*pair) for pair in zip(true, read, strict=True)])
        fitted = fit_calibration(probability, accuracy)
        metrics = recognition_metrics(true, read)
        metrics["ece"] = expected_calibration_error(reliability(cross_calibrated(probability, accuracy), accuracy))
        fits = {"confidence_scale": fitted.scale, "confidence_offset": fitted.offset}
        if self.language_model is not None:
            fits["language_weight"] = self.weights[weight]
        return metrics | fits | {"space_bonus": self.bonuses[bonus]}

    def validation_length(self) -> int | None:
        source = self.lines.get("validation")
        return len(source) if isinstance(source, Sized) else None

    def write_report(
        self, folder: Path, evaluated: Evaluated, predictions: dict[str, np.ndarray], pictures: int
    ) -> str:
        bonus = self.bonuses.index(evaluated.metrics["space_bonus"])
        weight = self.weights.index(evaluated.metrics.get("language_weight", self.weights[0]))
        predictions = predictions | {name: predictions[name][:, bonus, weight] for name in ("read", "probability")}
        return write_reading_report(folder, evaluated, predictions, self.lines["validation"], pictures)

    def fitted_decoding(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        calibration = ctc.Calibration(scale=metrics["confidence_scale"], offset=metrics["confidence_offset"])
        fits = {name: metrics.get(name, 0.0) for name in ("space_bonus", "language_weight")}
        return {"calibration": calibration.model_dump()} | fits

    def decode_as(self, bundle: Bundle, refit: bool) -> None:
        self.language_model, self.weights = None, (0.0,)
        if FILE in bundle.card.files:
            self.language_model, self.weights = bundle_language_model(bundle), LANGUAGE_WEIGHTS
        if not refit:
            decoding = bundle.decoding(CTCDecoding)
            self.bonuses, self.weights = (decoding.space_bonus,), (decoding.language_weight,)

    def rate_factors(self) -> dict[str, float]:
        return {"backbone.": self.settings.backbone_rate}

    def published_weights(self, source: str) -> tuple[dict[str, torch.Tensor], list[str]] | None:
        """PP-OCRv6's, where `source` is that bundle."""
        return ppocrv6_weights(source) if self.settings.architecture == "ppocrv6" else None

    def adapt_weights(
        self, network: nn.Module, weights: dict[str, torch.Tensor], labels: list[str] | None, source: str
    ) -> tuple[dict[str, torch.Tensor], str]:
        """Fit the last layer to this charset: rows of the characters that both have, and of the blank, are copied; the
        others stay as in `network`."""
        new = list(self.charset.characters)
        own = network.state_dict()
        if _JAMO in own:
            weights = {_JAMO: own[_JAMO]} | weights
        else:
            weights = {name: tensor for name, tensor in weights.items() if name != _JAMO}
        if labels == new:
            return weights, f"{source}: all {len(weights)} tensors loaded, the charset is the same"
        if not labels:
            raise WeightsError(f"{source} does not say its charset; name its run folder or an exported bundle")
        for name in _HEAD:
            if name not in weights or weights[name].shape[0] != len(labels) + 1:
                raise WeightsError(f"weights of {source} have no {name} of {len(labels) + 1} classes, one a label")
            if weights[name].shape[1:] != own[name].shape[1:]:
                return weights, ""  # another architecture: strict loading names the keys
        old = {character: number for number, character in enumerate(labels, start=1)}
        pairs = [(0, 0), *((i, old[c]) for i, c in enumerate(new, start=1) if c in old)]
        targets, sources = (torch.tensor(side) for side in zip(*pairs, strict=True))
        heads = {name: own[name].clone() for name in _HEAD}
        for name, tensor in heads.items():
            tensor[targets] = weights[name][sources].to(tensor.dtype)
        shared = len(pairs) - 1
        message = (
            f"{source}: {len(weights) - len(_HEAD)} tensors loaded, all but the last layer ({', '.join(_HEAD)}): "
            f"the charset is another one. {shared:,} of its {len(new):,} characters and the blank were carried over, "
            f"{len(new) - shared:,} start from random weights, {len(labels) - shared:,} of the old are gone. "
            "Accuracy starts near zero where lines hold new characters; that is normal and passes with training"
        )
        return weights | heads, message

    def export(self) -> Export:
        example = torch.randn(2, 3, self.form.height, 160)
        return Export({"image": example}, ["probabilities"], {"image": {3: "width"}})

    def card_fields(self) -> CardFields:
        settings = self.settings
        blocks = ["TPS"] * settings.tps + [settings.features] + ["BiLSTM"] * (settings.sequence == "bilstm")
        architecture = {
            "crnn": "-".join([*blocks, "CTC"]),
            "svtr": "SVTR-LCNet (CTC)",
            "ppocrv6": f"PP-OCRv6 small, {settings.height} px, a step {settings.step} px (CTC)",
        }[settings.architecture]
        return CardFields(
            architecture=f"{architecture}, charset {self.charset.name}",
            input=self.form.model_dump(),
            decoding=CTCDecoding(language=settings.language).model_dump(exclude_none=True),
            labels=list(self.charset.characters),
            files={FILE: language_model_file(settings.language_model)} if settings.language_model else {},
        )

    def _sample(self, image: np.ndarray, classes: np.ndarray, text: str, weight: float) -> Sample:
        strip = resize_to_height(image, self.form.height, self.form.max_width)
        points = np.array([ord(character) for character in text], np.int32)
        return {"image": strip, "classes": classes, "text": points, "weight": np.float32(weight)}

    def _strips(self, image: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
        """Normalised, with zeros beyond each strip's own width, as the predictor pads."""
        inside = torch.arange(image.shape[3], device=image.device) < width[:, None]
        strips = (image.float() - self.form.mean) / self.form.std * inside[:, None, None, :]
        return strips.contiguous(memory_format=torch.channels_last)


def ppocrv6_weights(source: str) -> tuple[dict[str, torch.Tensor], list[str]] | None:
    """Weights and characters of PaddleOCR's published recogniser, where `source` is its bundle; else None."""
    try:
        bundle = load_bundle(source, RecognitionTask.bundle_task)
    except BundleError:
        return None
    if bundle.card.architecture != _PUBLISHED:
        return None
    return published_weights(bundle.network), bundle_characters(bundle)


def width_groups(widths: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the indices of strips in groups of similar widths, always the same number of groups: workers that
    normalise together (SyncBatchNorm) must call the network equally often."""
    order = torch.argsort(widths, stable=True)
    return torch.tensor_split(order, max(1, min(_GROUPS, len(widths) // _LEAST_GROUP)))


def padded_rows(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of several lengths in one array, zeros behind them; one column at the least."""
    array = np.zeros((len(rows), max(1, *map(len, rows))), rows[0].dtype)
    for target, row in zip(array, rows, strict=True):
        target[: len(row)] = row
    return array
