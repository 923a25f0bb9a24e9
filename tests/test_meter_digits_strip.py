import numpy as np
import pytest

from models.geometry import halved, map_points, warp
from models.meter_digits.preprocess import StripInput, cut_strip, strip_width

FORM = StripInput(
    colour="RGB", mean=127.5, std=127.5, height=48, display=32, margin=16, min_width=64, max_width=400, width_step=32
)


def photo_with_display(corners: np.ndarray, size: int = 400) -> np.ndarray:
    """Return a grey photo with a display drawn into the quad: dark, its left end red, its upper half brighter."""
    import cv2

    flat = np.full((40, 200, 3), 60, np.uint8)
    flat[:20] = 110
    flat[:, :40] = (250, 0, 0)
    matrix = cv2.getPerspectiveTransform(np.float32([[0, 0], [200, 0], [200, 40], [0, 40]]), np.float32(corners))
    image = np.full((size, size, 3), 180, np.uint8)
    cv2.warpPerspective(flat, matrix, (size, size), dst=image, borderMode=cv2.BORDER_TRANSPARENT)
    return image


@pytest.mark.parametrize(
    "corners",
    [
        [[100, 100], [300, 100], [300, 140], [100, 140]],
        [[300, 240], [100, 240], [100, 200], [300, 200]],  # upside down
        [[200, 50], [200, 350], [140, 350], [140, 50]],  # reads downwards
        [[60, 80], [330, 40], [340, 100], [70, 150]],
        [[20, 100], [380, 120], [380, 300], [20, 280]],  # large: reduced by area first
    ],
)
def test_a_strip_shows_the_display_in_reading_order_with_its_margin(corners):
    corners = np.float32(corners)
    strip, matrix = cut_strip(photo_with_display(corners), corners, FORM)
    assert strip.shape == (48, strip_width(corners, FORM), 3)
    right = strip.shape[1] - FORM.margin
    assert np.allclose(map_points(matrix, corners), [[16, 8], [right, 8], [right, 40], [16, 40]], atol=0.01)
    red, upper, lower = strip[24, 22], strip[14, strip.shape[1] // 2], strip[34, strip.shape[1] // 2]
    assert red[0] > 180 and red[1] < 60 and upper.mean() > lower.mean() + 30
    assert strip[3, 40].mean() > 150  # margin: what is around the display


@pytest.mark.parametrize("finer", [1, 3, 7, 13])
def test_what_is_reduced_stays_in_its_place(finer):
    matrix = np.diag([1 / finer, 1 / finer, 1.0])
    matrix[:2, 2] = -5.3, -2.2
    image = np.zeros((40 * finer, 60 * finer, 3), np.uint8)
    top, left, side = 20 * finer + 1, 30 * finer + 2, 4 * finer
    image[top : top + side, left : left + side] = 200
    shown = warp(image, matrix, (50, 36), finer)[..., 0].astype(float)
    rows, columns = np.indices(shown.shape)
    seen = (columns * shown).sum() / shown.sum(), (rows * shown).sum() / shown.sum()
    assert np.allclose(seen, map_points(matrix, [left + (side - 1) / 2, top + (side - 1) / 2]), atol=0.1)


def test_halved_leaves_out_the_last_of_odd_sides_and_stops_at_one_pixel():
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    half, divisor = halved(image, 1)
    assert divisor == 2 and half.tolist() == [[4, 6, 8], [18, 20, 22]]
    assert halved(image, 9)[1] == 4 and halved(image, 9)[0].shape == (1, 1)
    assert halved(image, 0)[0] is image


def test_widths_keep_to_the_limits():
    narrow, wide = ([[0, 0], [w, 0], [w, 20], [0, 20]] for w in (5, 2000))
    assert strip_width(np.float32(narrow), FORM) == 64 and strip_width(np.float32(wide), FORM) == 400


def test_a_display_that_leaves_the_photo_repeats_its_edge():
    corners = np.float32([[-60, -10], [90, -10], [90, 20], [-60, 20]])
    strip, _ = cut_strip(np.full((30, 100, 3), 90, np.uint8), corners, FORM)
    assert strip.min() == strip.max() == 90
