"""What all recognition networks have in common: steps along the line, and a last layer of classes."""

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional

from models.text_recognition.hangul import JAMO


class CTCNetwork(nn.Module, ABC):
    """Steps of a line to classes, for connectionist temporal classification (Graves et al., ICML 2006).

    A subclass gives `steps`; it may not look at the number of classes.

    Args:
        channels: of a step.
        classes: outputs; class 0 is the blank.
        parts: int64 [classes, 3], see `CTCHead`.
    """

    def __init__(self, channels: int, classes: int, parts: torch.Tensor | None = None):
        super().__init__()
        self.head = CTCHead(channels, classes, parts)

    @abstractmethod
    def steps(self, image: torch.Tensor) -> torch.Tensor:
        """float32 [batch, 3, height, width] → float32 [batch, steps, channels]."""

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """
        Args:
            image: float32 [batch, 3, height, width], normalised strips, padded with zeros on the right.

        Returns:
            [batch, steps, classes]: logits in training, else float32 probabilities.
        """
        logits = self.head(self.steps(image))
        return logits if self.training else torch.softmax(logits.float(), dim=2)


class CTCHead(nn.Linear):
    """The last layer: a row of weights a class; a syllable's row is its own plus those of its jamo.

    So what is learned of one syllable is learned for all that share a jamo with it. Jamo rows belong to no charset:
    they stay when the charset changes.

    Args:
        parts: int64 [classes, 3], the jamo of each class (see `models.text_recognition.hangul`), 0 for none; None for
            classes without parts.
    """

    parts: torch.Tensor

    def __init__(self, channels: int, classes: int, parts: torch.Tensor | None = None):
        super().__init__(channels, classes)
        if parts is not None:
            self.jamo = nn.Parameter(torch.zeros(JAMO, channels))
            self.register_buffer("parts", parts, persistent=False)
            with torch.no_grad():  # before they are learned, syllables differ by their jamo alone
                self.weight[parts.any(dim=1)] = 0
                self.bias[parts.any(dim=1)] = 0

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "jamo"):
            return super().forward(input)
        rows = functional.pad(self.jamo, (0, 0, 1, 0))
        return functional.linear(input, self.weight + rows[self.parts].sum(dim=1), self.bias)


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
