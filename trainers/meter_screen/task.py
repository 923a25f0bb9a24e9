"""Training of the screen network: photos of meters to the display's corners in reading order and its class."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from models.meter_screen.network import ScreenNet
from models.meter_screen.predictor import STRIDE, ScreenDecoding, find
from models.meter_screen.preprocess import ScreenInput, to_canvas
from trainers.core.task import Batch, CardFields, Evaluated, Export, Sample, Split, Task, TaskSettings
from trainers.data.meter_sample import METER_CLASSES, MeterSample
from trainers.detection.task import ppocrv6_weights
from trainers.meter.augmentation import augment_photo
from trainers.meter.metrics import ReadMeter, screen_metrics
from trainers.meter.report import write_meter_report
from trainers.meter.source import MeterShardsSettings, MeterSource
from trainers.meter_screen.targets import Views, hidden, targets, view

CLASSES = tuple(name for name in METER_CLASSES if name != "none")
NONE = -1  # class index of a photo without a display
_PHOTO_SIDE = 960  # px; validation photos are looked at in this size
_CORNER_WEIGHT, _CLASS_WEIGHT = 2.0, 0.5


class MeterScreenSettings(TaskSettings):
    """Settings of `MeterScreenTask`.

    Attributes:
        long_side: px that photos are read at, at first; see `ScreenInput`.
        view_side: px, side of the views trained on.
        backbone_rate: learning rate of the backbone, in units of `train.lr`: it starts from published weights.
        turned, hidden: see `Views`.
        augmentation: 0..1, share of training views in another light, see `augment_photo`.
    """

    long_side: int = Field(default=288, ge=64, multiple_of=32)
    view_side: int = Field(default=320, ge=64, multiple_of=32)
    backbone_rate: float = Field(default=0.3, gt=0, le=1)
    turned: float = Field(default=0.3, ge=0, le=1)
    hidden: float = Field(default=0.08, ge=0, le=1)
    augmentation: float = Field(default=0.8, ge=0, le=1)


class MeterScreenTask(Task[MeterScreenSettings, MeterSource]):
    """See the module's text."""

    name = "meter_screen"
    Settings = MeterScreenSettings
    source_kinds = (MeterShardsSettings,)
    validation_settings = frozenset({"long_side"})
    best_metric = "quad_iou"  # the share found is 1 too soon to tell weights apart

    def __init__(self, settings: MeterScreenSettings, sources: Mapping[str, MeterSource], seed: int):
        super().__init__(settings, sources, seed)
        self.form = ScreenInput(colour="BGR", mean=127.5, std=127.5, long_side=settings.long_side)
        side = settings.view_side
        self.views = Views(settings.turned, (0.11 * side, 0.9 * side), settings.hidden)

    def network(self) -> nn.Module:
        network = ScreenNet(len(CLASSES))
        # Convolutions of few channels run about twice as fast on CPUs with channels last.
        return network.to(memory_format=torch.channels_last)

    def sample(self, index: int, split: Split) -> Sample:
        """`image` uint8 [view_side, view_side, 3] RGB; `label` int64: the class, or NONE; in training what `targets`
        gives. In validation the image is `_PHOTO_SIDE` wide and high, of which the photo takes up `size` int64 (height,
        width), and `corners` are float32 [4, 2] px of it (zeros where there is no display)."""
        rng = self.rng(split, index)
        sample = self.sources[split].meter(index)
        side = self.settings.view_side
        if split == "validation":
            # Larger than the network sees it first: displays are looked at once more, from close by.
            canvas, scale = to_canvas(sample.image, _PHOTO_SIDE)
            image = np.zeros((_PHOTO_SIDE, _PHOTO_SIDE, 3), np.uint8)
            image[: canvas.shape[0], : canvas.shape[1]] = canvas
            corners = np.zeros((4, 2)) if sample.corners is None else sample.corners * scale
            size = np.rint(np.array(sample.image.shape[:2]) * scale).astype(np.int64)
            return {"image": image, "size": size, "corners": corners.astype(np.float32), "label": _label(sample)}
        sample = view(sample, rng, side, self.views)
        legible = sample.corners is not None and sample.meter_class in ("analog", "digital")
        if legible and rng.random() < self.views.hidden:
            sample = hidden(sample, rng)
        sample = replace(sample, image=augment_photo(sample.image, rng, self.settings.augmentation))
        cells = side // STRIDE
        return {"image": sample.image, "label": _label(sample)} | targets(sample.corners, cells, cells)

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        presence, kind, corners = (output.float() for output in network(self._normalised(batch["image"])))
        presence_loss = presence_losses(presence, batch["presence"])
        near = batch["near"]  # [batch, 8, rows, columns]
        directed = near[:, None] * (batch["presence"] != 0)[:, :, None]  # [batch, directions, 8, rows, columns]
        off = functional.smooth_l1_loss(
            corners.unflatten(1, directed.shape[1:3]),
            batch["offsets"][:, None].expand_as(directed),
            reduction="none",
            beta=0.05,
        )
        corner_loss = (off * directed).sum() / directed.sum().clamp(min=1)
        inside = near[:, 0] > 0
        label = batch["label"][:, None, None].expand_as(inside).where(inside, NONE)
        kind_loss = functional.cross_entropy(kind, label, ignore_index=NONE, reduction="sum") / inside.sum().clamp(
            min=1
        )
        loss = presence_loss + _CORNER_WEIGHT * corner_loss + _CLASS_WEIGHT * kind_loss
        return loss, {"presence": presence_loss.detach(), "corner": corner_loss.detach(), "kind": kind_loss.detach()}

    def predict(self, network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        """`found`, `corners` float32 [batch, 4, 2] px (zeros: none), `found_label`, `label` int64 (NONE: none)."""
        device = batch["image"].device

        def cells(canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            outputs = network(self._normalised(torch.from_numpy(canvas[None]).to(device)))
            presence, kinds, corners = (output[0].cpu().numpy() for output in outputs)
            return presence, kinds, corners

        found = np.zeros((len(batch["image"]), 4, 2), np.float32)
        labels = np.full(len(found), NONE)
        sizes = batch["size"].tolist()
        for index, (image, (height, width)) in enumerate(zip(batch["image"].cpu().numpy(), sizes, strict=True)):
            if screens := find(image[:height, :width], cells, self.form, list(CLASSES), ScreenDecoding()):
                found[index], labels[index] = screens[0].corners, CLASSES.index(screens[0].meter_class)
        truth = {name: batch[name].cpu().numpy() for name in ("corners", "label")}
        return {"found": found, "found_label": labels} | truth

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        return screen_metrics(predictions)

    def write_report(
        self, folder: Path, evaluated: Evaluated, predictions: dict[str, np.ndarray], pictures: int
    ) -> str:
        rows = zip(*(predictions[name] for name in ("corners", "label", "found", "found_label")), strict=True)
        meters = [
            ReadMeter(
                name=self.sources["validation"].name(index),
                photo=partial(self._picture, index),
                corners=corners if corners.any() else None,
                meter_class=_class_name(label),
                found_corners=found if found.any() else None,
                found_class=_class_name(found_label),
            )
            for index, (corners, label, found, found_label) in enumerate(rows)
        ]
        return write_meter_report(folder, meters, evaluated.model, evaluated.data, pictures)

    def rate_factors(self) -> dict[str, float]:
        return {"backbone.": self.settings.backbone_rate}

    def published_weights(self, source: str) -> tuple[dict[str, torch.Tensor], list[str]] | None:
        """Return the backbone of PP-OCRv6's text detector, if `source` is that bundle."""
        weights = ppocrv6_weights(source)
        if weights is None:
            return None
        return {name: tensor for name, tensor in weights.items() if name.startswith("backbone.")}, []

    def adapt_weights(
        self, network: nn.Module, weights: dict[str, torch.Tensor], labels: list[str] | None, source: str
    ) -> tuple[dict[str, torch.Tensor], str]:
        """Return only the backbone of a text detector; everything else starts anew."""
        fresh = {name: tensor for name, tensor in network.state_dict().items() if name not in weights}
        if not fresh:
            return weights, f"{source}: all {len(weights)} tensors loaded"
        return weights | fresh, f"{source}: {len(weights)} tensors loaded; all but the backbone starts anew"

    def export(self) -> Export:
        side = self.settings.view_side
        # The network's loops over the pyramid need fixed ratios: sides stay multiples of 32 (see `to_canvas`).
        axes = {"image": {2: "height", 3: "width"}}
        return Export({"image": torch.randn(2, 3, side, side)}, ["presence", "kind", "corners"], axes)

    def card_fields(self) -> CardFields:
        return CardFields(
            architecture="ScreenNet: PP-OCRv6 small text detection's backbone, display corners by reading direction",
            input=self.form.model_dump(),
            decoding=ScreenDecoding().model_dump(),
            labels=list(CLASSES),
        )

    def _picture(self, index: int) -> np.ndarray:
        sample = self.sample(index, "validation")
        return sample["image"][: sample["size"][0], : sample["size"][1]]

    def _normalised(self, image: torch.Tensor) -> torch.Tensor:
        pixels = (image.flip(3).permute(0, 3, 1, 2).float() - self.form.mean) / self.form.std  # BGR
        return pixels.contiguous(memory_format=torch.channels_last)


def presence_losses(logits: torch.Tensor, presence: torch.Tensor) -> torch.Tensor:
    """CenterNet's focal loss: the more a cell's truth falls short of 1, the less it counts as wrong to see a display
    there; by the photo's number of full cells. Cells of truth -1 do not count."""
    probability = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    full = (presence > 0.8).float()
    seen = full * presence * (1 - probability) ** 2 * torch.log(probability)
    unseen = (
        (presence >= 0) * (1 - full) * (1 - presence.clamp(min=0)) ** 4 * probability**2 * torch.log1p(-probability)
    )
    return -(seen + unseen).sum() / full.sum().clamp(min=1)


def _class_name(label: int) -> str:
    return "none" if label == NONE else CLASSES[label]


def _label(sample: MeterSample) -> np.int64:
    named = sample.meter_class in CLASSES
    return np.int64(CLASSES.index(sample.meter_class) if named else NONE)
