"""A bundle's network in 8-bit integers (post-training quantisation, NNCF): smaller, and faster on CPUs.

The ranges of activations are calibrated on training samples as the network meets them when it is used, so that the
validation samples, which judge the result, have no part in it.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nncf
import numpy as np
import onnx
import torch
from torch import nn

from common.config import ConfigError
from common.errors import ExitCode, ExpectedError
from models.bundle import Bundle, Measurement, load_bundle, save_bundle
from trainers.core.config import Config, task_class
from trainers.core.evaluate import evaluate
from trainers.core.export import stored_in_full
from trainers.core.onnx_network import OnnxNetwork

_INT8 = ", int8"  # what the card's architecture ends with


class QuantizationError(ExpectedError):
    """A network that loses too much in 8 bits; the message says how much."""

    exit_code = ExitCode.FAILED


@dataclass(frozen=True)
class Quantized:
    """An int8 `bundle`, and how it and the one it was made of do on the validation samples."""

    bundle: Bundle
    before: Mapping[str, float]
    after: Mapping[str, float]


def quantize(
    reference: str, config: Config, output: Path, *, samples: int, most_loss: float, keep: str | None, command: str
) -> Quantized:
    """Write the bundle in 8 bits, if the task's best metric allows.

    Args:
        reference: a bundle (name@version, folder, URI).
        config: of its training: its training samples calibrate, its validation samples judge.
        output: the new bundle's folder.
        samples: training samples to calibrate with; 300 are usual.
        most_loss: how much of the task's best metric may be lost.
        keep: regular expression of names of graph nodes that stay in floating point.
        command: for the card.

    Raises:
        BundleError: no usable bundle. ConfigError: it is in int8 already. QuantizationError: too much is lost; nothing
        is written.
    """
    bundle = load_bundle(reference)
    if bundle.card.architecture.endswith(_INT8):
        raise ConfigError(f"bundle {bundle.name} is in int8 already")
    content = _in_int8(bundle, config, samples, keep)
    before = evaluate(reference, config)
    architecture, version = bundle.card.architecture + _INT8, f"{bundle.card.version}-int8"
    card = bundle.card.model_copy(update={"architecture": architecture, "version": version, "metrics": []})
    files = {name: bundle.file(name) for name in bundle.card.files}
    with tempfile.TemporaryDirectory(prefix="ocray-int8-") as temporary:
        after = evaluate(str(save_bundle(Path(temporary), content, card, files).folder), config)
    task = task_class(config.task)
    name = task.best_metric
    lost = before[name] - after[name] if task.best_mode == "max" else after[name] - before[name]
    if lost > most_loss:
        raise QuantizationError(
            f"{bundle.name} in int8: {name} {after[name]:.4f}, before {before[name]:.4f}; a loss of {most_loss:g} is "
            "allowed. Keep sensitive nodes in floating point (--keep), or allow more (--most-loss)"
        )
    measured = [
        Measurement(metric=metric, value=value, data=config.card.validation_data, command=command)
        for metric, value in after.items()
    ]
    saved = save_bundle(output, content, card.model_copy(update={"metrics": measured}), files)
    return Quantized(saved, before, after)


def _in_int8(bundle: Bundle, config: Config, samples: int, keep: str | None) -> bytes:
    inputs = list(_calibration(bundle, config, samples))
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars
        quantized = nncf.quantize(
            stored_in_full(bundle.network),
            nncf.Dataset(inputs),
            # Activations after GELU and the like are not symmetric.
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            ignored_scope=nncf.IgnoredScope(patterns=[keep]) if keep else None,
            # NNCF 3.4 fails on the unoptimised graphs of torch, whose convolutions may have no bias to correct.
            advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
        )
    onnx.checker.check_model(quantized)
    return quantized.SerializeToString()


def _calibration(bundle: Bundle, config: Config, samples: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield the network's input for training samples, one at a time."""
    data = config.data.model_copy(update={"train": None, "validation": config.data.train})
    task = config.model_copy(update={"data": data}).build_task()
    # A task that makes its own samples: others than those that judge.
    start = 0 if config.data.train else config.train.validation_samples
    names = list(task.export().example)
    network = _Recorder(OnnxNetwork(bundle, names), names)
    for index in range(start, start + samples):
        task.predict(network, task.collate([task.sample(index, "validation")]))
        yield network.inputs


class _Recorder(nn.Module):
    """A network that keeps what it was last given."""

    def __init__(self, network: nn.Module, names: list[str]):
        super().__init__()
        self.network = network
        self.names = names
        self.inputs: dict[str, np.ndarray] = {}

    def forward(self, *tensors: torch.Tensor):
        self.inputs = {name: tensor.cpu().numpy() for name, tensor in zip(self.names, tensors, strict=True)}
        return self.network(*tensors)
