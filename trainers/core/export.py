"""Exports trained weights to a bundle: ONNX, checked against torch in the inference runtimes, and its card.

OpenVINO is always there; ONNX Runtime is one wheel for CPUs and another for GPUs that must not be installed together,
so the training extra brings neither.

The graph is written unoptimised, so that every weight keeps its name and a training can start from the bundle
(`train.initial_weights`); OpenVINO and ONNX Runtime fold and fuse it when they load it.
"""

import copy
import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import nn

from common.errors import ExitCode, ExpectedError
from models.bundle import Bundle, Card, Measurement, Training, save_bundle
from models.runtime import Network
from trainers.core.checkpoint import (
    BEST_FILE,
    ONNX_HALF,
    ONNX_WEIGHT_NAMES,
    load_labels,
    load_state,
    load_weights,
    strict_load,
)
from trainers.core.config import Config, DataSettings
from trainers.core.runs import Run
from trainers.core.task import Export, Task

OPSET = 20
TOLERANCE = 1e-4
_ONNX_RUNTIME = "ONNX Runtime"
_LEAST_HALVED = 1024  # elements; smaller tensors are not worth a node


class ModelExportError(ExpectedError):
    """A network that cannot be exported faithfully; the message says where it differs."""

    exit_code = ExitCode.FAILED


def export_run(
    run: Run, output: Path, config: Config | None = None, *, average: Sequence[str | Path] = (), half: bool = False
) -> Bundle:
    """Write the bundle of a run's best validated EMA weights.

    Args:
        run: a run that has validated at least once; it need not have finished.
        output: the bundle's folder.
        config: in the place of the run's own, for another card.
        average: runs, checkpoints or bundles (`load_weights`) that this run was fine-tuned from, or that come from the
            same weights: the bundle has the mean of all (Wortsman et al., "Model soups", 2022), which often does better
            than any of them and forgets less of what came before. The card then has no figures: nothing measured that
            network yet.
        half: see `export_network`.

    Raises:
        RunError: no run there.
        WeightsError: no validated weights yet, or weights that do not fit.
        ModelExportError: the exported network differs from torch's.
    """
    config = config or run.config()
    # Exporting needs no samples; the shards may be elsewhere.
    task = config.model_copy(update={"data": DataSettings()}).build_task()
    state = load_state(run.checkpoint / BEST_FILE)
    network = task.network()
    strict_load(network, state["weights"], run.folder)
    fields = task.card_fields()
    if state.get("labels", fields.labels) != fields.labels:
        raise ModelExportError(
            f"{run.folder} was trained with other labels than its config gives now; give the old ones"
        )
    if average:
        others = [_alike(task, network, fields.labels, other) for other in average]
        strict_load(network, _mean([state["weights"], *others]), run.folder)
    command = run.command()
    card = Card(
        name=config.card.name,
        version=config.card.version,
        task=task.bundle_task or task.name,
        architecture=fields.architecture,
        input=fields.input,
        decoding=fields.decoding | task.fitted_decoding(state["metrics"]),
        labels=fields.labels,
        metrics=[
            Measurement(metric=name, value=value, data=config.card.validation_data, command=command)
            for name, value in ({} if average else state["metrics"]).items()
        ],
        training=Training(data=config.card.data, command=command, steps=state["step"], note=config.card.note),
        licence=config.card.licence,
        sha256="0" * 64,  # save_bundle sets it
    )
    return export_network(task, network, card, output, files=fields.files, half=half)


def export_network(
    task: Task,
    network: nn.Module,
    card: Card,
    output: Path,
    *,
    files: Mapping[str, bytes] | None = None,
    half: bool = False,
) -> Bundle:
    """Export a network, check it and save its bundle; nothing is written to `output` when the check fails.

    Args:
        files: the bundle's other files.
        half: round large weights to 16 bits and store them so: half the size. They are cast back when the file is
            loaded, and computed with as ever.
    """
    network = copy.deepcopy(network).cpu().eval()
    if half:
        for tensor in filter(_is_halved, [*network.parameters(), *network.buffers()]):
            tensor.data = tensor.data.half().float()
    export = task.export()
    content = to_onnx(network, export)
    if half:
        content = _stored_in_half(content)
    with tempfile.TemporaryDirectory(prefix="ocray-export-") as temporary:
        check_parity(network, export, save_bundle(Path(temporary), content, card))
    return save_bundle(output, content, card, files)


