"""TPS-ResNet-BiLSTM-CTC: the four-stage architecture of Baek et al., "What Is Wrong With Scene Text Recognition Model
Comparisons?" (ICCV 2019), for strips of any height and width.

Rectification is a thin-plate spline (RARE, Shi et al., CVPR 2016), the features are the ResNet of FAN (Cheng et al.,
ICCV 2017) or the VGG of CRNN (Shi et al., TPAMI 2017), the sequence model is two bidirectional LSTMs.
"""

import torch
from torch import nn
from torch.nn import functional

from models.text_recognition.networks.base import CTCNetwork, convolution

FEATURES = 512
HIDDEN = 256
FIDUCIALS = 20


class CRNN(CTCNetwork):
    """One step for about 4 px of a strip; 48.9 M parameters with all blocks, without the head.

    Args:
        classes: outputs, the blank included.
        tps: rectify the strip first. It starts as the identity.
        features: `resnet` (44 M parameters) or `vgg` (5.6 M).
        sequence: `bilstm`, or `none`: each step is read from its own features.
        parts: see `CTCNetwork`.
    """

    def __init__(
        self,
        classes: int,
        tps: bool = True,
        features: str = "resnet",
        sequence: str = "bilstm",
        parts: torch.Tensor | None = None,
    ):
        super().__init__(HIDDEN if sequence == "bilstm" else FEATURES, classes, parts)
        self.tps = ThinPlateSpline() if tps else nn.Identity()
        self.features = {"resnet": _resnet, "vgg": _vgg}[features]()
        self.sequence = {
            "bilstm": lambda: nn.Sequential(BiLSTM(FEATURES, HIDDEN, HIDDEN), BiLSTM(HIDDEN, HIDDEN, HIDDEN)),
            "none": nn.Identity,
        }[sequence]()

    def steps(self, image: torch.Tensor) -> torch.Tensor:
        x = self.features(self.tps(image))
        return self.sequence(x.mean(dim=2).transpose(1, 2))


