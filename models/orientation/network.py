"""Orientation networks. Need torch; reading does not.

Both map tiles of a page to (evidence, weight); a page's answer is the mean of its tiles' evidence under the softmax of
their weights, see `pool_tiles`.
"""

import torch
from torch import nn


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions round a shortcut (ResNet's basic block)."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, channels, 3),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


class GlyphNet(nn.Module):
    """A small fully convolutional network that votes at every place of a tile.

    Each cell of the 1/16 feature map sees about ten glyphs and gives logits and an attention weight; photos, rules and
    empty paper learn to weigh nothing. About 0.4 M parameters; any tile size that 16 divides.

    Args:
        classes: 4 (quarter turns) or 2 (upside down or not).
        width: channels of the first convolution; the others follow from it.
    """

    def __init__(self, classes: int = 4, width: int = 16):
        super().__init__()
        self.features = nn.Sequential(
            _convolution(1, width, 5, 2),
            _convolution(width, 2 * width, 3, 2),
            _convolution(2 * width, 4 * width, 3, 2),
            _convolution(4 * width, 8 * width, 3, 2),
            Residual(8 * width),
        )
        self.votes = nn.Conv2d(8 * width, classes, 1)
        self.attention = nn.Conv2d(8 * width, 1, 1)

    def forward(self, tiles: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Args:
            tiles: float32 [batch, height, width], local contrast as `page_tiles` makes it.

        Returns:
            Evidence [batch, classes] (logits) and weight [batch] (log of the summed attention); in training also the
            votes of all places [batch, classes, height / 16, width / 16].
        """
        x = self.features(tiles[:, None])
        places, attention = self.votes(x), self.attention(x).flatten(2)
        evidence = (places.flatten(2) * torch.softmax(attention, dim=2)).sum(dim=2)
        weight = torch.logsumexp(attention, dim=2)[:, 0]
        return (evidence, weight, places) if self.training else (evidence, weight)


class MobileViT(nn.Module):
    """The source system's choice: MobileViT-XXS (timm) on the whole page as one tile, here with the same outputs."""

    def __init__(self, classes: int = 4):
        super().__init__()
        import timm  # only this architecture needs it

        self.body = timm.create_model("mobilevit_xxs", pretrained=False, in_chans=1, num_classes=classes)

    def forward(self, tiles: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As `GlyphNet.forward`, a whole tile being one place; all tiles weigh the same. Sides are multiples of 32."""
        evidence = self.body(tiles[:, None])
        weight = torch.zeros_like(evidence[:, 0])
        return (evidence, weight, evidence[..., None, None]) if self.training else (evidence, weight)


ARCHITECTURES = {"glyphnet": GlyphNet, "mobilevit_xxs": MobileViT}


def pool_tiles(evidence: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """[pages, tiles, classes] and [pages, tiles] → logits [pages, classes]: attention over all places of all tiles."""
    return (evidence * torch.softmax(weight, dim=1)[..., None]).sum(dim=1)
