import numpy as np
import pytest
import torch

from models.bundle import load_bundle
from models.geometry import quad_size
from models.meter_digits.predictor import LABELS
from models.meter_screen.predictor import STRIDE
from trainers.core.config import load_config
from trainers.core.task import Evaluated
from trainers.data.meter_sample import MeterDigit, MeterSample
from trainers.meter_digits.targets import UNTAUGHT, column_targets, digit_class, reading_labels
from trainers.meter_digits.task import MeterDigitsSettings, MeterDigitsTask, side_by_side
from trainers.meter_screen.targets import Views, hidden, targets, view
from trainers.meter_screen.task import NONE, MeterScreenSettings, MeterScreenTask, presence_losses

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.train]
CORNERS = np.float32([[60, 80], [220, 90], [218, 120], [58, 110]])


def photo(**changes) -> MeterSample:
    """Return a grey photo whose display is a white quad with a black left end."""
    import cv2

    image = np.full((240, 320, 3), 90, np.uint8)
    cv2.fillConvexPoly(image, CORNERS.astype(np.int32), (255, 255, 255))
    cv2.fillConvexPoly(image, np.int32([CORNERS[0], CORNERS[0] + (20, 1), CORNERS[3] + (20, 1), CORNERS[3]]), (0, 0, 0))
    fields = {"image": image, "kind": "photo", "meter_class": "analog", "corners": CORNERS, "reading": "7.5"}
    return MeterSample(**fields | {"leading_zeros": False} | changes)


def crop(position: float) -> MeterSample:
    digit = MeterDigit(str(int(position)), position, None, False)
    return MeterSample(np.full((40, 24, 3), 30 + 20 * int(position), np.uint8), "strip", "analog", digits=(digit,))


class Meters:
    """A source that gives the samples it holds, over and over."""

    def __init__(self, *samples: MeterSample):
        self.samples = samples

    def meter(self, index: int) -> MeterSample:
        return self.samples[index % len(self.samples)]

    def name(self, index: int) -> str:
        return f"meter {index}"


def test_views_keep_the_display_under_its_corners():
    for seed in range(12):
        seen = view(photo(), np.random.default_rng(seed), 320, Views(turned=0.5, width=(60, 280)))
        assert seen.image.shape == (320, 320, 3) and 50 < max(quad_size(seen.corners)) < 330
        middle, left = (
            seen.corners.mean(axis=0),
            seen.corners[[0, 3]].mean(axis=0) * 0.94 + seen.corners[[1, 2]].mean(axis=0) * 0.06,
        )
        x, y = np.rint(middle).astype(int)
        assert seen.image[y, x].mean() > 200  # the white display
        if (left > 4).all() and (left < 316).all() and min(quad_size(seen.corners)) > 12:
            x, y = np.rint(left).astype(int)
            assert seen.image[y, x].mean() < 130  # its black end, so the reading order is kept
    assert view(photo(corners=None, meter_class="none"), np.random.default_rng(0), 320, Views()).corners is None


def test_a_hidden_display_is_illegible_and_the_rest_is_as_it_was():
    sample = photo()
    covered = hidden(sample, np.random.default_rng(3))
    assert covered.meter_class == "analog_illegible" and (covered.image[:40] == sample.image[:40]).all()
    assert np.ptp(covered.image[95:105, 80:200].astype(int), axis=1).max() < 130


@pytest.mark.parametrize(("turn", "taught"), [(0, {0}), (180, {2}), (90, {1}), (50, {1}), (-10, {0})])
def test_cells_near_the_middle_learn_the_direction_and_the_corners(turn, taught):
    angle = np.radians(turn)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = ((np.float32([[-60, -10], [60, -10], [60, 10], [-60, 10]]) @ turned.T) + 100).astype(np.float32)
    truth = targets(corners, 26, 26)
    assert {d for d in range(4) if truth["presence"][d].max() > 0.9} == taught
    either = {d for d in range(4) if truth["presence"][d].min() < 0}
    assert either == ({0} if turn == 50 else set())
    for corner, (row, column) in [(n, cell) for n in range(4) for cell in np.argwhere(truth["near"][2 * n] > 0)]:
        offset = truth["offsets"][2 * corner : 2 * corner + 2, row, column]
        assert np.allclose(offset * 32 + (np.array([column, row]) + 0.5) * STRIDE, corners[corner], atol=0.01)
    own_end, other_end = (truth["near"][2 * n][truth["near"][2 * n] > 0] for n in (0, 1))
    assert own_end.max() > 0.8 and np.allclose(np.sort(own_end), np.sort(other_end), atol=0.15)
    assert not targets(None, 26, 26)["near"].any()


def test_presence_is_judged_where_there_is_one_answer():
    presence = torch.zeros(1, 4, 4, 4)
    presence[0, 0, 1, 1] = 1
    right = torch.full_like(presence, -6.0)
    right[0, 0, 1, 1] = 6.0
    assert presence_losses(right, presence) < 0.01 < presence_losses(-right, presence)
    presence[0, 1, 2, 2] = -1
    right[0, 1, 2, 2] = 6.0
    assert presence_losses(right, presence) < 0.01


def test_labels_of_readings():
    places = [digit_class("7", False), digit_class("5", True)]
    assert reading_labels("7.5", True) == [places] and LABELS[places[1] - 1] == ".5"
    several = reading_labels("7.5", False)
    assert several[2] == [1, 1, *places] and {len(label) for label in several} == set(range(2, 10))
    assert [*places, digit_class("0", True)] in several
    assert [places[0]] in reading_labels("7.0", False)  # a display without a fraction
    assert reading_labels("0x", True) == [[1, len(LABELS)]]


