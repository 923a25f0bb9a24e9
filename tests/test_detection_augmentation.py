"""Training crops keep regions on their text."""

import cv2
import numpy as np
import pytest

from trainers.data.word_boxes import quads_of
from trainers.detection.augmentation import random_crop
from trainers.detection.source import RegionSample


def page() -> RegionSample:
    """White paper with dark bars, each a region."""
    boxes = np.array([[60 + 40 * (row % 3), 50 + 60 * row, 360, 74 + 60 * row] for row in range(9)], np.float32)
    image = np.full((640, 480, 3), 255, np.uint8)
    for left, top, right, bottom in boxes.astype(int):
        image[top:bottom, left:right] = 0
    return RegionSample(image, quads_of(boxes), np.arange(9) == 4)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.3])
def test_regions_stay_on_their_text(scale):
    seen = 0
    for seed in range(20):
        crop = random_crop(page(), np.random.default_rng(seed), 256, scale, 10)
        assert crop.image.shape == (256, 256, 3) and len(crop.quads) == len(crop.ignore)
        dark = (crop.image[..., 0] < 128).astype(np.uint8)
        drawn = np.zeros_like(dark)
        cv2.fillPoly(drawn, list(crop.quads.round().astype(np.int32)), 1)
        seen += len(crop.quads)
        if dark.any():
            assert (dark & drawn).sum() / (dark | drawn).sum() > 0.75
    assert seen > 20


def test_a_crop_depends_on_its_generator_alone():
    one, again = (random_crop(page(), np.random.default_rng(7), 128, 0.8, 5) for _ in range(2))
    assert (one.image == again.image).all() and (one.quads == again.quads).all()


def test_pages_without_regions_and_smaller_than_the_crop():
    blank = RegionSample(np.full((40, 30, 3), 200, np.uint8), np.zeros((0, 4, 2), np.float32), np.zeros(0, bool))
    crop = random_crop(blank, np.random.default_rng(0), 64, 0.5, 5)
    assert crop.image.shape == (64, 64, 3) and crop.quads.shape == (0, 4, 2) and (crop.image == 200).all()


def test_ignored_regions_stay_ignored():
    found = [random_crop(page(), np.random.default_rng(seed), 640, 1.0, 0) for seed in range(5)]
    assert all(crop.ignore.sum() <= 1 for crop in found) and any(crop.ignore.any() for crop in found)
