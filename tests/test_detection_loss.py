"""The loss of differentiable binarisation."""

import pytest
import torch

from models.text_detection.networks import Maps
from models.text_detection.networks.base import STEEPNESS
from trainers.detection.loss import BETA, db_loss, dice_loss, mined_cross_entropy


def maps(probability: torch.Tensor, threshold: torch.Tensor) -> Maps:
    binary = STEEPNESS * (torch.sigmoid(probability) - torch.sigmoid(threshold))
    return Maps(probability[:, None], threshold[:, None], binary[:, None])


@pytest.fixture
def text() -> torch.Tensor:
    text = torch.zeros(2, 64, 64)
    text[:, 20:30, 10:50] = 1
    return text


def test_perfect_maps_cost_nothing(text):
    used, border = torch.ones_like(text), torch.ones_like(text)
    threshold = torch.full_like(text, 0.5)
    loss, parts = db_loss(maps(20 * (2 * text - 1), torch.zeros_like(text)), text, used, threshold, border)
    assert loss.item() == pytest.approx(0, abs=1e-3)
    assert parts.keys() == {"probability_loss", "binary_loss", "threshold_loss"}
    worse, parts = db_loss(maps(20 * (2 * text - 1), torch.zeros_like(text)), text, used, threshold - 0.2, border)
    assert parts["threshold_loss"].item() == pytest.approx(0.2, abs=1e-5)
    assert worse.item() == pytest.approx(BETA * 0.2, abs=1e-2)


def test_what_is_not_used_does_not_count(text):
    logits, used = torch.zeros_like(text), torch.ones_like(text)
    used[:, 40:] = 0
    wrong = logits.clone()
    wrong[:, 40:] = 30
    args = (text, used, torch.full_like(text, 0.3), text)
    one, other = (db_loss(maps(x, torch.zeros_like(x)), *args)[0] for x in (logits, wrong))
    assert one.item() == pytest.approx(other.item())


def test_three_negatives_to_a_positive_and_the_hardest(text):
    logits = torch.full_like(text, -20.0)
    logits[text > 0] = 20
    positives = int(text.sum())
    flat = logits.flatten()
    hard = (text.flatten() == 0).nonzero()[: 6 * positives, 0]
    flat[hard] = 5.0  # more hard negatives than are taken
    expected = 3 * positives * torch.nn.functional.softplus(torch.tensor(5.0)) / (4 * positives)
    assert mined_cross_entropy(logits, text, torch.ones_like(text)).item() == pytest.approx(expected.item(), rel=1e-3)


def test_batches_without_text_give_finite_losses_and_gradients():
    nothing = torch.zeros(1, 32, 32)
    logits = torch.zeros(1, 32, 32, requires_grad=True)
    loss, _ = db_loss(maps(logits, logits), nothing, torch.ones_like(nothing), nothing, nothing)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0
    blank, _ = db_loss(maps(logits, logits), nothing, nothing, nothing, nothing)
    assert torch.isfinite(blank)


def test_dice(text):
    assert dice_loss(text, text, torch.ones_like(text)).item() == pytest.approx(0, abs=1e-3)
    assert dice_loss(1 - text, text, torch.ones_like(text)).item() == pytest.approx(1, abs=1e-2)
