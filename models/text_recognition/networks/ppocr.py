"""PP-OCRv6's small recogniser (PaddleOCR, 2026; Apache-2.0): blocks of depthwise and pointwise convolutions, then SVTR
blocks along the line. Its published weights are where trainings for other charsets start.

Written out rather than converted, for strips of other heights, finer steps and the speed of torch's own layers; the
tests hold it to the ONNX file's outputs.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from models.text_recognition.networks.base import CTCNetwork
from models.text_recognition.networks.svtr import GlobalBlock, SqueezeExcite

_STAGES = ((96, "spp"), (192, "spspsp"), (384, "sp"))
_DIMS = 120


class PPOCRv6(CTCNetwork):
    """One step for 8 px of a strip 48 px high; 3.0 M parameters without the head.

    Its first weights are random; `published_weights` has PaddleOCR's. The backbone holds no normalisation: PaddleOCR
    folded it into the convolutions, so a training should warm up, and clip gradients.

    Args:
        classes: outputs, the blank included.
        height: px of the strips, a multiple of 16: 48 as published, 32 for 0.44 of the work.
        step: px of a step, 8 as published, or 4: strips of 32 px need it for thin letters close together.
        parts: see `CTCNetwork`.
    """

    def __init__(self, classes: int, height: int = 48, step: int = 8, parts: torch.Tensor | None = None):
        super().__init__(_DIMS, classes, parts)
        if height % 16 or step not in (4, 8):
            raise ValueError(f"height {height}, step {step}: a multiple of 16, and 4 or 8")
        self.backbone = nn.Sequential(Stem(_STAGES[0][0]), *_stages(), nn.AvgPool2d((height // 16, step // 4)))
        self.neck = Neck(_STAGES[-1][0], _DIMS)

    def steps(self, image: torch.Tensor) -> torch.Tensor:
        return self.neck(self.backbone(image)).transpose(1, 2)


class Stem(nn.Module):
    """[batch, 3, height, width] → [batch, outputs, height / 4, width / 4], through two branches."""

    def __init__(self, outputs: int):
        super().__init__()
        half = outputs // 2
        self.first = nn.Conv2d(3, half, 3, 2, 1)
        self.narrow = nn.Conv2d(half, half // 2, 2)
        self.widen = nn.Conv2d(half // 2, half, 2)
        self.join = nn.Conv2d(outputs, half, 3, 2, 1)
        self.last = nn.Conv2d(half, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        pad = (0, 1, 0, 1)  # kernels of 2 keep the size with a row below and a column to the right; x is not negative
        y = torch.relu(self.narrow(functional.pad(x, pad)))
        y = torch.relu(self.widen(functional.pad(y, pad)))
        x = torch.cat([functional.max_pool2d(functional.pad(x, pad), 2, 1), y], dim=1)
        return torch.relu(self.last(torch.relu(self.join(x))))


class Block(nn.Module):
    """Mixes neighbours within each channel, then channels; smaller by the stride `down` where the channels change."""

    def __init__(self, inputs: int, outputs: int, excite: bool = False, down: int | tuple[int, int] = (2, 1)):
        super().__init__()
        self.same = inputs == outputs
        self.neighbours = nn.Conv2d(inputs, inputs, 3, 1 if self.same else down, 1, groups=inputs)
        self.excite = SqueezeExcite(inputs) if excite else nn.Identity()
        self.expand = nn.Conv2d(inputs, 2 * inputs, 1)
        self.project = nn.Conv2d(2 * inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.excite(self.neighbours(x))
        y = self.project(functional.gelu(self.expand(x)))
        return x + y if self.same else y


class Neck(nn.Module):
    """[batch, channels, 1, steps] → [batch, dims, steps]: a convolution along the line and two SVTR blocks."""

    def __init__(self, channels: int, dims: int):
        super().__init__()
        self.shortcut = _normalised(channels, dims)
        self.reduce = _normalised(channels, dims)
        self.along = _normalised(dims, dims, (1, 7), groups=dims)
        self.blocks = nn.Sequential(GlobalBlock(dims), GlobalBlock(dims))
        self.norm = nn.LayerNorm(dims, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut, x = self.shortcut(x), self.reduce(x)
        x = (x + self.along(x)).flatten(2).transpose(1, 2)
        return self.norm(self.blocks(x)).transpose(1, 2) + shortcut.flatten(2)


def published_weights(content: bytes) -> dict[str, torch.Tensor]:
    """Weights of `PPOCRv6` (height 48, step 8, 18,710 classes) from the content of PaddleOCR's ONNX file.

    Raises:
        ValueError: the file holds another network; names the first weight that does not fit.
    """
    arrays = _weights_in_order(onnx.load_from_string(content).graph)
    with torch.device("meta"):
        own = PPOCRv6(18_710).state_dict()
    # The head is made first and used last.
    names = [name for name in own if not name.endswith("num_batches_tracked") and not name.startswith("head.")]
    return named_weights({name: own[name] for name in [*names, "head.weight", "head.bias"]}, arrays, "recogniser")


def named_weights(
    own: Mapping[str, torch.Tensor], arrays: Iterator[np.ndarray], network: str
) -> dict[str, torch.Tensor]:
    """Weights of PP-OCRv6 under our names.

    Args:
        own: the network's weights in the order in which it uses them; only their shapes count.
        arrays: the file's in the same order.
        network: "recogniser" or "detector", for messages.

    Raises:
        ValueError: names the first weight that does not fit.
    """
    weights = {}
    for name, tensor in own.items():
        shape = tuple(tensor.shape)
        array = next(arrays, np.zeros(0))
        if len(shape) == 1:
            array = array.reshape(-1)  # biases of convolutions are (1, n, 1, 1) there
        elif array.ndim == 2:
            array = array.T  # x @ W there, x @ W.T here
        if array.shape != shape:
            raise ValueError(f"this is not PP-OCRv6's small {network}: {name} is {array.shape} there, {shape} here")
        weights[name] = torch.from_numpy(array.copy())
    if (more := next(arrays, None)) is not None:
        raise ValueError(f"this is not PP-OCRv6's small {network}: it has another weight of {more.shape}")
    return weights


def _stages() -> Iterator[Block]:
    before = _STAGES[0][0]
    for channels, kinds in _STAGES:
        if channels != before:
            yield Block(before, channels)
        for kind in kinds:
            yield Block(channels, channels, excite=kind == "s")
        before = channels


def _normalised(inputs: int, outputs: int, kernel: tuple[int, int] = (1, 1), groups: int = 1) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


def _weights_in_order(graph: onnx.GraphProto) -> Iterator[np.ndarray]:
    """Floating constants of more than one element, in the order in which the graph first uses them."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    alias = {node.output[0]: node.input[0] for node in graph.node if node.op_type in ("Identity", "Reshape")}
    seen = set()
    for node in graph.node:
        for name in node.input:
            while name in alias:
                name = alias[name]
            if name in constants and name not in seen and node.op_type not in ("Identity", "Reshape"):
                seen.add(name)
                array = numpy_helper.to_array(constants[name])
                if array.dtype == np.float32 and array.size > 1:
                    yield array
