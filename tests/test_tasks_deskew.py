"""The skew task: samples, targets, metrics and the network's equivariance."""

import numpy as np
import pytest
import torch

from models.deskew import preprocess
from models.deskew.network import DeskewNet
from tests.pages import draw_page
from trainers.deskew.task import DeskewSettings, DeskewTask, soft_target
from trainers.pages.metrics import angle_errors, bucket_centres, bucket_f1

pytestmark = pytest.mark.train


class DrawnPages:
    """Upright pages of a few lines."""

    def page(self, index):
        return draw_page([f"PAGE {index}", "Total amount", "Invoice date", "Customer"], 420, 300)

    def skew_degrees(self, index):
        return 0.0


@pytest.fixture
def task():
    pages = DrawnPages()
    return DeskewTask(DeskewSettings(width=4), {"train": pages, "validation": pages}, seed=3)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_samples_depend_on_seed_split_and_index_alone(task, split):
    first, again, other = task.sample(5, split), task.sample(5, split), task.sample(6, split)
    np.testing.assert_array_equal(first["spectrum"], again["spectrum"])
    assert first["degrees"] == again["degrees"] != other["degrees"]
    assert first["spectrum"].shape == (preprocess.ANGLES, preprocess.BANDS)


def test_validation_angles_are_bucket_centres(task):
    for index in range(5):
        assert np.isclose(bucket_centres(90), task.sample(index, "validation")["degrees"]).any()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_truth_is_where_the_energy_lies(task, split):
    errors = []
    for index in range(12):
        sample = task.sample(index, split)
        found = preprocess.bin_centres()[np.exp(sample["spectrum"] / 2).sum(axis=1).argmax()]
        errors.append(angle_errors(found, sample["degrees"], 90))
    assert np.median(errors) < 0.5


def test_a_blank_page_weighs_nothing(task):
    task.sources["train"].page = lambda index: np.full((60, 50, 3), 255, np.uint8)
    task.settings = DeskewSettings(width=4, damage=0)
    samples = [task.sample(index, "train") for index in range(3)]
    loss, _ = task.loss(task.network(), task.collate(samples))
    assert loss.item() == 0.0 or any(sample["weight"] for sample in samples)


@pytest.mark.parametrize("range_degrees", [45, 89, 90])
def test_a_few_steps_lower_the_loss(task, range_degrees):
    task.settings = DeskewSettings(width=4, range_degrees=range_degrees)
    torch.manual_seed(0)
    network = task.network()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    batch = task.collate([task.sample(index, "train") for index in range(8)])
    losses = []
    for _ in range(12):
        loss, values = task.loss(network, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert 0 <= values["bin_accuracy"] <= 1


def test_validation_metrics(task):
    batch = task.collate([task.sample(index, "validation") for index in range(4)])
    with torch.no_grad():
        predictions = task.predict(task.network().eval(), batch)
    assert {len(values) for values in predictions.values()} == {4}
    assert set(task.metrics(predictions)) == {"within_0.5", "bucket_f1", "median_error"}
    perfect = {"predicted": np.array([-89.75, 30.25, 90.0]), "true": np.array([-89.75, 30.25, -90.0])}
    assert task.metrics(perfect)["within_0.5"] == 1.0


def test_turning_the_spectrum_shifts_the_answer():
    torch.manual_seed(0)
    network = DeskewNet(4).eval()
    spectrum = torch.randn(2, preprocess.ANGLES, preprocess.BANDS)
    with torch.no_grad():
        logits, shifted = network(spectrum), network(spectrum.roll(100, dims=1))
    torch.testing.assert_close(logits.roll(100, dims=1), shifted)


@pytest.mark.parametrize(("range_degrees", "degrees"), [(90, 0.1), (90, 90.0), (90, -89.95), (45, 60.0), (45, -45.0)])
def test_targets_lie_on_the_circle(range_degrees, degrees):
    target = soft_target(torch.tensor([degrees]), 0.3, range_degrees)[0]
    bins = preprocess.ANGLES // (2 if range_degrees == 45 else 1)
    assert target.shape == (bins,)
    assert target.sum().item() == pytest.approx(1, abs=1e-5)
    centre = preprocess.bin_centres()[:bins][target.argmax()]
    assert angle_errors(centre, degrees, 90 if range_degrees == 45 else 180) <= 0.126


def test_the_card_says_what_the_predictor_checks(task):
    fields = task.card_fields()
    assert fields.decoding == {"range_degrees": 90}
    assert fields.input == {"side": preprocess.SIDE, "angles": preprocess.ANGLES, "bands": preprocess.BANDS}
    assert task.export().example["spectrum"].shape == (2, preprocess.ANGLES, preprocess.BANDS)


def test_buckets_as_the_source_system_has_them():
    centres = bucket_centres(89)
    assert len(centres) == 356
    assert bucket_f1(centres, centres + 0.2, 89) == 1.0
    assert bucket_f1(centres, centres + 0.3, 89) < 0.01
    assert angle_errors(np.array([179.9, -10.0]), np.array([-179.9, 10.0]), 360) == pytest.approx([0.2, 20])