def test_columns_learn_from_boxes():
    digits = [MeterDigit("3", 3.25, None, False), MeterDigit("8", None, None, True)]
    truth = column_targets(digits, np.float32([[16, 8, 32, 40], [40, 8, 56, 40]]), 10, 48)
    assert truth.classes[2] == digit_class("3", False)
    assert digit_class("8", True) in truth.classes and 0 in truth.classes and (truth.classes == UNTAUGHT).sum() == 7
    known = np.flatnonzero(np.isfinite(truth.position[:, 0]))
    assert len(known) and (known * 8 + 4 < 34).all()  # an LCD digit has no position
    middle = (known[0] + 0.5) * 8
    assert np.allclose(truth.box[known[0]] * 48, [middle - 16, 32 - middle, 16, 16], atol=0.01)


def test_crops_of_digits_make_a_display():
    display = side_by_side([crop(3.0), crop(7.9), crop(1.4)], np.random.default_rng(1), 48)
    assert [digit.character for digit in display.digits] == ["3", "8", "1"]  # 7.9 shows the 8 already
    for digit in display.digits:
        left, right = digit.box[0][0], digit.box[1][0]
        inside = display.image[:, int(left) + 1 : int(right) - 1]
        assert inside.min() == inside.max()
    assert display.digits[2].box[1][0] == display.image.shape[1]


def test_the_screen_task_learns_a_photo(tmp_path):
    task = MeterScreenTask(
        MeterScreenSettings(long_side=128, view_side=128, backbone_rate=1, augmentation=0, turned=0, hidden=0),
        {"train": Meters(photo()), "validation": Meters(photo(), photo(corners=None, meter_class="none"))},
        0,
    )
    torch.manual_seed(0)
    network = task.network().train()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    batch = task.collate([task.sample(index, "train") for index in range(12)])
    losses = []
    for _ in range(60):
        loss, parts = task.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0] and set(parts) == {"presence", "corner", "kind"}
    validation = task.collate([task.sample(index, "validation") for index in range(2)])
    assert validation["label"].tolist() == [0, NONE]
    with torch.no_grad():
        metrics = task.metrics(task.predict(network.eval(), validation))
    assert {"quad_iou", "quad_iou_50", "false_alarms", "class_accuracy"} <= set(metrics)
    with torch.no_grad():
        reported = task.write_report(tmp_path, Evaluated("m", "d", metrics), task.predict(network, validation), 5)
    assert "2 meters" in reported and "meter 1" in (tmp_path / "meters.tsv").read_text()


def test_the_digit_task_learns_readings_boxes_and_crops(tmp_path):
    boxed = photo(
        digits=tuple(
            MeterDigit(c, float(c), np.float32([[x, 85], [x + 25, 86], [x + 25, 113], [x, 112]]), c == "5")
            for c, x in (("7", 70), ("5", 150))
        ),
        leading_zeros=True,
    )
    source = Meters(boxed, photo(), crop(2.0))
    task = MeterDigitsTask(
        MeterDigitsSettings(backbone_rate=1, augmentation=0), {"train": source, "validation": source}, 0
    )
    batch = task.collate([task.sample(index, "train") for index in range(6)])
    assert batch["owner"].bincount().tolist()[:2] == [1, 21]  # one label, and one for each number of zeros
    assert batch["sides"].tolist()[:3] == [1, 1, 0]
    torch.manual_seed(0)
    network = task.network().train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss, parts = task.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all() and losses[-1] < 0.8 * losses[0]
    assert set(parts) == {"ctc", "column", "box", "position"}
    validation = task.collate([task.sample(index, "validation") for index in range(3)])
    with torch.no_grad():
        predictions = task.predict(network.eval(), validation)
    assert predictions["true"].tolist() == ["7.5", "7.5", "2"] and predictions["single"].tolist() == [
        False,
        False,
        True,
    ]
    metrics = task.metrics(predictions)
    assert {"recognition_rate", "digit_accuracy", "sure"} <= set(metrics)
    assert task.fitted_decoding(metrics) == {"sure": metrics["sure"]} and task.fitted_decoding({}) == {}
    task.decode_as(load_bundle("meter-digits@1"), refit=False)
    assert task.metrics(predictions)["sure"] == load_bundle("meter-digits@1").card.decoding["sure"]
    task.decode_as(load_bundle("meter-digits@1"), refit=True)
    assert task.metrics(predictions) == metrics
    assert "3 meters" in task.write_report(tmp_path, Evaluated("m", "d", metrics), predictions, 5)


@pytest.mark.parametrize("name", ["meter_screen", "meter_digits"])
def test_the_shipped_configs_are_valid(name):
    assert load_config(f"configs/train/{name}.yaml").task == name


def test_digits_start_from_the_published_recogniser():
    task = MeterDigitsTask(MeterDigitsSettings(), {}, 0)
    network = task.network()
    weights, labels = task.published_weights("ppocrv6-rec@small")
    adapted, reported = task.adapt_weights(network, weights, labels, "ppocrv6-rec@small")
    network.load_state_dict(adapted)
    assert "start anew" in reported and task.published_weights("deskew@1") is None
    assert torch.equal(network.state_dict()["backbone.0.first.weight"], weights["backbone.0.first.weight"])
    assert task.rate_factors() == {"backbone.": 0.3}
    own, _ = task.adapt_weights(network, network.state_dict(), list(LABELS), "run")
    assert torch.equal(own["head.weight"], network.state_dict()["head.weight"])
