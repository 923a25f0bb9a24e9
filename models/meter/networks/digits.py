"""The digit network: a display's flat strip to digits along its columns."""

import torch
from torch import nn
from torch.nn import functional

from models.meter.networks.residual import Residual
from models.text_recognition.networks.base import convolution
from models.text_recognition.networks.svtr import GlobalBlock

BOX_SIDES = 4  # left, right, top, bottom


class DigitNet(nn.Module):
    """Columns of a strip to classes, for connectionist temporal classification, and what else is seen of a digit there.

    CTC lets readings without digit boxes be learned from; where boxes are known the columns are taught by them too, so
    a digit's class peaks in the middle of its box and the other outputs are read off there. One block of attention lets
    a wheel see its neighbours: how a half-turned wheel is read depends on the one to its right.

    Args:
        classes: outputs of a column, the blank included.
        height: px of the strips, a multiple of 16.
        width: channels of the first convolution; the others follow from it. 32: 0.7 M parameters.
    """

    def __init__(self, classes: int, height: int = 48, width: int = 32):
        super().__init__()
        if height % 16:
            raise ValueError(f"height {height}: a multiple of 16")
        w = width
        self.backbone = nn.Sequential(
            convolution(3, w // 2, 3, 2),
            convolution(w // 2, w, 3, 2),
            Residual(w),
            convolution(w, 2 * w, 3, (2, 1)),
            Residual(2 * w),
            convolution(2 * w, 3 * w, 3, (2, 1)),
            Residual(3 * w),
            convolution(3 * w, 4 * w, (height // 16, 3), padding=(0, 1)),
        )
        self.along = convolution(4 * w, 4 * w, (1, 7), groups=4 * w)
        self.context = GlobalBlock(4 * w)
        self.norm = nn.LayerNorm(4 * w)
        self.classes = nn.Linear(4 * w, classes)
        self.box = nn.Linear(4 * w, BOX_SIDES)
        self.position = nn.Linear(4 * w, 2)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Args:
            image: float32 [batch, 3, height, width], width a multiple of 4.

        Returns:
            Of each column of 4 px: classes [batch, columns, classes] (logits in training, else probabilities); box
            [batch, columns, 4]: how far the digit's left, right, top and bottom side are from the column's middle, in
            strip heights, all positive when it lies within; position [batch, columns, 2]: cosine and sine of where the
            wheel stands, a full turn for ten digits, shorter than 1 where the network is not sure.
        """
        x = self.backbone(image)
        x = (x + self.along(x))[:, :, 0].transpose(1, 2)
        x = self.norm(self.context(x))
        classes, box, position = self.classes(x), self.box(x), self.position(x)
        if self.training:
            return classes, box, position
        return torch.softmax(classes.float(), dim=2), functional.softplus(box.float()), position.float()
