"""Measures weights of any task on the validation samples of a config: a run, a checkpoint, or an exported bundle.

Runs and checkpoints are measured with torch, bundles with the inference runtime that the pipelines use. A labelled set
of real pages is measured as the validation source:

    --set 'data.validation={kind: page_shards, at: …, skews: …}'
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.bundle import CARD_FILE, Bundle, Measurement, load_bundle, save_bundle
from trainers.core.checkpoint import WeightsError, load_weights, strict_load
from trainers.core.config import Config, task_class
from trainers.core.feed import PlainFeed, Share
from trainers.core.loop import predictions
from trainers.core.onnx_network import OnnxNetwork
from trainers.core.task import Evaluated, Task


@dataclass(frozen=True)
class Evaluation:
    """Measured weights, with what they made of each sample.

    Attributes:
        samples: how many validation samples were measured.
        predictions: as `Task.predict` gives them, of all samples in order.
    """

    task: Task
    samples: int
    predictions: dict[str, np.ndarray]
    evaluated: Evaluated

    @property
    def metrics(self) -> Mapping[str, float]:
        return self.evaluated.metrics

    def write_report(self, folder: Path, pictures: int = 300) -> str:
        """See `Task.write_report`."""
        return self.task.write_report(folder, self.evaluated, self.predictions, pictures)


def evaluate(reference: str, config: Config) -> dict[str, float]:
    """Evaluate, and return the metrics of `measure`."""
    return dict(measure(reference, config).metrics)


def measure(reference: str, config: Config, *, refit: bool = False) -> Evaluation:
    """Measure `train.validation_samples` validation samples, or all there are where they are fewer.

    Args:
        reference: run folder, checkpoint file, or bundle (name@version, folder, URI).
        refit: fit decoding parameters to these samples, as for a run, in the place of a bundle's own.

    Raises:
        WeightsError: the weights do not fit the config's network, or read other labels than the config's.
        BundleError: no usable bundle, or one of another task.
    """
    # Only the validation source is opened: the training shards may be elsewhere.
    data = config.data.model_copy(update={"train": None})
    task = config.model_copy(update={"data": data}).build_task()
    name, decoding = reference, {}
    if is_bundle(reference):
        bundle = load_bundle(reference, task.bundle_task or task.name)
        _require_labels(bundle, task.card_fields().labels)
        network, device = OnnxNetwork(bundle, list(task.export().example)), torch.device("cpu")
        name, decoding = bundle.name, bundle.card.decoding
        task.decode_as(bundle, refit)
    else:
        network, device = task.network(), torch.device("cuda" if torch.cuda.is_available() else "cpu")
        strict_load(network, load_weights(reference), reference)
    length = task.validation_length()
    samples = min(config.train.validation_samples, length or config.train.validation_samples)
    feed = PlainFeed(task, Share(config.train.global_batch, samples), processes=config.data.processes)
    predicted = predictions(task, network.to(device), feed, device, config.train)
    return Evaluation(task, samples, predicted, Evaluated(name, _source(config), task.metrics(predicted), decoding))


def has_report(config: Config) -> bool:
    """Return whether the config's task can write a report of an evaluation."""
    return task_class(config.task).write_report is not Task.write_report


def has_fit(config: Config) -> bool:
    """Return whether any decoding parameter of the config's task is fitted on validation samples."""
    return task_class(config.task).fitted_decoding is not Task.fitted_decoding


def is_bundle(reference: str) -> bool:
    """Return whether `reference` is a bundle rather than a run or a checkpoint."""
    path = Path(reference)
    return (path / CARD_FILE).is_file() if path.exists() else not reference.endswith(".pt")


def record(folder: Path, metrics: Mapping[str, float], data: str, command: str) -> None:
    """Write measured metrics into a bundle's card, in the place of earlier ones of the same name and data."""
    bundle = load_bundle(folder)
    kept = [m for m in bundle.card.metrics if not (m.data == data and m.metric in metrics)]
    new = [Measurement(metric=name, value=value, data=data, command=command) for name, value in metrics.items()]
    save_bundle(folder, bundle.network, bundle.card.model_copy(update={"metrics": kept + new}))


def fit(folder: Path, decoding: Mapping[str, Any]) -> None:
    """Write fitted settings of decoding (`Task.fitted_decoding`) into a bundle's card, beside its others."""
    bundle = load_bundle(folder)
    card = bundle.card.model_copy(update={"decoding": {**bundle.card.decoding, **decoding}})
    save_bundle(folder, bundle.network, card)


def _require_labels(bundle: Bundle, labels: list[str]) -> None:
    """Classes mean what the bundle's labels say: measured with others, every result would be nonsense."""
    if bundle.card.labels != labels:
        raise WeightsError(
            f"bundle {bundle.name} has other labels ({len(bundle.card.labels):,}) than the config ({len(labels):,}); "
            "give the config that it was trained with (--config)"
        )


def _source(config: Config) -> str:
    """Return a description of the validation source."""
    source = config.source("validation")
    return "made by the task" if source is None else source.describe()
