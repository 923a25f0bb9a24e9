"""The screen network: where the display is in a photo, which way it reads, and what kind it is."""

import torch
from torch import nn
from torch.nn import functional

from models.orientation.network import Residual
from models.text_recognition.networks.base import convolution

DIRECTIONS = 4
_PRIOR = -4.0  # logit of an untrained cell: nearly none holds a display


class ScreenNet(nn.Module):
    """Displays as points (CenterNet, Zhou et al., 2019): each cell says whether a display's middle is near, and if so
    where its corners are.

    A display that hangs upside down looks much like one that does not, and corners in reading order would then be
    regressed to the mean of both, a point. So each cell has an answer of its own for each of four reading directions
    (0: to the right, 1: down, 2: to the left, 3: up) and says which one holds.

    Args:
        classes: kinds of displays.
        width: channels of the first convolution; the others follow from it. 16: 1.3 M parameters.
    """

    def __init__(self, classes: int = 4, width: int = 16):
        super().__init__()
        w, neck = width, 4 * width
        self.levels = nn.ModuleList(
            [
                nn.Sequential(convolution(3, w, 3, 2), convolution(w, 2 * w, 3, 2), Residual(2 * w)),
                nn.Sequential(convolution(2 * w, 4 * w, 3, 2), Residual(4 * w)),
                nn.Sequential(convolution(4 * w, 6 * w, 3, 2), Residual(6 * w), Residual(6 * w)),
                nn.Sequential(convolution(6 * w, 8 * w, 3, 2), Residual(8 * w), Residual(8 * w)),
            ]
        )
        self.lateral = nn.ModuleList(nn.Conv2d(channels * w, neck, 1) for channels in (4, 6, 8))
        self.join = nn.Sequential(Residual(neck), convolution(neck, neck, 3))
        self.presence = nn.Conv2d(neck, DIRECTIONS, 1)
        self.kind = nn.Conv2d(neck, classes, 1)
        self.corners = nn.Conv2d(neck, DIRECTIONS * 8, 1)
        nn.init.constant_(self.presence.bias, _PRIOR)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Args:
            image: float32 [batch, 3, height, width], sides multiples of 32.

        Returns:
            Of each cell of 8 px (rows = height / 8, columns likewise): presence [batch, DIRECTIONS, rows,
            columns], kind [batch, classes, rows, columns] (logits in training, else probabilities), corners [batch,
            DIRECTIONS × 8, rows, columns]: of each direction x and y of TL, TR, BR, BL less the cell's centre, in
            units of 32 px.
        """
        x = self.levels[0](image)
        pyramid = []
        for level, lateral in zip(list(self.levels)[1:], self.lateral, strict=True):
            x = level(x)
            pyramid.append(lateral(x))
        top = pyramid[-1]
        for below in pyramid[-2::-1]:
            top = below + functional.interpolate(top, scale_factor=2.0, mode="nearest")
        x = self.join(torch.relu(top))
        presence, kind, corners = self.presence(x), self.kind(x), self.corners(x)
        if self.training:
            return presence, kind, corners
        return torch.sigmoid(presence.float()), torch.softmax(kind.float(), dim=1), corners.float()
