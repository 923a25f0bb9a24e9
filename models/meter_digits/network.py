"""The digit network: a display's flat strip to digits along its columns."""

import torch
from torch import nn
from torch.nn import functional

from models.text_recognition.networks.ppocr import PPOCRv6

BOX_SIDES = 4  # left, right, top, bottom


class DigitNet(PPOCRv6):
    """Columns of a strip to classes, for connectionist temporal classification, and what else is seen of a digit there.

    PP-OCRv6's recogniser with other outputs: its published weights know print, blur and LCD segments already, and a
    network of this size learned from nothing needs hours to know as much. CTC lets readings without digit boxes be
    learned from; where boxes are known the columns are taught by them too, so a digit's class peaks in the middle of
    its box and the other outputs are read off there. Attention lets a wheel see its neighbours: how a half-turned wheel
    is read depends on the one to its right.

    Args:
        classes: outputs of a column, the blank included.
    """

    def __init__(self, classes: int):
        super().__init__(classes)
        channels = self.head.in_features
        self.box = nn.Linear(channels, BOX_SIDES)
        self.position = nn.Linear(channels, 2)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Args:
            image: float32 [batch, 3, 48, width], width a multiple of 8.

        Returns:
            Of each column of 8 px: classes [batch, columns, classes] (logits in training, else probabilities); box
            [batch, columns, 4]: how far the digit's left, right, top and bottom side are from the column's middle, in
            strip heights, all positive when it lies within; position [batch, columns, 2]: cosine and sine of where the
            wheel is, a full turn for ten digits, shorter than 1 where the network is not sure.
        """
        x = self.steps(image)
        classes, box, position = self.head(x), self.box(x), self.position(x)
        if self.training:
            return classes, box, position
        return torch.softmax(classes.float(), dim=2), functional.softplus(box.float()), position.float()
