"""Training of the skew network: upright pages turned by a known angle.

Loss: cross-entropy against a Gaussian on the circle of angle bins (the source system's focal loss over hard buckets
knows no neighbours, and its buckets' edges cost accuracy).
"""

from typing import Literal

import numpy as np
import torch
from pydantic import Field

from models.deskew import preprocess
from models.deskew.network import DeskewNet
from models.deskew.predictor import DeskewDecoding, decode
from models.geometry import fit_within, turn
from trainers.core.task import Batch, CardFields, Export, Sample, Split, Task, TaskSettings
from trainers.pages.augmentation import random_crop, turn_with_surroundings
from trainers.pages.metrics import angle_errors, bucket_centres, bucket_f1
from trainers.pages.source import PAGE_SOURCES, PageSource
from trainers.render import degrade

VALIDATION_LONG_SIDE = 1600
VALIDATION_DAMAGE = 0.7  # share of damaged pages, whatever is trained on: trainings are compared by it


class DeskewSettings(TaskSettings):
    """Settings of `DeskewTask`.

    Attributes:
        range_degrees: pages are turned by up to so much either way; 45 folds right angles together.
        width: see `DeskewNet`.
        target_sigma: degrees; spread of the target round the truth.
        damage: share of training pages that are damaged after the turn.
        long_side: (least, most) px that training pages are reduced to before they are turned.
    """

    range_degrees: Literal[45, 89, 90] = 90
    width: int = Field(default=16, ge=4)
    target_sigma: float = Field(default=0.3, gt=0)
    damage: float = Field(default=0.7, ge=0, le=1)
    long_side: tuple[int, int] = (600, 1600)


class DeskewTask(Task[DeskewSettings, PageSource]):
    """See the module's text."""

    name = "deskew"
    Settings = DeskewSettings
    source_kinds = PAGE_SOURCES
    validation_settings = frozenset({"range_degrees"})
    best_metric = "within_0.5"

    def network(self) -> torch.nn.Module:
        # Convolutions of few channels run about twice as fast on CPUs with channels last.
        return DeskewNet(self.settings.width).to(memory_format=torch.channels_last)

    def sample(self, index: int, split: Split) -> Sample:
        """`spectrum` float32 [ANGLES, BANDS], `degrees` float32, `weight` float32 (0: a page cut down to nothing)."""
        rng = self.rng(split, index)
        page = self.sources[split].page(index)
        page, degrees = self._train_turn(page, rng) if split == "train" else self._validation_turn(page, rng)
        if rng.random() < (self.settings.damage if split == "train" else VALIDATION_DAMAGE):
            page = degrade(page, rng)
        degrees += self.sources[split].skew_degrees(index)
        spectrum = preprocess.polar_spectrum(page)
        blank = spectrum is None
        if blank:
            spectrum = np.zeros((preprocess.ANGLES, preprocess.BANDS), np.float32)
        return {"spectrum": spectrum, "degrees": np.float32(degrees), "weight": np.float32(not blank)}

    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        logits = network(batch["spectrum"]).float()
        target = soft_target(batch["degrees"], self.settings.target_sigma, self.settings.range_degrees)
        if self.settings.range_degrees == 45:
            logits = torch.logsumexp(logits.unflatten(1, (2, -1)), dim=1)
        entropy = -(target * torch.log_softmax(logits, dim=1)).sum(dim=1)
        accuracy = (logits.argmax(1) == target.argmax(1)).float().mean()
        return (entropy * batch["weight"]).mean(), {"bin_accuracy": accuracy}

    def predict(self, network: torch.nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        degrees, confidence = decode(network(batch["spectrum"]).float().cpu().numpy(), self.settings.range_degrees)
        return {"predicted": degrees, "confidence": confidence, "true": batch["degrees"].double().cpu().numpy()}

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """`within_0.5` (share), `bucket_f1` (macro, buckets of 0.5 degrees), `median_error` (degrees)."""
        true, predicted, reach = predictions["true"], predictions["predicted"], self.settings.range_degrees
        error = angle_errors(predicted, true, period=90 if reach == 45 else 180)
        return {
            "within_0.5": float((error <= 0.5).mean()),
            "bucket_f1": bucket_f1(true, predicted, reach),
            "median_error": float(np.median(error)),
        }

    def export(self) -> Export:
        return Export({"spectrum": torch.randn(2, preprocess.ANGLES, preprocess.BANDS)}, ["logits"])

    def card_fields(self) -> CardFields:
        return CardFields(
            architecture=f"DeskewNet width {self.settings.width} on the polar power spectrum",
            input=preprocess.DeskewInput().model_dump(),
            decoding=DeskewDecoding(range_degrees=self.settings.range_degrees).model_dump(),
        )

    def _train_turn(self, page: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        page = fit_within(page, int(rng.integers(*self.settings.long_side, endpoint=True)))
        if rng.random() < 0.25:
            page = random_crop(page, rng)
        degrees = float(rng.uniform(-self.settings.range_degrees, self.settings.range_degrees))
        return turn_with_surroundings(page, degrees, rng), degrees

    def _validation_turn(self, page: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Return the whole page on its own background colour, rotated to a bucket's centre, as the source system was
        measured."""
        centres = bucket_centres(self.settings.range_degrees)
        degrees = float(centres[rng.integers(len(centres))])
        return turn(fit_within(page, VALIDATION_LONG_SIDE), degrees), degrees


def soft_target(degrees: torch.Tensor, sigma: float, range_degrees: int) -> torch.Tensor:
    """[batch] degrees → [batch, ANGLES] (half of them for range 45): a Gaussian on the circle of bins, summing to 1."""
    centres = torch.as_tensor(preprocess.bin_centres(), dtype=degrees.dtype, device=degrees.device)
    period = 180
    if range_degrees == 45:
        centres, period = centres[: preprocess.ANGLES // 2], 90
    distance = torch.remainder(centres - degrees[:, None] + period / 2, period) - period / 2
    weight = torch.exp(-0.5 * (distance / sigma) ** 2)
    return weight / weight.sum(dim=1, keepdim=True)
