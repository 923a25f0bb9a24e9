"""Measures weights of any task on the validation samples of a config: a run, a checkpoint, or an exported bundle.

Runs and checkpoints are measured with torch, bundles with the inference runtime that the pipelines use. A labelled set
of real pages is measured by naming it as the validation source (`--set 'data.validation={shards: …, skews: …}'`).
"""

from pathlib import Path

import torch

from models.bundle import CARD_FILE, Measurement, load_bundle, save_bundle
from trainers.checkpoint import load_weights, strict_load
from trainers.config import Config
from trainers.data.feed import PlainFeed
from trainers.loop import validate
from trainers.onnx_network import OnnxNetwork


def evaluate(reference: str, config: Config) -> dict[str, float]:
    """The task's metrics over `train.validation_samples` validation samples.

    Args:
        reference: run folder, checkpoint file, or bundle (name@version, folder, URI).

    Raises:
        WeightsError: the weights do not fit the config's network.
        BundleError: no usable bundle, or one of another task.
    """
    # Only the validation pages are opened: the training shards may be elsewhere.
    data = config.data.model_copy(update={"train": None})
    task = config.model_copy(update={"data": data}).build_task()
    if is_bundle(reference):
        bundle = load_bundle(reference, task.bundle_task or task.name)
        network, device = OnnxNetwork(bundle, list(task.export().example)), torch.device("cpu")
    else:
        network, device = task.network(), torch.device("cuda" if torch.cuda.is_available() else "cpu")
        strict_load(network, load_weights(reference), reference)
    feed = PlainFeed(
        task,
        global_batch=config.train.global_batch,
        validation_samples=config.train.validation_samples,
        processes=config.data.processes,
    )
    return validate(task, network.to(device), feed.validation(), device, config.train)


def is_bundle(reference: str) -> bool:
    """Whether `reference` means a bundle and not a run or a checkpoint."""
    path = Path(reference)
    return (path / CARD_FILE).is_file() if path.exists() else not reference.endswith(".pt")


def record(folder: Path, metrics: dict[str, float], data: str, command: str) -> None:
    """Write measured metrics into a bundle's card, in the place of earlier ones of the same name and data."""
    bundle = load_bundle(folder)
    kept = [m for m in bundle.card.metrics if not (m.data == data and m.metric in metrics)]
    new = [Measurement(metric=name, value=value, data=data, command=command) for name, value in metrics.items()]
    save_bundle(folder, bundle.network, bundle.card.model_copy(update={"metrics": kept + new}))
