"""DBNet on a light backbone: PP-LCNet (Cui et al., 2021) under a feature pyramid (Lin et al., CVPR 2017)."""

import torch
from torch import nn

from models.text_detection.networks.base import DBDetector, branch, enlarged
from models.text_recognition.networks.base import convolution
from models.text_recognition.networks.svtr import separable

# Depthwise separable convolutions of each level (stride 4, 8, 16, 32): (outputs, kernel) at scale 1
_LEVELS = (
    ((32, 3), (64, 3), (64, 3)),
    ((128, 3), (128, 3)),
    ((256, 3), (256, 5), (256, 5), (256, 5), (256, 5)),
    ((512, 5), (512, 5)),
)


class DBNet(DBDetector):
    """1.1 M parameters at scale 1.

    Args:
        scale: of the backbone's channels.
        neck: channels of the pyramid, a multiple of 4: each level gives a quarter of them.
    """

    def __init__(self, scale: float = 1.0, neck: int = 96):
        super().__init__(neck, neck // 4)
        inputs = int(16 * scale)
        self.stem = convolution(3, inputs, 3, 2, activation=nn.Hardswish)
        self.levels = nn.ModuleList()
        widths = []
        for number, level in enumerate(_LEVELS):
            layers: list[nn.Module] = []
            for place, (outputs, kernel) in enumerate(level):
                # The first level halves the stem's size at its second block, where channels are still few.
                stride = 2 if place == (1 if number == 0 else 0) else 1
                outputs = int(outputs * scale)
                layers += separable(inputs, outputs, stride, kernel, excite=number == len(_LEVELS) - 1)
                inputs = outputs
            self.levels.append(nn.Sequential(*layers))
            widths.append(inputs)
        self.lateral = nn.ModuleList(nn.Conv2d(width, neck, 1, bias=False) for width in widths)
        self.smooth = nn.ModuleList(convolution(neck, neck // 4, 3) for _ in widths)
        self.probability = branch(neck, neck // 4)

    def features(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(image)
        pyramid = []
        for level, lateral in zip(self.levels, self.lateral, strict=True):
            x = level(x)
            pyramid.append(lateral(x))
        for number in range(len(pyramid) - 2, -1, -1):
            pyramid[number] = pyramid[number] + enlarged(pyramid[number + 1], pyramid[number])
        levels = [smooth(x) for smooth, x in zip(self.smooth, pyramid, strict=True)]
        features = torch.cat([levels[0], *(enlarged(level, levels[0]) for level in levels[1:])], dim=1)
        return features, self.probability(features)