class ThinPlateSpline(nn.Module):
    """Bends a strip so that its text runs straight.

    Where the source system predicts the fiducial points themselves, this predicts how far each lies from its place on
    the upper or lower edge: before training, the strip comes out as it went in, whatever its width.
    """

    points: torch.Tensor
    solve: torch.Tensor

    def __init__(self, fiducials: int = FIDUCIALS):
        super().__init__()
        self.locate = nn.Sequential(
            convolution(3, 64, 3),
            nn.MaxPool2d(2),
            convolution(64, 128, 3),
            nn.MaxPool2d(2),
            convolution(128, 256, 3),
            nn.MaxPool2d(2),
            convolution(256, 512, 3),
        )
        self.offsets = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 2 * fiducials))
        for parameter in self.offsets[2].parameters():
            nn.init.zeros_(parameter)
        x = torch.linspace(-1, 1, fiducials // 2)
        points = torch.cat([torch.stack([x, torch.full_like(x, y)], dim=1) for y in (-1.0, 1.0)])
        # Not part of the state: they follow from the number of fiducials.
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("solve", _spline_system(points), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[batch, 3, height, width] → the same shape."""
        height, width = image.shape[2:]
        offsets = self.offsets(self.locate(image).mean(dim=(2, 3))).float()
        sources = self.points + offsets.unflatten(1, (-1, 2))
        with torch.autocast(image.device.type, enabled=False):  # bfloat16 knows places on long lines to 4 px only
            places = self._places(sources, height, width)
            return functional.grid_sample(
                image.float(), places, mode="bilinear", padding_mode="border", align_corners=False
            )

    def _places(self, sources: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return the source position of each pixel, [batch, height, width, 2] in -1..1, given those of the fiducial
        points."""
        weights = self.solve[:, : len(self.points)] @ sources  # [batch, fiducials + 3, 2]
        # Pixel centres in -1..1, without linspace: its steps may not depend on a dynamic size in ONNX.
        x = (2 * torch.arange(width, dtype=torch.float32, device=sources.device) + 1) / width - 1
        y = (2 * torch.arange(height, dtype=torch.float32, device=sources.device) + 1) / height - 1
        x, y = x.expand(height, width).flatten(), y[:, None].expand(height, width).flatten()
        grid = torch.stack([x, y], dim=1)
        basis = torch.cat([torch.ones_like(grid[:, :1]), grid, _kernel(grid[:, None] - self.points)], dim=1)
        return (basis @ weights).unflatten(1, (height, width))


class BiLSTM(nn.Module):
    """A bidirectional LSTM and a linear layer: [batch, steps, inputs] → [batch, steps, outputs]."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # torch.export unrolls nn.LSTM for one number of steps; ONNX has the operator itself.
        x = _onnx_lstm(self.lstm, x) if torch.onnx.is_in_onnx_export() else self.lstm(x)[0]
        return self.linear(x)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions round a shortcut."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(convolution(inputs, outputs, 3), convolution(outputs, outputs, 3, activation=None))
        self.shortcut = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1, activation=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _resnet() -> nn.Sequential:
    """29 layers; height / 16 less one, width / 4 + 1."""

    def stage(inputs: int, outputs: int, blocks: int) -> list[nn.Module]:
        return [BasicBlock(inputs if i == 0 else outputs, outputs) for i in range(blocks)]

    return nn.Sequential(
        convolution(3, 32, 3),
        convolution(32, 64, 3),
        nn.MaxPool2d(2),
        *stage(64, 128, 1),
        convolution(128, 128, 3),
        nn.MaxPool2d(2),
        *stage(128, 256, 2),
        convolution(256, 256, 3),
        nn.MaxPool2d(2, (2, 1), (0, 1)),
        *stage(256, 512, 5),
        convolution(512, 512, 3),
        *stage(512, 512, 3),
        convolution(512, 512, 2, (2, 1), (0, 1)),
        convolution(512, 512, 2, padding=0),
    )


def _vgg() -> nn.Sequential:
    """7 layers; height / 16 less one, width / 4 less one."""

    def plain(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]

    return nn.Sequential(
        *plain(3, 64),
        nn.MaxPool2d(2),
        *plain(64, 128),
        nn.MaxPool2d(2),
        *plain(128, 256),
        *plain(256, 256),
        nn.MaxPool2d((2, 1)),
        convolution(256, 512, 3),
        convolution(512, 512, 3),
        nn.MaxPool2d((2, 1)),
        nn.Conv2d(512, 512, 2),
        nn.ReLU(),
    )


def _kernel(difference: torch.Tensor) -> torch.Tensor:
    """r² log r of [..., 2] differences."""
    squared = difference.square().sum(dim=-1)
    return 0.5 * squared * torch.log(squared + 1e-12)


def _spline_system(points: torch.Tensor) -> torch.Tensor:
    """[n + 3, n + 3]: applied to the n images of `points` (and 3 zeros), gives the spline's coefficients."""
    points = points.double()
    count = len(points)
    affine = torch.cat([torch.ones(count, 1, dtype=torch.double), points], dim=1)
    matrix = torch.zeros(count + 3, count + 3, dtype=torch.double)
    matrix[:count, :3] = affine
    matrix[:count, 3:] = _kernel(points[:, None] - points)
    matrix[count:, 3:] = affine.T
    return torch.linalg.inv(matrix).float()


def _onnx_lstm(lstm: nn.LSTM, x: torch.Tensor) -> torch.Tensor:
    """Return the ONNX operator with nn.LSTM's weights: gates in the order i, o, f, c instead of i, f, c, o."""

    def gates(name: str) -> torch.Tensor:
        size = lstm.hidden_size
        both = [getattr(lstm, f"{name}_l0{direction}") for direction in ("", "_reverse")]
        return torch.stack([torch.cat([w[:size], w[3 * size :], w[size : 3 * size]]) for w in both])

    bias = torch.cat([gates("bias_ih"), gates("bias_hh")], dim=1)
    batch, steps = x.shape[:2]
    y = torch.onnx.ops.symbolic(
        "LSTM",
        (x.transpose(0, 1), gates("weight_ih"), gates("weight_hh"), bias),
        {"direction": "bidirectional", "hidden_size": lstm.hidden_size},
        dtype=x.dtype,
        shape=(steps, 2, batch, lstm.hidden_size),
        version=14,
    )
    return y.permute(2, 0, 1, 3).flatten(2)
