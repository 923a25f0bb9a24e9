"""Reading and writing training state: atomic checkpoints, strict loading of weights."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from common.errors import ExpectedError
from common.storage import replacing

LAST_FILE = "last.pt"
BEST_FILE = "best.pt"
ONNX_WEIGHT_NAMES = "ocray.weights"  # metadata key: names of the initializers that are the network's state
ONNX_HALF = ".half"  # ends the name of an initializer that is stored in 16 bits and cast back to the name without it


class WeightsError(ExpectedError):
    """Weights that do not fit; the message names the keys."""


def save_atomically(state: dict, path: Path) -> None:
    """Save a state with torch.save; a reader or a crash meets the old file or the new one."""
    with replacing(path, durable=True) as temporary, open(temporary, "wb") as file:
        torch.save(state, file)  # to an open file: given a path it would write the name into the checkpoint


def load_state(path: Path) -> dict:
    """Return a saved state on the CPU; only tensors and plain values, no pickled code.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} cannot be read as a checkpoint: {error}") from error


def load_weights(reference: str | Path) -> dict[str, torch.Tensor]:
    """Weights by name from a run folder (its best), a checkpoint folder or file (`last.pt` gives its EMA), or a bundle.

    Raises:
        WeightsError: there is nothing of these at `reference`, or it cannot be read.
    """
    if (path := _checkpoint_file(reference)) is not None:
        state = load_state(path)
        return state["weights"] if "weights" in state else state["ema"]
    return _bundle_weights(reference)


def load_labels(reference: str | Path) -> list[str] | None:
    """Return the labels of the classes of the weights at `reference` (see `load_weights`); None if a checkpoint has
    none.

    Raises:
        WeightsError: as `load_weights`.
    """
    if (path := _checkpoint_file(reference)) is not None:
        return load_state(path).get("labels")
    from models.bundle import BundleError, load_bundle

    try:
        return load_bundle(reference).card.labels
    except BundleError as error:
        raise WeightsError(f"{reference}: neither a run, a checkpoint nor a bundle ({error})") from error


def strict_load(network: nn.Module, weights: dict[str, torch.Tensor], source: str | Path) -> None:
    """Load weights that fit the network exactly.

    Raises:
        WeightsError: names the missing, unknown and differently shaped keys; nothing is loaded.
    """
    own = network.state_dict()
    # Exported networks lack BatchNorm's step counters, which no result depends on (momentum is a number).
    missing = sorted(key for key in own.keys() - weights.keys() if not key.endswith("num_batches_tracked"))
    unknown = sorted(weights.keys() - own.keys())
    shapes = [
        f"{key} is {tuple(weights[key].shape)} there, {tuple(own[key].shape)} in the network"
        for key in sorted(own.keys() & weights.keys())
        if own[key].shape != weights[key].shape
    ]
    problems = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
    if problems := problems + shapes:
        raise WeightsError(f"weights of {source} do not fit {type(network).__name__}: {'; '.join(problems)}")
    network.load_state_dict(weights, strict=False)


def _checkpoint_file(reference: str | Path) -> Path | None:
    """Return the checkpoint of a file, a checkpoint folder or a run folder; None if `reference` is a bundle."""
    path = Path(reference)
    for candidate in (path, path / BEST_FILE, path / "checkpoint" / BEST_FILE):
        if candidate.is_file():
            return candidate
    if path.suffix == ".pt":
        raise WeightsError(f"{reference}: no such checkpoint")
    return None


def _bundle_weights(reference: str | Path) -> dict[str, torch.Tensor]:
    import onnx

    from models.bundle import BundleError, load_bundle

    try:
        model = onnx.load_from_string(load_bundle(reference).network)
    except BundleError as error:
        raise WeightsError(f"{reference}: neither a run, a checkpoint nor a bundle ({error})") from error
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    names = next((entry.value.split() for entry in model.metadata_props if entry.key == ONNX_WEIGHT_NAMES), None)
    if names is None:
        raise WeightsError(f"{reference}: its network was not exported by `ocray export`, so it cannot be trained on")
    halves = {name: arrays[name + ONNX_HALF].astype(np.float32) for name in names if name not in arrays}
    return {name: torch.from_numpy(halves[name] if name in halves else arrays[name].copy()) for name in names}
