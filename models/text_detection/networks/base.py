"""What all detection networks have in common: the maps of differentiable binarisation (DB).

Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", AAAI 2020: a probability map, a
threshold map, and the approximate binary map of both. Reading needs the probability map alone.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from models.text_recognition.networks.base import convolution

STEEPNESS = 50  # of the approximate step function


class Maps(NamedTuple):
    """What a network in training gives, each float32 [batch, 1, height, width].

    Attributes:
        probability: logits of text (shrunk).
        threshold: logits of the threshold.
        binary: logits of the approximate binary map, STEEPNESS x (probability - threshold).
    """

    probability: torch.Tensor
    threshold: torch.Tensor
    binary: torch.Tensor


class DBDetector(nn.Module, ABC):
    """A network with two branches on shared features; a subclass gives the features and the probability branch.

    Args:
        channels: of the shared features.
        inner: channels inside the threshold branch.

    Attributes:
        threshold: the threshold branch. Its last layer starts at zero: where the rest is trained already, no gradient
            of random weights disturbs it.
    """

    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.threshold = branch(channels, inner)
        for parameter in self.threshold[-1].parameters():
            nn.init.zeros_(parameter)

    @abstractmethod
    def features(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """float32 [batch, 3, height, width] → the shared features [batch, channels, height / 4, width / 4] and the
        probability map's logits [batch, 1, height, width]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor | Maps:
        """
        Args:
            x: float32 [batch, 3, height, width], normalised pages; sides are multiples of 32. Named as PaddleOCR names
                it, so that its bundles and ours are measured alike.

        Returns:
            The probability map, float32 [batch, 1, height, width] in 0..1; in training `Maps`.
        """
        features, logits = self.features(x)
        logits = logits.float()
        if not self.training:
            return torch.sigmoid(logits)
        threshold = self.threshold(features).float()
        return Maps(logits, threshold, STEEPNESS * (torch.sigmoid(logits) - torch.sigmoid(threshold)))


def branch(channels: int, inner: int) -> nn.Sequential:
    """From features at a quarter of the size to logits at full size."""
    return nn.Sequential(
        convolution(channels, inner, 3),
        nn.ConvTranspose2d(inner, inner, 2, stride=2, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.ConvTranspose2d(inner, 1, 2, stride=2),
    )


def enlarged(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """[batch, channels, …] brought to the height and width of `like` by repeating its values."""
    return functional.interpolate(x, size=like.shape[2:], mode="nearest")
