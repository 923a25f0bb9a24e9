"""The maps that a DB network learns."""

import cv2
import numpy as np
import pytest

from models.text_detection.db import DBDecoding, decode
from trainers.data.word_boxes import quads_of
from trainers.detection.targets import offset, shrink_distance, targets

BOX = quads_of([[20, 30, 180, 60]])
KEEP, IGNORE = np.zeros(1, bool), np.ones(1, bool)


def test_shrinking_moves_the_sides_as_the_paper_says():
    distance = shrink_distance(BOX[0], 0.4)
    assert distance == pytest.approx(160 * 30 * (1 - 0.16) / (2 * (160 + 30)))
    (inner,) = offset(BOX[0], -distance)
    expected = [20 + distance, 30 + distance, 180 - distance, 60 - distance]
    np.testing.assert_allclose([*inner.min(axis=0), *inner.max(axis=0)], expected, atol=0.1)
    (outer,) = offset(BOX[0], 5)
    np.testing.assert_allclose([*outer.min(axis=0), *outer.max(axis=0)], [15, 25, 185, 65], atol=0.1)


def test_maps_of_one_region():
    maps = targets(BOX, KEEP, 100, 200, 0.6)
    distance = shrink_distance(BOX[0], 0.6)
    ys, xs = np.nonzero(maps.text)
    expected = [20 + distance, 30 + distance, 180 - distance, 60 - distance]
    np.testing.assert_allclose([xs.min(), ys.min(), xs.max(), ys.max()], expected, atol=1)
    assert maps.used.all()
    assert maps.threshold[30, 100] == pytest.approx(0.7 * 255, abs=1)  # on a side
    assert maps.threshold[45, 100] == pytest.approx(0.3 * 255, abs=1)  # the middle is farther away than the distance
    halfway = maps.threshold[round(30 - distance / 2), 100] / 255
    assert halfway == pytest.approx(0.5, abs=0.05)
    assert (
        maps.border[45, 100] == 1 and maps.border[5, 5] == 0 and maps.threshold[5, 5] == pytest.approx(0.3 * 255, abs=1)
    )
    assert all(part.dtype == np.uint8 and part.shape == (100, 200) for part in maps)


@pytest.mark.parametrize("quads", [BOX, quads_of([[20, 30, 180, 33]]), np.zeros((1, 4, 2), np.float32)])
def test_ignored_small_and_empty_regions_are_not_learnt(quads):
    maps = targets(quads, IGNORE if quads is BOX else KEEP, 100, 200, 0.6)
    assert not maps.text.any() and not maps.border.any()
    if quads is BOX:
        assert not maps.used[30:61, 20:181].any() and maps.used[:29].all()


def test_a_region_that_the_crop_cuts_is_drawn_up_to_the_edge():
    maps = targets(quads_of([[-300, 30, 180, 60], [500, 0, 600, 30]]), np.zeros(2, bool), 100, 200, 0.6)
    assert maps.text[45, 0] and maps.border[45, 0]


# One ratio cannot fit all: boxes of short words come out too large.
@pytest.mark.parametrize(("width", "angle", "least"), [(300, 0, 0.8), (300, 7, 0.8), (60, 0, 0.65), (60, -7, 0.65)])
def test_decoding_perfect_maps_gives_the_regions_back(width, angle, least):
    corners = cv2.boxPoints(((200, 100), (width, 30), angle))
    quad = corners[None][:, [1, 2, 3, 0]].astype(np.float32)
    text = targets(quad, KEEP, 200, 400, 0.6).text
    (region,) = decode(text * 255, (1, 1), DBDecoding(unclip_ratio=1.5))
    inside = np.zeros((2, 200, 400), np.uint8)
    for target, polygon in zip(inside, (quad[0], region.polygon), strict=True):
        cv2.fillPoly(target, [polygon.round().astype(np.int32)], 1)
    assert (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum() > least
