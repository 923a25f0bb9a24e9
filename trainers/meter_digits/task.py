"""Training of the digit network: flat strips of displays to digits.

Strips come from three kinds of samples: rendered ones, whose digits are known to the pixel; photos with a reading
alone, which CTC learns from, trying all numbers of leading zeros where they were dropped; and crops of single digits,
several of which are set side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from models.bundle import Bundle
from models.geometry import map_points, quad_size
from models.meter.reading import to_reading
from models.meter_digits.network import DigitNet
from models.meter_digits.predictor import BLANK, LABELS, STEP, DigitDecoding, StripDigit, decode
from models.meter_digits.preprocess import StripInput, cut_strip, padded, padded_width
from trainers.core.task import Batch, CardFields, Evaluated, Export, Sample, Split, Task, TaskSettings
from trainers.data.meter_sample import MeterDigit, MeterSample
from trainers.meter.augmentation import augment_photo
from trainers.meter.metrics import ReadMeter, reading_metrics
from trainers.meter.report import write_meter_report
from trainers.meter.source import MeterShardsSettings, MeterSource
from trainers.meter_digits.targets import UNTAUGHT, column_targets, reading_labels
from trainers.recognition.task import padded_rows, ppocrv6_weights

# CTC alone takes long to leave its first answer, blanks everywhere; columns whose digit is known lead it out.
_CTC_WEIGHT, _COLUMN_WEIGHT, _BOX_WEIGHT, _POSITION_WEIGHT = 0.5, 2.0, 1.0, 1.0
_USUAL_PLACES = 8  # the loss of a display is about that of so many digits
_OUTPUTS = ("head.", "box.", "position.")
_SEVERAL = (3, 9)  # crops of single digits in one strip
_TURNED = 0.8  # of a turn from which a wheel among others counts as its next digit
_FIRM = 0.5  # of a position, from which it says more than the character: LCD digits have none


class MeterDigitsSettings(TaskSettings):
    """Settings of `MeterDigitsTask`.

    Attributes:
        backbone_rate: learning rate of the backbone, in units of `train.lr`: it starts from published weights.
        jitter: how far the display's corners miss in training, in heights of the display (standard deviation); about as
            far as the screen network does.
        augmentation: 0..1, share of training strips in another light, see `augment_photo`.
    """

    backbone_rate: float = Field(default=0.3, ge=0, le=1)
    jitter: float = Field(default=0.11, ge=0, le=0.5)
    augmentation: float = Field(default=0.7, ge=0, le=1)


class MeterDigitsTask(Task[MeterDigitsSettings, MeterSource]):
    """See the module's text."""

    name = "meter_digits"
    Settings = MeterDigitsSettings
    source_kinds = (MeterShardsSettings,)
    validation_settings = frozenset()
    best_metric = "recognition_rate"

    def __init__(self, settings: MeterDigitsSettings, sources: Mapping[str, MeterSource], seed: int):
        super().__init__(settings, sources, seed)
        self.sure: float | None = None  # None: fitted to what is measured
        self.form = StripInput(
            colour="BGR",  # as the published weights take it
            mean=127.5,
            std=127.5,
            height=48,
            display=40,
            margin=12,
            # Counters have narrow digits close together, and CTC needs a column between two that are the same.
            stretch=1.6,
            min_width=96,
            max_width=320,
            width_step=32,
        )

    def network(self) -> nn.Module:
        network = DigitNet(1 + len(LABELS))
        if not self.settings.backbone_rate:
            network.backbone.requires_grad_(False)
        # Convolutions of few channels run about twice as fast on CPUs with channels last.
        return network.to(memory_format=torch.channels_last)

    def sample(self, index: int, split: Split) -> Sample:
        """`image` uint8 [height, width, 3] RGB. In training `labels` int64 [hypotheses, places] padded with 0 and
        `lengths` int64 [hypotheses]: what the strip may say; `sides` float32: 0 where it is not known which places are
        behind the point; and what `column_targets` gives. In validation `reading` int32 [places] code points, `exact`
        (its leading zeros are all there), `single` (a crop of one digit)."""
        rng = self.rng(split, index)
        source = self.sources[split]
        sample = source.meter(index)
        single = _is_single(sample)
        if split == "validation":
            strip, _ = cut_strip(sample.image, _corners(sample), self.form)
            reading = _nearest(sample.digits[0]) if single and sample.digits else sample.reading or ""
            flags = {"exact": np.bool_(sample.leading_zeros), "single": np.bool_(single)}
            return {"image": strip, "reading": np.array([ord(c) for c in reading], np.int32)} | flags
        if single:
            mates = [source.meter(int(rng.integers(2**31))) for _ in range(int(rng.integers(*_SEVERAL)) - 1)]
            sample = side_by_side([sample, *(mate for mate in mates if _is_single(mate))], rng, self.form.height)
        corners = jittered(_corners(sample), rng, self.settings.jitter)
        strip, matrix = cut_strip(sample.image, corners, self.form)
        strip = augment_photo(strip, rng, self.settings.augmentation)
        columns = -(-strip.shape[1] // STEP)
        digits = sample.digits or ()
        marked = [digit.box for digit in digits if digit.box is not None]
        boxed = bool(digits) and len(marked) == len(digits)
        boxes = np.array([_around(map_points(matrix, box)) for box in marked]) if boxed else np.zeros((0, 4))
        taught = column_targets(digits if boxed else (), boxes, columns, self.form.height)
        labels = reading_labels(_reading(sample), sample.leading_zeros)
        padded_labels = padded_rows([np.array(label, np.int64) for label in labels])
        lengths = np.array([len(label) for label in labels])
        sides = {"sides": np.float32(not single)}
        return {"image": strip, "labels": padded_labels, "lengths": lengths} | vars(taught) | sides

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Images are padded to the widest; `columns` int64 [batch] are the strips' own. `labels` [hypotheses, places]
        and `lengths` of all strips stand below each other, `owner` int64 [hypotheses] says whose they are."""
        widths = [sample["image"].shape[1] for sample in samples]
        widest = padded_width(max(widths), self.form)
        batch = {
            "image": np.stack([padded(sample["image"], widest) for sample in samples]),
            "columns": np.array([-(-width // STEP) for width in widths]),
        }
        if "reading" in samples[0]:
            batch["reading"] = padded_rows([sample["reading"] for sample in samples])
            batch |= {name: np.array([sample[name] for sample in samples]) for name in ("exact", "single")}
        else:
            batch["labels"] = padded_rows([row for sample in samples for row in sample["labels"]])
            batch["lengths"] = np.concatenate([sample["lengths"] for sample in samples])
            batch["owner"] = np.repeat(np.arange(len(samples)), [len(sample["lengths"]) for sample in samples])
            batch["sides"] = np.array([sample["sides"] for sample in samples])
            empty = {"classes": UNTAUGHT, "box": np.nan, "position": np.nan}
            for name, filler in empty.items():
                rows = [sample[name] for sample in samples]
                array = np.full((len(rows), widest // STEP, *rows[0].shape[1:]), filler, rows[0].dtype)
                for target, row in zip(array, rows, strict=True):
                    target[: len(row)] = row
                batch[name] = array
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        logits, box, position = (output.float() for output in network(self._normalised(batch["image"])))
        log = functional.log_softmax(logits, dim=2)
        # Where the side of the point is not known, a digit is right on either side.
        known = batch["sides"] > 0
        log = torch.where(known[:, None, None], log, _either_side(log))
        owner, lengths = batch["owner"], batch["lengths"]
        losses = functional.ctc_loss(
            log.transpose(0, 1)[:, owner],
            batch["labels"],
            batch["columns"][owner],
            lengths,
            blank=BLANK,
            reduction="none",
            zero_infinity=True,
        )
        # A strip says one of its labels: their probabilities add up. One without a path has loss 0, and no say.
        score = torch.where(losses > 0, -losses, torch.full_like(losses, -1e4))
        total = torch.full((len(known), int(torch.bincount(owner).max())), -1e4, device=score.device)
        place = torch.arange(len(owner), device=owner.device) - torch.searchsorted(owner, owner)
        total = total.index_put((owner, place), score)
        likely = torch.logsumexp(total, dim=1)
        ctc = torch.where(likely > -5e3, -likely, 0.0).mean() / _USUAL_PLACES
        column = functional.nll_loss(log.transpose(1, 2), batch["classes"], ignore_index=UNTAUGHT, reduction="sum")
        column = column / (batch["classes"] != UNTAUGHT).sum().clamp(min=1)
        box_loss = _where_known(functional.smooth_l1_loss, functional.softplus(box), batch["box"], beta=0.05)
        position_loss = _where_known(functional.mse_loss, position, batch["position"])
        loss = _CTC_WEIGHT * ctc + _COLUMN_WEIGHT * column + _BOX_WEIGHT * box_loss + _POSITION_WEIGHT * position_loss
        parts = {"ctc": ctc, "column": column, "box": box_loss, "position": position_loss}
        return loss, {name: value.detach() for name, value in parts.items()}

    def predict(self, network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        """Return `true` and `read` (strings; for single crops the middle digit, see `nearest_digit`), `confidence` (of
        the least confident place), `exact` and `single` (bool), each [batch]."""
        outputs = [output.cpu().numpy() for output in network(self._normalised(batch["image"]))]
        columns = batch["columns"].tolist()
        read, confidence = [], []
        for index, count in enumerate(columns):
            classes, box, position = (output[index, :count] for output in outputs)
            places = decode(classes, box, position, self.form)
            if batch["single"][index] and places:
                middle = count * STEP / 2
                place = min(places, key=lambda place: abs((place.box[0] + place.box[2]) / 2 - middle))
                places = [replace(place, character=nearest_digit(place))]
            reading = to_reading(places, DigitDecoding(readable=0))
            text = reading.text.replace(".", "") if batch["single"][index] else reading.text
            read.append(text)
            confidence.append(reading.confidence)
        true = ["".join(map(chr, row[row > 0])) for row in batch["reading"].cpu().numpy()]
        flags = {name: batch[name].cpu().numpy() for name in ("exact", "single")}
        return {
            "true": np.array(true, object),
            "read": np.array(read, object),
            "confidence": np.array(confidence),
        } | flags

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        return reading_metrics(predictions, sure=self.sure)

    def write_report(
        self, folder: Path, evaluated: Evaluated, predictions: dict[str, np.ndarray], pictures: int
    ) -> str:
        sure = evaluated.metrics.get("sure", 0.0)
        rows = zip(*(predictions[name] for name in ("true", "read", "confidence", "exact")), strict=True)
        meters = [
            ReadMeter(
                name=self.sources["validation"].name(index),
                photo=partial(self._picture, index),
                truth=true,
                leading_zeros=bool(exact),
                reading=read,
                success=bool(confidence >= sure),
            )
            for index, (true, read, confidence, exact) in enumerate(rows)
        ]
        return write_meter_report(folder, meters, evaluated.model, evaluated.data, pictures)

    def fitted_decoding(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        return {"sure": metrics["sure"]} if "sure" in metrics else {}

    def decode_as(self, bundle: Bundle, refit: bool) -> None:
        self.sure = None if refit else bundle.card.decoding.get("sure")

    def rate_factors(self) -> dict[str, float]:
        return {"backbone.": self.settings.backbone_rate}

    def published_weights(self, source: str) -> tuple[dict[str, torch.Tensor], list[str]] | None:
        """PP-OCRv6's recogniser, where `source` is that bundle."""
        return ppocrv6_weights(source)

    def adapt_weights(
        self, network: nn.Module, weights: dict[str, torch.Tensor], labels: list[str] | None, source: str
    ) -> tuple[dict[str, torch.Tensor], str]:
        """Return a text recogniser's weights without its last layer."""
        if labels == list(LABELS):
            return weights, f"{source}: all {len(weights)} tensors loaded"
        own = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(_OUTPUTS)}
        kept = {name: tensor for name, tensor in weights.items() if not name.startswith(_OUTPUTS)}
        return own | kept, f"{source}: {len(kept)} tensors loaded; the outputs ({', '.join(_OUTPUTS)}) start anew"

    def export(self) -> Export:
        example = {"image": torch.randn(2, 3, self.form.height, 288)}
        return Export(example, ["classes", "box", "position"], {"image": {3: "width"}})

    def card_fields(self) -> CardFields:
        return CardFields(
            architecture="DigitNet: PP-OCRv6 small, 48 px (CTC)",
            input=self.form.model_dump(),
            decoding=DigitDecoding().model_dump(),
            labels=list(LABELS),
        )

    def _picture(self, index: int) -> np.ndarray:
        return self.sample(index, "validation")["image"]

    def _normalised(self, image: torch.Tensor) -> torch.Tensor:
        pixels = (image.flip(3).permute(0, 3, 1, 2).float() - self.form.mean) / self.form.std  # BGR
        return pixels.contiguous(memory_format=torch.channels_last)


