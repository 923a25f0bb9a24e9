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

from models.meter.networks import ScreenNet
from models.meter.screen import STRIDE, ScreenDecoding, ScreenInput, decode, to_canvas
from trainers.data.meter_sample import METER_CLASSES, MeterSample
from trainers.data.meters import MeterSource
from trainers.meter_metrics import ReadMeter, screen_metrics
from trainers.meter_screen_targets import Views, hidden, targets, view
from trainers.photo_augmentation import augment_photo
from trainers.report.meters import write_meter_report
from trainers.tasks.base import Batch, CardFields, Evaluated, Export, Split, Task, TaskSettings

CLASSES = tuple(name for name in METER_CLASSES if name != "none")
NONE = -1  # class index of a photo without a display
_CORNER_WEIGHT, _CLASS_WEIGHT = 2.0, 0.5


class MeterScreenSettings(TaskSettings):
    """Settings of `MeterScreenTask`.

    Attributes:
        long_side: px that photos are read at, and the side of the views trained on.
        width: channels of the first convolution; see `ScreenNet`.
        turned, hidden: see `Views`.
        augmentation: 0..1, share of training views in another light, see `augment_photo`.
    """

    long_side: int = Field(default=320, ge=64, multiple_of=32)
    width: int = Field(default=16, ge=4)
    turned: float = Field(default=0.3, ge=0, le=1)
    hidden: float = Field(default=0.08, ge=0, le=1)
    augmentation: float = Field(default=0.8, ge=0, le=1)


class MeterScreenTask(Task):
    """See the module's text."""

    name = "meter_screen"
    Settings = MeterScreenSettings
    validation_settings = frozenset({"long_side"})
    best_metric = "quad_iou_50"

    def __init__(self, settings: MeterScreenSettings, pages: Mapping[str, MeterSource], seed: int):
        super().__init__(settings, pages, seed)
        self.form = ScreenInput(colour="RGB", mean=127.5, std=127.5, long_side=settings.long_side)
        side = settings.long_side
        self.views = Views(settings.turned, (0.16 * side, 0.95 * side), settings.hidden)

    def network(self) -> nn.Module:
        network = ScreenNet(len(CLASSES), self.settings.width)
        # Convolutions of few channels run about twice as fast on CPUs with channels last.
        return network.to(memory_format=torch.channels_last)

    def sample(self, index: int, split: Split) -> dict[str, np.ndarray]:
        """`image` uint8 [long_side, long_side, 3] RGB; `label` int64: the class, or NONE; in training what `targets`
        gives, in validation `corners` float32 [4, 2] px of the image (zeros where there is no display)."""
        rng = self.rng(split, index)
        sample = self.pages[split].meter(index)
        side = self.settings.long_side
        if split == "validation":
            canvas, scale = to_canvas(sample.image, side)
            image = np.full((side, side, 3), 127, np.uint8)
            image[: canvas.shape[0], : canvas.shape[1]] = canvas
            corners = np.zeros((4, 2)) if sample.corners is None else sample.corners * scale
            return {"image": image, "corners": corners.astype(np.float32), "label": _label(sample)}
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
        near = batch["near"]
        directed = (near[:, None] & (batch["presence"] != 0)).float()  # [batch, directions, rows, columns]
        off = functional.smooth_l1_loss(
            corners.unflatten(1, (directed.shape[1], 8)),
            batch["offsets"][:, None].expand(-1, directed.shape[1], -1, -1, -1),
            reduction="none",
            beta=0.05,
        ).mean(dim=2)
        corner_loss = (off * directed).sum() / directed.sum().clamp(min=1)
        label = batch["label"][:, None, None].expand_as(near).where(near, NONE)
        kind_loss = functional.cross_entropy(kind, label, ignore_index=NONE, reduction="sum") / near.sum().clamp(min=1)
        loss = presence_loss + _CORNER_WEIGHT * corner_loss + _CLASS_WEIGHT * kind_loss
        return loss, {"presence": presence_loss.detach(), "corner": corner_loss.detach(), "kind": kind_loss.detach()}

    def predict(self, network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        """`found`, `corners` float32 [batch, 4, 2] px (zeros: none), `found_label`, `label` int64 (NONE: none)."""
        outputs = [output.cpu().numpy() for output in network(self._normalised(batch["image"]))]
        found = np.zeros((len(outputs[0]), 4, 2), np.float32)
        labels = np.full(len(found), NONE)
        for index, cells in enumerate(zip(*outputs, strict=True)):
            if screens := decode(*cells, list(CLASSES), ScreenDecoding()):
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
                name=self.pages["validation"].name(index),
                photo=partial(self._picture, index),
                corners=corners if corners.any() else None,
                meter_class=_class_name(label),
                found_corners=found if found.any() else None,
                found_class=_class_name(found_label),
            )
            for index, (corners, label, found, found_label) in enumerate(rows)
        ]
        return write_meter_report(folder, meters, evaluated.model, evaluated.data, pictures)

    def export(self) -> Export:
        side = self.settings.long_side
        # The network's loops over the pyramid need fixed ratios: sides stay multiples of 32 (see `to_canvas`).
        axes = {"image": {2: "height", 3: "width"}}
        return Export({"image": torch.randn(2, 3, side, side)}, ["presence", "kind", "corners"], axes)

    def card_fields(self) -> CardFields:
        return CardFields(
            architecture=f"ScreenNet width {self.settings.width}",
            input=self.form.model_dump(),
            decoding=ScreenDecoding().model_dump(),
            labels=list(CLASSES),
        )

    def _picture(self, index: int) -> np.ndarray:
        return self.sample(index, "validation")["image"]

    def _normalised(self, image: torch.Tensor) -> torch.Tensor:
        pixels = (image.permute(0, 3, 1, 2).float() - self.form.mean) / self.form.std
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
