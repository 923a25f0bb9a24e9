"""SVTR-LCNet: the recogniser of PP-OCRv3 (Li et al., 2022), MobileNetV1Enhance under a neck of SVTR blocks (Du et al.,
"SVTR: Scene Text Recognition with a Single Visual Model", IJCAI 2022), trained with CTC alone."""

import torch
from torch import nn
from torch.nn import functional

from models.text_recognition.networks.base import CTCNetwork, convolution

HEADS = 8
_SCALE = 0.5  # of the backbone's channels
_DIMS = 64  # channels of a step
_DEPTH, _HIDDEN = 2, 120  # blocks of the neck, and their channels
_DROPOUT = 0.1


class SVTRLCNet(CTCNetwork):
    """One step for 8 px of a strip 48 px high; 2.2 M parameters without the head.

    Args:
        classes: outputs, the blank included.
        parts: see `CTCNetwork`.
    """

    def __init__(self, classes: int, parts: torch.Tensor | None = None):
        super().__init__(_DIMS, classes, parts)
        self.backbone = _backbone()
        self.neck = Neck(int(1024 * _SCALE))

    def steps(self, image: torch.Tensor) -> torch.Tensor:
        return self.neck(self.backbone(image)).mean(dim=2).transpose(1, 2)


class SqueezeExcite(nn.Module):
    """Channels weighed by what the whole strip holds (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = torch.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True)))
        return x * functional.hardsigmoid(self.excite(weight))


class Neck(nn.Module):
    """Squeezes the channels, mixes all steps by attention, and joins the result with the backbone's own."""

    def __init__(self, channels: int):
        super().__init__()
        self.reduce = nn.Sequential(
            convolution(channels, channels // 8, 3, activation=nn.SiLU),
            convolution(channels // 8, _HIDDEN, 1, activation=nn.SiLU),
        )
        self.blocks = nn.Sequential(*(GlobalBlock(_HIDDEN) for _ in range(_DEPTH)))
        self.norm = nn.LayerNorm(_HIDDEN)
        self.restore = convolution(_HIDDEN, channels, 1, activation=nn.SiLU)
        self.join = nn.Sequential(
            convolution(2 * channels, channels // 8, 3, activation=nn.SiLU),
            convolution(channels // 8, _DIMS, 1, activation=nn.SiLU),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.reduce(x)
        height = y.shape[2]
        y = self.norm(self.blocks(y.flatten(2).transpose(1, 2)))
        y = self.restore(y.transpose(1, 2).unflatten(2, (height, -1)))
        return self.join(torch.cat([x, y], dim=1))


class GlobalBlock(nn.Module):
    """SVTR's global mixing block: [batch, places, channels] → the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.SiLU(), nn.Dropout(_DROPOUT), nn.Linear(2 * channels, channels)
        )
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.qkv(self.norm1(x)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2]).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.project(mixed))
        return x + self.dropout(self.mlp(self.norm2(x)))


def separable(
    inputs: int, outputs: int, stride: int | tuple[int, int] = 1, kernel: int = 3, excite: bool = False
) -> list[nn.Module]:
    """Depthwise, optionally squeeze-and-excite, pointwise."""
    return [
        convolution(inputs, inputs, kernel, stride, groups=inputs, activation=nn.Hardswish),
        *([SqueezeExcite(inputs)] if excite else []),
        convolution(inputs, outputs, 1, activation=nn.Hardswish),
    ]


def _backbone() -> nn.Sequential:
    """MobileNetV1Enhance: depthwise separable convolutions; height / 32 (48 px: 1), width / 8."""

    def scaled(inputs: int, outputs: int, *how, **more) -> list[nn.Module]:
        return separable(int(inputs * _SCALE), int(outputs * _SCALE), *how, **more)

    return nn.Sequential(
        convolution(3, int(32 * _SCALE), 3, 2, activation=nn.Hardswish),
        *scaled(32, 64),
        *scaled(64, 128),
        *scaled(128, 128),
        *scaled(128, 256, (2, 1)),
        *scaled(256, 256),
        *scaled(256, 512, (2, 1)),
        *(layer for _ in range(5) for layer in scaled(512, 512, kernel=5)),
        *scaled(512, 1024, (2, 1), kernel=5, excite=True),
        *scaled(1024, 1024, (1, 2), kernel=5, excite=True),
        nn.AvgPool2d(2),
    )
