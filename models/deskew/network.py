"""DeskewNet: one small network shared by all angles of a polar spectrum. Needs torch; reading does not."""

import torch
from torch import nn

from models.deskew.preprocess import ANGLES, BANDS


def circular_pad(x: torch.Tensor, margin: int) -> torch.Tensor:
    """Repeat the angle axis (axis 2) circularly: the spectrum at 90 degrees continues at -90."""
    return torch.cat([x[:, :, -margin:], x, x[:, :, :margin]], dim=2)


class SpectrumBlock(nn.Module):
    """Convolution over angle (circular) and radius, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]):
        super().__init__()
        self.margin = kernel[0] // 2
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=(0, kernel[1] // 2), bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.convolution(circular_pad(x, self.margin))))


class AngleBlock(nn.Module):
    """Residual block along the angle axis: a dilated circular convolution that also sees the direction at a right
    angle, because text shows on both: line spacing along one, strokes along the other."""

    def __init__(self, channels: int, kernel: int, dilation: int):
        super().__init__()
        self.margin = dilation * (kernel // 2)
        self.convolution = nn.Conv2d(2 * channels, channels, (kernel, 1), dilation=(dilation, 1), bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = x.shape[2] // 2
        across = torch.cat([x[:, :, half:], x[:, :, :half]], dim=2)
        both = circular_pad(torch.cat([x, across], dim=1), self.margin)
        return x + torch.relu(self.norm(self.convolution(both)))


class DeskewNet(nn.Module):
    """Logits of the skew over `preprocess.bin_centres()`.

    Turning the page shifts the logits: weights are shared over angles and the angle axis is circular. About 0.15 M
    parameters; the fully connected layer of DeskewNetV4, whose place the sharing takes, had 16 M.

    Args:
        width: channels of the first convolution; the others follow from it.
    """

    def __init__(self, width: int = 16):
        super().__init__()
        self.spectrum = nn.Sequential(
            SpectrumBlock(1, width, (5, 5), (2, 2)),
            SpectrumBlock(width, 2 * width, (5, 3), (1, 2)),
            SpectrumBlock(2 * width, 2 * width, (3, 3), (1, 2)),
        )
        channels = 3 * width
        # A convolution over all remaining radii: where on the radius something lies matters, so they are not averaged.
        self.gather = nn.Conv2d(2 * width, channels, (1, BANDS // 8))
        self.angles = nn.Sequential(
            *(AngleBlock(channels, 5, dilation) for dilation in (1, 3, 9)), AngleBlock(channels, 3, 1)
        )
        self.head = nn.Conv2d(channels, 2, 1)  # two bins an angle position: the first convolution halves the axis

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        """
        Args:
            spectrum: float32 [batch, ANGLES, BANDS], as `polar_spectrum` makes it.

        Returns:
            Logits [batch, ANGLES].
        """
        x = self.spectrum(spectrum[:, None])
        x = self.angles(torch.relu(self.gather(x)))
        return self.head(x)[..., 0].transpose(1, 2).reshape(-1, ANGLES)
