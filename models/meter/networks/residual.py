"""The block that both networks are made of."""

import torch
from torch import nn

from models.text_recognition.networks.base import convolution


class Residual(nn.Module):
    """Two 3 x 3 convolutions round a shortcut (He et al., CVPR 2016); [batch, channels, height, width] keeps its shape.

    Dense convolutions of few channels: on CPUs they are quicker than depthwise ones of the same accuracy.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, 3),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))