def _alike(task: Task, network: nn.Module, labels: list[str], other: str | Path) -> dict[str, torch.Tensor]:
    """Other weights, with the labels of `network`; rows of labels that they lack are `network`'s."""
    weights, known = load_weights(other), load_labels(other)
    if known is not None and known != labels:
        weights, _ = task.adapt_weights(network, weights, known, str(other))
    strict_load(task.network(), weights, other)
    return weights


def _mean(weights: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {
        name: torch.stack([each[name].double() for each in weights if name in each]).mean(dim=0).to(tensor.dtype)
        for name, tensor in weights[0].items()
    }


def to_onnx(network: nn.Module, export: Export) -> bytes:
    """Return the network as ONNX, with a dynamic batch axis and the names of its weights in the file's metadata."""
    shapes = {name: {0: "batch", **export.dynamic.get(name, {})} for name in export.example}
    program = torch.onnx.export(
        network,
        kwargs=export.example,
        input_names=list(export.example),
        output_names=export.outputs,
        dynamic_shapes=shapes,
        opset_version=OPSET,
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    if program is None:
        raise ModelExportError("torch made no ONNX program")
    model = program.model_proto
    initializers = {tensor.name for tensor in model.graph.initializer}
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    names = [name for name in names if not name.startswith(export.training_only)]
    if unused := [name for name in names if name not in initializers]:
        raise ModelExportError(f"forward() does not use {', '.join(unused)}: remove them from {type(network).__name__}")
    entry = model.metadata_props.add()
    entry.key, entry.value = ONNX_WEIGHT_NAMES, " ".join(names)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _is_halved(tensor: torch.Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.numel() >= _LEAST_HALVED


def _stored_in_half(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    casts = []
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _LEAST_HALVED:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float16), name + ONNX_HALF))
        casts.append(
            onnx.helper.make_node("Cast", [name + ONNX_HALF], [name], name=f"{name}.cast", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def stored_in_full(content: bytes) -> onnx.ModelProto:
    """Return a network whose weights may be stored in 16 bits with all of them in 32."""
    model = onnx.load_from_string(content)
    halves = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name.endswith(ONNX_HALF)}
    for name, tensor in halves.items():
        array = onnx.numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, name.removesuffix(ONNX_HALF)))
    nodes = [node for node in model.graph.node if not (node.op_type == "Cast" and node.input[0] in halves)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def parity_runtimes() -> list[str]:
    """Return the runtimes in which an exported network is checked: OpenVINO, and ONNX Runtime if it is installed."""
    return ["OpenVINO"] + ([_ONNX_RUNTIME] if importlib.util.find_spec("onnxruntime") else [])


def check_parity(network: nn.Module, export: Export, bundle: Bundle) -> None:
    """Compare torch and the installed runtimes (see `parity_runtimes`) on random inputs in batches of 1 and 3.

    Differences may be up to TOLERANCE times the output's largest magnitude (or 1, where that is less).

    Raises:
        ModelExportError: names the runtime, the output and the difference.
    """
    runtimes: dict[str, Callable[..., Mapping[str, Any]]] = {"OpenVINO": Network(bundle)}
    if _ONNX_RUNTIME in parity_runtimes():
        import onnxruntime  # if it is installed

        session = onnxruntime.InferenceSession(bundle.network, providers=["CPUExecutionProvider"])
        runtimes[_ONNX_RUNTIME] = lambda arrays: dict(
            zip(export.outputs, session.run(export.outputs, arrays), strict=True)
        )
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 3):
        inputs = {name: _random_like(example, batch, generator) for name, example in export.example.items()}
        with torch.no_grad():
            outputs = network(**inputs)
        outputs = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
        expected = dict(zip(export.outputs, (output.numpy() for output in outputs), strict=True))
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        for runtime, run in runtimes.items():
            answer = run(arrays)
            for name, truth in expected.items():
                if answer[name].shape != truth.shape:
                    raise ModelExportError(f"{runtime}: {name} is {answer[name].shape}, torch gives {truth.shape}")
                difference = float(np.abs(answer[name] - truth).max())
                allowed = TOLERANCE * max(1.0, float(np.abs(truth).max()))
                if not difference <= allowed:
                    raise ModelExportError(f"{runtime}: {name} is {difference:.2g} off torch's, allowed {allowed:.2g}")


def _random_like(example: torch.Tensor, batch: int, generator: torch.Generator) -> torch.Tensor:
    shape = (batch, *example.shape[1:])
    if example.is_floating_point():
        return torch.rand(shape, generator=generator, dtype=example.dtype)
    return torch.randint(0, 256, shape, generator=generator).to(example.dtype)
