"""PP-OCRv6's small text detector (PaddleOCR, 2026; Apache-2.0): its recogniser's blocks under a feature pyramid with
residual squeeze-and-excitation (RSE-FPN of PP-OCRv3, Li et al., 2022). Its published weights are where trainings start.

Written out rather than converted, for the speed of torch's own layers; the tests hold it to the ONNX file's outputs.
"""

from collections.abc import Iterator

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from models.text_detection.networks.base import DBDetector, enlarged
from models.text_recognition.networks.ppocr import Block, Stem, named_weights
from models.text_recognition.networks.svtr import SqueezeExcite

# Channels of each level (stride 4, 8, 16, 32), and its blocks: s with squeeze-and-excitation, p without
_LEVELS = ((48, "sp"), (96, "sp"), (192, "spsp"), (384, "sp"))
CHANNELS = tuple(channels for channels, _ in _LEVELS)
_NECK = 96
_INNER = _NECK // 4


class PPOCRBackbone(nn.Module):
    """Photos or pages to features at four sizes."""

    def __init__(self):
        super().__init__()
        self.stem = Stem(_LEVELS[0][0])
        self.levels = nn.ModuleList()
        before = _LEVELS[0][0]
        for channels, kinds in _LEVELS:
            blocks = [Block(before, channels, down=2)] if channels != before else []
            blocks += [Block(channels, channels, excite=kind == "s") for kind in kinds]
            self.levels.append(nn.Sequential(*blocks))
            before = channels

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """float32 [batch, 3, height, width], sides multiples of 32 → of each of `CHANNELS` [batch, channels, height /
        stride, width / stride], strides 4, 8, 16 and 32."""
        x = self.stem(image)
        levels = []
        for level in self.levels:
            x = level(x)
            levels.append(x)
        return levels


class PPOCRDetector(DBDetector):
    """2.5 M parameters. Its first weights are random; `published_weights` has PaddleOCR's but for the threshold branch,
    which was not published. They hold no normalisation: PaddleOCR folded it into the convolutions, so a training should
    warm up and take small steps.
    """

    def __init__(self):
        super().__init__(_NECK, _INNER)
        self.backbone = PPOCRBackbone()
        # From the deepest level up, the order in which they are used
        widths = CHANNELS[::-1]
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, _NECK, 1, bias=False), ResidualExcite(_NECK)) for width in widths
        )
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(_NECK, _NECK, 7, padding=3, groups=_NECK),
                nn.Conv2d(_NECK, _INNER, 1, bias=False),
                ResidualExcite(_INNER),
            )
            for _ in widths
        )
        self.probability = nn.Sequential(
            nn.Conv2d(_NECK, _INNER, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(_INNER, _INNER, 2, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(_INNER, 1, 2, stride=2),
        )

    def features(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        levels = self.backbone(image)
        pyramid = [lateral(x) for lateral, x in zip(self.lateral, reversed(levels), strict=True)]
        for number in range(1, len(pyramid)):
            pyramid[number] = pyramid[number] + enlarged(pyramid[number - 1], pyramid[number])
        parts = [smooth(x) for smooth, x in zip(self.smooth, pyramid, strict=True)]
        features = torch.cat([enlarged(part, parts[-1]) for part in parts[:-1]] + parts[-1:], dim=1)
        return features, self.probability(features)


class ResidualExcite(SqueezeExcite):
    """x + x weighed by what the whole page holds."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True))))
        return x + x * (0.2 * weight + 0.5).clamp(0, 1)  # PaddleOCR's hard sigmoid is steeper than torch's


def published_weights(content: bytes) -> dict[str, torch.Tensor]:
    """Weights of `PPOCRDetector`, all but the threshold branch's, from the content of PaddleOCR's ONNX file.

    Raises:
        ValueError: the file holds another network; names the first weight that does not fit.
    """
    arrays = _weights_in_order(onnx.load_from_string(content).graph)
    with torch.device("meta"):
        own = PPOCRDetector().state_dict()
    published = {name: tensor for name, tensor in own.items() if not name.startswith("threshold.")}
    return named_weights(published, arrays, "detector")


def _weights_in_order(graph: onnx.GraphProto) -> Iterator[np.ndarray]:
    """Kernels and biases in the order of the graph."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "Add"):
            for name in node.input:
                if name in constants and len(constants[name].dims) == 4:
                    yield numpy_helper.to_array(constants[name])
