"""The orientation task: samples, the direction of its classes, both architectures, two and four ways."""

import numpy as np
import pytest
import torch

from models.geometry import turn
from models.orientation.network import ARCHITECTURES, pool_tiles
from models.orientation.preprocess import OrientationInput, page_tiles
from tests.test_deskew import text_page
from trainers.orientation.task import OrientationSettings, OrientationTask, place_losses, windowed

pytestmark = pytest.mark.train


class DrawnPages:
    """Upright pages of text."""

    def page(self, index):
        return np.repeat(text_page(420, 400, seed=index)[..., None], 3, axis=2)

    def skew_degrees(self, index):
        return 0.0


SMALL = {"long_side": 320, "tile": 128, "max_tiles": 3, "train_tile": 96, "crops": 2}


def make_task(**settings):
    pages = DrawnPages()
    return OrientationTask(OrientationSettings(**SMALL | settings), {"train": pages, "validation": pages}, seed=3)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_samples_depend_on_seed_split_and_index_alone(split):
    task = make_task()
    first, again, other = task.sample(5, split), task.sample(5, split), task.sample(6, split)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["tiles"] != other["tiles"]).any()
    assert first["tiles"].shape == ((2, 96, 96) if split == "train" else (3, 128, 128))


def test_labels_are_quarter_turns_counter_clockwise():
    """The class of a page turned counter-clockwise by 90 degrees is the class that `loss` gives to such tiles."""
    task = make_task(damage=0, residual_skew=0)
    settings = OrientationInput(long_side=320, tile=320, max_tiles=1)
    upright, turned = (torch.from_numpy(page_tiles(turn(text_page(400, 400), angle), settings)) for angle in (0, 90))
    seen = []

    def network(tiles):
        seen.append(tiles)
        return torch.zeros(len(tiles), 4, requires_grad=True), torch.zeros(len(tiles)), torch.zeros(len(tiles), 4, 1, 1)

    batch = {"tiles": (upright[None] * 42).to(torch.int8), "count": torch.ones(1), "label": torch.zeros(1)}
    task.settings = task.settings.model_copy(update={"crops": 1})
    task.loss(network, batch)
    assert torch.corrcoef(torch.stack([seen[0][1].flatten(), turned[0].flatten()]))[0, 1] > 0.9
    assert torch.corrcoef(torch.stack([seen[0][3].flatten(), turned[0].flatten()]))[0, 1] < 0.5


@pytest.mark.parametrize("classes", [2, 4])
def test_a_few_steps_lower_the_loss(classes):
    task = make_task(classes=classes, damage=0)
    torch.manual_seed(0)
    network = task.network()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    batch = task.collate([task.sample(index, "train") for index in range(4)])
    losses = []
    for _ in range(10):
        loss, _ = task.loss(network, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("classes", [2, 4])
def test_validation_metrics(classes):
    task = make_task(classes=classes)
    batch = task.collate([task.sample(index, "validation") for index in range(3)])
    with torch.no_grad():
        predictions = task.predict(task.network().eval(), batch)
    assert predictions["predicted"].shape == predictions["true"].shape == (3,)
    assert (predictions["predicted"] < classes).all()
    metrics = task.metrics({"true": np.array([0, 1, 1, 0]), "predicted": np.array([0, 1, 0, 0])})
    assert metrics["accuracy"] == 0.75
    assert metrics["upside_down"] == (0.25 if classes == 2 else 0.0)
    assert task.card_fields().labels == (["0", "180"] if classes == 2 else ["0", "90", "180", "270"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures_share_their_outputs(architecture):
    network = ARCHITECTURES[architecture](classes=4).eval()
    with torch.no_grad():
        evidence, weight = network(torch.randn(2, 64, 64))
    assert evidence.shape == (2, 4)
    assert weight.shape == (2,)


def test_pooling_over_tiles_is_attention_over_the_whole_page():
    torch.manual_seed(0)
    network = ARCHITECTURES["glyphnet"](classes=4).eval()
    tiles = torch.randn(3, 64, 64)
    with torch.no_grad():
        pooled = pool_tiles(*(output[None] for output in network(tiles)))[0]
        features = network.features(tiles[:, None])
        attention = torch.softmax(network.attention(features).flatten(), dim=0)
        votes = network.votes(features).permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(pooled, votes @ attention)


def test_places_are_judged_by_the_ink_they_see():
    tiles = torch.zeros(2, 160, 160)
    tiles[0, :40, :40] = 3.0
    label = torch.tensor([1, 2])
    places = torch.zeros(2, 4, 10, 10)
    places[0, 1, :6, :6] = 20.0  # right where there is ink
    places[1, 0] = 20.0  # wrong where there is none
    loss, accuracy = place_losses(places, label, tiles)
    assert loss < 1e-3 and accuracy == 1.0


def test_a_window_keeps_what_it_shows():
    tile = np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    shown = windowed(tile, np.random.default_rng(1))
    kept = shown != 0
    assert 0.09 * 0.9 < kept.mean() <= 1
    np.testing.assert_array_equal(shown[kept], tile[kept])


def test_a_blank_page_trains_nothing():
    task = make_task(damage=0)
    task.sources["train"].page = lambda index: np.full((200, 150, 3), 255, np.uint8)
    samples = [task.sample(index, "train") for index in range(2)]
    loss, _ = task.loss(task.network(), task.collate(samples))
    assert loss.item() == 0.0 or any(sample["count"] for sample in samples)


def test_width_is_the_glyph_networks():
    narrow, usual = make_task(width=8), make_task()
    assert narrow.network().features[0][0].out_channels == 8
    assert (narrow.card_fields().architecture, usual.card_fields().architecture) == ("glyphnet width 8", "glyphnet")
    with pytest.raises(ValueError, match="mobilevit_xxs has one width only"):
        make_task(architecture="mobilevit_xxs", width=8)