def jittered(corners: np.ndarray, rng: np.random.Generator, jitter: float) -> np.ndarray:
    """Corners [4, 2] as a screen network may miss them, by `jitter` heights of the display (standard deviation)."""
    height = min(quad_size(corners))
    middle = corners.mean(axis=0)
    wider = (corners - middle) * (1 + rng.normal(0.02, jitter / 2)) + middle
    return (wider + rng.normal(0, jitter * height, (4, 2))).astype(np.float32)


def side_by_side(crops: Sequence[MeterSample], rng: np.random.Generator, height: int) -> MeterSample:
    """Return a display `height` px high made of crops of single digits, at random distances. Each keeps its wheel's
    position, and counts as the next digit from _TURNED of a turn on."""
    pictures = [
        cv2.resize(c.image, (max(8, round(c.image.shape[1] / c.image.shape[0] * height)), height)) for c in crops
    ]
    usual = float(np.mean([picture.shape[1] for picture in pictures]))
    gap = round(usual * rng.uniform(0, 0.35))
    filler = pictures[int(rng.integers(len(pictures)))][:, :1]
    parts, digits, left = [], [], 0
    for picture, crop in zip(pictures, crops, strict=True):
        right = left + picture.shape[1]
        box = np.array([[left, 0], [right, 0], [right, height], [left, height]], np.float32)
        if not crop.digits:
            raise ValueError("a crop of a single digit has no label")
        digit = crop.digits[0]
        shown = digit.character if digit.position is None else _turned(digit.position, _TURNED)
        digits.append(MeterDigit(shown, digit.position, box))
        parts += [picture, np.repeat(filler, gap, axis=1)]
        left = right + gap
    image = np.concatenate(parts[:-1] if gap else parts, axis=1)
    width = image.shape[1]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return replace(crops[0], image=image, corners=corners, digits=tuple(digits), leading_zeros=True, reading=None)


