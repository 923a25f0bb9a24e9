"""What all recognition networks have in common: steps along the line, and a last layer of classes."""

from abc import ABC, abstractmethod

import torch
from torch import nn


class CTCNetwork(nn.Module, ABC):
    """Steps of a line to classes, for connectionist temporal classification (Graves et al., ICML 2006).

    A subclass gives `steps`; it may not look at the number of classes.

    Args:
        channels: of a step.
        classes: outputs; class 0 is the blank.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.head = nn.Linear(channels, classes)

    @abstractmethod
    def steps(self, image: torch.Tensor) -> torch.Tensor:
        """float32 [batch, 3, height, width] → float32 [batch, steps, channels]."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """
        Args:
            image: float32 [batch, 3, height, width], normalised strips, padded with zeros on the right.

        Returns:
            [batch, steps, classes]: logits in training, else float32 probabilities.
        """
        logits = self.head(self.steps(image))
        return logits if self.training else torch.softmax(logits.float(), dim=2)


def convolution(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | None = None,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution, batch norm and activation; odd kernels keep the size unless `padding` says otherwise."""
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))
