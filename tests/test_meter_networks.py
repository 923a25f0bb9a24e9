import numpy as np
import pytest
import torch

from models.meter_digits.network import DigitNet
from models.meter_digits.predictor import LABELS, decode
from models.meter_digits.preprocess import StripInput
from models.meter_screen.network import ScreenNet
from models.meter_screen.predictor import decode as decode_screens

pytestmark = pytest.mark.usefixtures("one_thread")
FORM = StripInput(
    colour="RGB", mean=127.5, std=127.5, height=48, display=32, margin=16, min_width=96, max_width=576, width_step=32
)
CLASSES = ["analog", "digital", "analog_illegible", "digital_illegible"]


def test_shapes():
    screen, digits = ScreenNet(4), DigitNet(1 + len(LABELS))
    assert [tuple(o.shape) for o in screen(torch.zeros(2, 3, 96, 128))] == [
        (2, 4, 12, 16),
        (2, 4, 12, 16),
        (2, 32, 12, 16),
    ]
    assert [tuple(o.shape) for o in digits(torch.zeros(2, 3, 48, 160))] == [(2, 20, 22), (2, 20, 4), (2, 20, 2)]
    presence, kind, _ = screen.eval()(torch.zeros(1, 3, 64, 64))
    assert 0 < float(presence.detach().max()) < 0.2 and np.allclose(kind.sum(dim=1).detach(), 1, atol=1e-5)
    classes, box, _ = digits.eval()(torch.zeros(1, 3, 48, 96))
    assert np.allclose(classes.sum(dim=2).detach(), 1, atol=1e-5) and float(box.min()) > 0


def cells(quads: dict[int, np.ndarray], rows: int = 12, columns: int = 40):
    """Return what a perfect network says of displays, by reading direction."""
    from trainers.meter_screen.targets import targets

    presence, corners = np.zeros((4, rows, columns), np.float32), np.zeros((4, 8, rows, columns), np.float32)
    for direction, quad in quads.items():
        truth = targets(quad, rows, columns)
        mine = truth["presence"][direction] > presence[direction]
        presence[direction] = np.maximum(presence[direction], truth["presence"][direction])
        corners[direction] = np.where(mine, truth["offsets"], corners[direction])
    kind = np.zeros((4, rows, columns), np.float32)
    kind[1] = 1
    return presence, kind, corners.reshape(32, rows, columns)


def test_what_the_truth_says_is_decoded_to_the_same_displays():
    level = np.float32([[30, 20], [110, 24], [109, 44], [29, 40]])
    upside_down = np.float32([[300, 60], [220, 62], [220, 45], [300, 43]])
    found = decode_screens(*cells({0: level, 2: upside_down}), CLASSES, 0.4)
    assert len(found) == 2 and {screen.meter_class for screen in found} == {"digital"}
    for quad in (level, upside_down):
        assert min(np.abs(screen.corners - quad).max() for screen in found) < 0.5
    assert decode_screens(*cells({}), CLASSES, 0.4) == []


def test_columns_are_decoded_to_digits_with_boxes_fraction_and_position():
    classes = np.full((40, 22), 0.001, np.float32)
    classes[:, 0] = 0.9
    for column, (name, share) in {
        8: ("1", 0.9),
        14: ("1", 0.8),
        15: ("1", 0.6),
        22: (".7", 0.95),
        30: ("x", 0.7),
    }.items():
        classes[column] = 0.001
        classes[column, 1 + LABELS.index(name)] = share
    classes[22, 1 + LABELS.index("7")] = 0.04
    box = np.full((40, 4), 0.2, np.float32)
    position = np.tile(np.float32([np.cos(0.2 * np.pi * 7.5), np.sin(0.2 * np.pi * 7.5)]), (40, 1))
    digits = decode(classes, box, position, FORM)
    assert [digit.character for digit in digits] == ["1", "1", "7", "x"]
    seven = digits[2]
    assert seven.position == pytest.approx(7.5, abs=1e-3) and seven.firmness == pytest.approx(1)
    assert seven.fraction > 0.9 and digits[0].fraction < 0.6 and seven.confidence == pytest.approx(0.99)
    assert np.allclose(seven.box, (180 - 9.6, 24 - 9.6, 180 + 9.6, 24 + 9.6), atol=1e-3)


def test_of_two_digits_in_one_place_the_surer_stays():
    classes = np.zeros((20, 22), np.float32)
    classes[:, 0] = 1
    for column, name, share in ((8, "3", 0.6), (9, "8", 0.9)):
        classes[column] = 0
        classes[column, 1 + LABELS.index(name)], classes[column, 0] = share, 1 - share
    digits = decode(classes, np.full((20, 4), 0.3, np.float32), np.zeros((20, 2), np.float32), FORM)
    assert [digit.character for digit in digits] == ["8"]
