import cv2
import numpy as np
import pytest

from models.meter_screen.predictor import STRIDE, ScreenDecoding, find
from models.meter_screen.preprocess import ScreenInput
from trainers.meter_screen.targets import targets

FORM = ScreenInput(colour="RGB", mean=0, std=255, long_side=320, closer_side=224, closer_height=160)
CLASSES = ["analog", "digital", "analog_illegible", "digital_illegible"]


def photo(*displays: tuple[int, int, int, int]) -> np.ndarray:
    """Return a dark photo with white displays, each left, top, width and height in px."""
    image = np.full((720, 960, 3), 40, np.uint8)
    for left, top, width, height in displays:
        image[top : top + height, left : left + width] = 255
    return image


class WhiteRectangles:
    """In the place of the network: displays are white and level. What it sees from afar is `off` by px of the canvas,
    and as sure as `presence`; from close by it is sure and exact."""

    def __init__(self, off: float = 0.0, presence: float = 1.0, closer_presence: float = 1.0):
        self.off, self.presence, self.closer_presence = off, presence, closer_presence
        self.looks: list[tuple[int, ...]] = []

    def __call__(self, canvas: np.ndarray) -> tuple[np.ndarray, ...]:
        rows, columns = canvas.shape[0] // STRIDE, canvas.shape[1] // STRIDE
        closer = canvas.shape[:2] == (FORM.closer_height, FORM.closer_side)
        self.looks.append(canvas.shape[:2])
        presence, corners = np.zeros((4, rows, columns), np.float32), np.zeros((4, 8, rows, columns), np.float32)
        count, _, boxes, _ = cv2.connectedComponentsWithStats((canvas[..., 0] > 150).astype(np.uint8))
        for left, top, width, height, _ in boxes[1:count]:
            quad = np.float32([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])
            truth = targets(quad if closer else quad + self.off, rows, columns)
            mine = truth["presence"][0] > presence[0]
            presence[0] = np.maximum(presence[0], truth["presence"][0])
            corners[0] = np.where(mine, truth["offsets"], corners[0])
        kind = np.zeros((4, rows, columns), np.float32)
        kind[0] = 1
        return presence * (self.closer_presence if closer else self.presence), kind, corners.reshape(32, rows, columns)


def test_a_small_display_is_looked_at_from_close_by():
    network = WhiteRectangles(off=3.0, presence=0.2)
    (screen,) = find(photo((400, 300, 150, 36)), network, FORM, CLASSES, ScreenDecoding())
    assert network.looks == [(256, 320), (160, 224)]
    assert np.allclose(screen.corners, [[400, 300], [550, 300], [550, 336], [400, 336]], atol=2)
    assert screen.presence > 0.9 and screen.meter_class == "analog"


def test_a_large_display_is_seen_at_once():
    network = WhiteRectangles()
    (screen,) = find(photo((200, 300, 500, 120)), network, FORM, CLASSES, ScreenDecoding())
    assert len(network.looks) == 1
    assert np.allclose(screen.corners, [[200, 300], [700, 300], [700, 420], [200, 420]], atol=4)


@pytest.mark.parametrize(("presence", "closer_presence", "looks"), [(0.1, 1.0, 1), (0.5, 0.3, 2), (0.5, 0.0, 2)])
def test_what_is_no_display_from_close_by_is_none(presence, closer_presence, looks):
    network = WhiteRectangles(presence=presence, closer_presence=closer_presence)
    assert find(photo((400, 300, 150, 36)), network, FORM, CLASSES, ScreenDecoding()) == []
    assert len(network.looks) == looks


def test_two_displays_are_two():
    found = find(photo((100, 100, 150, 36), (600, 500, 160, 40)), WhiteRectangles(), FORM, CLASSES, ScreenDecoding())
    assert sorted(round(float(screen.corners[0][0]), -1) for screen in found) == [100, 600]