def nearest_digit(place: StripDigit) -> str:
    """Return the digit that a place shows on its own: of a wheel the nearest digit, whatever its neighbours imply (9.8
    on the way to 0 counts as 9 in a counter whose next wheel has not turned, but shows 0)."""
    return _turned(place.position, 0.5) if place.firmness >= _FIRM else place.character


def _nearest(digit: MeterDigit) -> str:
    return digit.character if digit.position is None else _turned(digit.position, 0.5)


def _turned(position: float, share: float) -> str:
    """Return the digit of a wheel that counts as the next one from `share` of the turn on."""
    return str(int(position + 1 - share) % 10)


def _is_single(sample: MeterSample) -> bool:
    return sample.kind == "strip" and sample.digits is not None and len(sample.digits) == 1


def _corners(sample: MeterSample) -> np.ndarray:
    if sample.corners is not None:
        return sample.corners
    height, width = sample.image.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


def _reading(sample: MeterSample) -> str:
    if sample.reading is not None or not sample.digits:
        return sample.reading or ""
    before = "".join(digit.character for digit in sample.digits if not digit.fraction)
    behind = "".join(digit.character for digit in sample.digits if digit.fraction)
    return f"{before}.{behind}" if behind else before


def _around(quad: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom of a (4, 2) quad."""
    return np.concatenate([quad.min(axis=0), quad.max(axis=0)])


def _either_side(log: torch.Tensor) -> torch.Tensor:
    """Log probabilities [..., 1 + LABELS] with both classes of a digit holding what the two have together."""
    both = torch.logaddexp(log[..., 1:11], log[..., 11:21])
    return torch.cat([log[..., :1], both, both, log[..., 21:]], dim=-1)


def _where_known(loss, output: torch.Tensor, truth: torch.Tensor, **how) -> torch.Tensor:
    known = torch.isfinite(truth)
    losses = loss(output, truth.nan_to_num(), reduction="none", **how)
    return (losses * known).sum() / known.sum().clamp(min=1)
