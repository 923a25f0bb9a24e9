"""The loss of differentiable binarisation: L = Ls + alpha x Lb + beta x Lt (Liao et al., AAAI 2020, section 3.6).

Ls: binary cross-entropy of the probability map, the hardest negatives three to a positive. Lb: dice loss (Milletari et
al., 3DV 2016) of the approximate binary map. Lt: L1 of the threshold map around regions.
"""

import torch
from torch.nn import functional

from models.text_detection.networks import Maps

ALPHA, BETA = 1.0, 10.0
NEGATIVES = 3  # to a positive
_LEAST_NEGATIVES = 1000  # px; a batch without text is learnt from too


def db_loss(
    maps: Maps, text: torch.Tensor, used: torch.Tensor, threshold: torch.Tensor, border: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the loss and its parts.

    Args:
        maps: of a network in training.
        text, used, border: float32 [batch, height, width], 0 or 1; see `trainers.detection.targets.Targets`.
        threshold: float32 [batch, height, width], 0..1.
    """
    probability = mined_cross_entropy(maps.probability.float()[:, 0], text, used)
    binary = dice_loss(torch.sigmoid(maps.binary.float()[:, 0]), text, used)
    distance = (torch.sigmoid(maps.threshold.float()[:, 0]) - threshold).abs()
    thresholds = (distance * border).sum() / border.sum().clamp(min=1)
    parts = {"probability_loss": probability, "binary_loss": binary, "threshold_loss": thresholds}
    return probability + ALPHA * binary + BETA * thresholds, {name: part.detach() for name, part in parts.items()}


def mined_cross_entropy(logits: torch.Tensor, text: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over all positives and the `NEGATIVES` times as many negatives of the largest loss."""
    losses = functional.binary_cross_entropy_with_logits(logits, text, reduction="none") * used
    positive, negative = text * used, (1 - text) * used
    positives = int(positive.sum())
    negatives = min(max(NEGATIVES * positives, _LEAST_NEGATIVES), int(negative.sum()))
    hardest = torch.topk((losses * negative).flatten(), negatives).values.sum()
    return ((losses * positive).sum() + hardest) / max(1, positives + negatives)


def dice_loss(probability: torch.Tensor, text: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """1 - 2 |both| ÷ (|one| + |other|) over the whole batch."""
    probability, text = probability * used, text * used
    return 1 - (2 * (probability * text).sum() + 1) / (probability.sum() + text.sum() + 1)
