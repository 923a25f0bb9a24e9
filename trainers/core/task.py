"""What a task brings to the training loop.

A task is everything that is particular to one model: the network, the samples, the loss, the metrics and what the
exported bundle's card says. The loop (`trainers/core/loop.py`) brings everything else.

Samples are a pure function of (seed, split, index). So the stream of batches is the same for any number of workers,
with or without Ray, and after any resume; a sample must not read a clock, a global random generator or earlier samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import nn

from common.config import Settings
from models.bundle import Bundle
from trainers.core.source import SourceSettings
from trainers.data.splits import Split

Batch = dict[str, torch.Tensor]
Sample = dict[str, Any]
"""Arrays or NumPy scalars by name, without the batch axis."""
_SPLIT_NUMBER = {"train": 0, "validation": 1}


class TaskSettings(Settings):
    """Base of a task's own settings (the `settings:` block of a training config)."""


SettingsT = TypeVar("SettingsT", bound=TaskSettings)
SourceT = TypeVar("SourceT")


@dataclass(frozen=True)
class CardFields:
    """The part of a bundle's card that only the task knows; see `models.bundle.Card`."""

    architecture: str
    input: dict[str, Any]
    decoding: dict[str, Any] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Export:
    """How the network becomes ONNX.

    Attributes:
        example: one float32/uint8 tensor per network input, by forward()'s parameter name, with a batch of 2 or more.
        outputs: names of the outputs, in forward()'s order.
        dynamic: input name → {axis: axis name} for the axes that may vary; axis 0 ("batch") is always dynamic.
        training_only: beginnings of the names of weights that forward() uses in training alone; they are not exported.
    """

    example: dict[str, torch.Tensor]
    outputs: list[str]
    dynamic: dict[str, dict[int, str]] = field(default_factory=dict)
    training_only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluated:
    """What was measured, for a task's report.

    Attributes:
        model: `name@version` of a bundle, else the run's or checkpoint's path.
        data: the validation source in words.
        metrics: as `Task.metrics` gave them.
        decoding: the bundle's decoding parameters; empty for a run or a checkpoint.
    """

    model: str
    data: str
    metrics: Mapping[str, float]
    decoding: Mapping[str, Any] = field(default_factory=dict)


class Task(ABC, Generic[SettingsT, SourceT]):
    """One trainable model, with its settings and the source of its samples: `Task[DeskewSettings, PageSource]`.

    Attributes:
        name: the task's name in configs and cards (`deskew`).
        bundle_task: the task's name in cards, where the predictor knows it by another one.
        Settings: the class of `settings`.
        source_kinds: the kinds of source that `data.train` and `data.validation` may be; none (the default): the task
            makes its samples itself.
        validation_settings: the settings on which validation samples depend, so that trainings that differ in others
            can share them; None: on all.
        best_metric: the metric (a key of `metrics()`) by which validated weights are compared; highest wins when
            best_mode is "max".
    """

    name: ClassVar[str]
    bundle_task: ClassVar[str | None] = None
    Settings: ClassVar[type[TaskSettings]] = TaskSettings
    source_kinds: ClassVar[tuple[type[SourceSettings], ...]] = ()
    validation_settings: ClassVar[frozenset[str] | None] = None
    best_metric: ClassVar[str]
    best_mode: ClassVar[Literal["max", "min"]] = "max"

    def __init__(self, settings: SettingsT, sources: Mapping[str, SourceT], seed: int):
        """
        Args:
            settings: an instance of `Settings`.
            sources: split name → opened source; without the splits that the config has no source for.
            seed: of every random choice in `sample`.
        """
        self.settings = settings
        self.sources = sources
        self.seed = seed

    def rng(self, split: Split, index: int) -> np.random.Generator:
        """Return the generator of one sample: the same for the same (seed, split, index)."""
        return np.random.default_rng([self.seed, _SPLIT_NUMBER[split], index])

    @abstractmethod
    def network(self) -> nn.Module:
        """Return a new network with random weights.

        Prefer GroupNorm or LayerNorm: BatchNorm statistics are each worker's own on CPU workers (the loop turns
        BatchNorm into SyncBatchNorm on GPUs), so with it two CPU workers are not quite one worker with the same global
        batch.
        """

    @abstractmethod
    def sample(self, index: int, split: Split) -> Sample:
        """Sample `index` (≥ 0, no upper end) of a split: arrays or NumPy scalars by name, without the batch axis.

        Images are best left uint8 (a quarter of the memory traffic); scale them in the network or in `loss`.
        """

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Combine samples into a batch; by default every field is stacked along a new first axis."""
        return {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss, and named scalars to log (detached tensors; averaged over steps and workers).

        The loss is a mean over the batch's samples: workers average their gradients.
        """

    @abstractmethod
    def predict(self, network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        """Per-sample predictions and truths of one validation batch, each with the batch as its first axis.

        Called without gradients and with the EMA network in eval mode. Keep it small: the loop holds one of these for
        each validation sample, gathers them from all workers in sample order and hands them to `metrics`.
        """

    @abstractmethod
    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        """Metrics of the whole validation set, from the concatenated results of `predict`."""

    def validation_length(self) -> int | None:
        """Return the number of validation samples before they repeat; None (the default) if they never do."""
        return None

    def write_report(
        self, folder: Path, evaluated: Evaluated, predictions: dict[str, np.ndarray], pictures: int
    ) -> str:
        """Write what became of each validation sample, worst first: `report.html` and a log of all samples beside it.
        A task that does not override this has no report.

        Args:
            folder: is made, earlier files in it are replaced.
            predictions: as `metrics` took them: sample i of the validation split is their row i.
            pictures: how many samples, the worst ones, are shown with their images.

        Returns:
            What the folder holds now, in one line.
        """
        raise NotImplementedError(f"task {self.name} has no report")

    def published_weights(self, source: str) -> tuple[dict[str, torch.Tensor], list[str]] | None:
        """Weights and labels of `train.initial_weights` that others trained, under this network's names; None (the
        default) where `source` is a run, a checkpoint or a bundle of ours."""
        return None

    def rate_factors(self) -> dict[str, float]:
        """Beginning of parameters' names → their learning rate in units of `train.lr`; 1 for all others (the default:
        all)."""
        return {}

    def adapt_weights(
        self, network: nn.Module, weights: dict[str, torch.Tensor], labels: list[str] | None, source: str
    ) -> tuple[dict[str, torch.Tensor], str]:
        """Weights of `train.initial_weights` made to fit a network of other labels; by default they stay as they are.

        Args:
            network: newly made; the result is loaded into it strictly.
            labels: what the weights' classes mean (the card's `labels`); None where nothing says so.
            source: for messages.

        Returns:
            The weights to load, and a message for the user; "" for nothing.

        Raises:
            WeightsError: they cannot be made to fit.
        """
        return weights, ""

    def fitted_decoding(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """Return decoding parameters fitted on the validation set: they join `CardFields.decoding` when a run is
        exported.

        Args:
            metrics: of the weights exported, as `metrics` gave them.
        """
        return {}

    def decode_as(self, bundle: Bundle, refit: bool) -> None:
        """Decode predictions as a bundle does, before it is measured. By default there is nothing to take over.

        Args:
            refit: what `fitted_decoding` fits is fitted to the samples; else it too is the bundle's, so that samples
                measure it which did not fit it.
        """

    @abstractmethod
    def export(self) -> Export:
        """Return how to export the network."""

    @abstractmethod
    def card_fields(self) -> CardFields:
        """Return the card's fields for the predictor."""
