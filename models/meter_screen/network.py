"""The screen network: where the display is in a photo, which way it reads, and what kind it is."""

from typing import cast

import torch
from torch import nn

from models.orientation.network import Residual
from models.text_detection.networks.base import enlarged
from models.text_detection.networks.ppocr import CHANNELS, PPOCRBackbone
from models.text_recognition.networks.base import convolution

DIRECTIONS = 4
_NECK = 64
_PRIOR = -4.0  # logit of an untrained cell: nearly none holds a display


class ScreenNet(nn.Module):
    """Displays as points (CenterNet, Zhou et al., 2019): each cell says whether a display's middle is near, and if so
    where its corners are.

    A display that hangs upside down looks much like one that does not, and corners in reading order would then be
    regressed to the mean of both, a point. So each cell has an answer of its own for each of four reading directions
    (0: to the right, 1: down, 2: to the left, 3: up) and says which one holds.

    The backbone is PP-OCRv6's text detector's: where print is, and how large, its published weights know already.

    Args:
        classes: kinds of displays.
    """

    def __init__(self, classes: int = 4):
        super().__init__()
        self.backbone = PPOCRBackbone()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, _NECK, 1) for channels in CHANNELS[1:])
        # What the whole meter looks like says which way the display reads.
        self.surroundings = nn.Sequential(Residual(_NECK), Residual(_NECK))
        self.join = nn.Sequential(Residual(_NECK), convolution(_NECK, _NECK, 3))
        self.presence = nn.Conv2d(_NECK, DIRECTIONS, 1)
        self.kind = nn.Conv2d(_NECK, classes, 1)
        self.corners = nn.Conv2d(_NECK, DIRECTIONS * 8, 1)
        nn.init.constant_(cast(torch.Tensor, self.presence.bias), _PRIOR)

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
        pyramid = [lateral(x) for lateral, x in zip(self.lateral, self.backbone(image)[1:], strict=True)]
        top = self.surroundings(torch.relu(pyramid[-1]))
        for below in pyramid[-2::-1]:
            top = below + enlarged(top, below)
        x = self.join(torch.relu(top))
        presence, kind, corners = self.presence(x), self.kind(x), self.corners(x)
        if self.training:
            return presence, kind, corners
        return torch.sigmoid(presence.float()), torch.softmax(kind.float(), dim=1), corners.float()
