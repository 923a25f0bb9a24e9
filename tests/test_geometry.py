"""Turning pages within bounds."""

import cv2
import numpy as np
import pytest

from models.geometry import invert_affine, transform_points, turn, turn_matrix, turn_within


@pytest.mark.parametrize("degrees", [0, 90, 13.7])
def test_a_page_within_the_bounds_is_turned_at_full_resolution(degrees):
    page = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    turned, matrix = turn_within(page, degrees, 1_000_000, 10)
    np.testing.assert_array_equal(turned, turn(page, degrees))
    np.testing.assert_array_equal(matrix, turn_matrix(90, 60, degrees)[0])


@pytest.mark.parametrize("degrees", [-45, 0.5, 90, 180, 30])
def test_a_page_beyond_the_bounds_is_reduced_and_mapped(degrees):
    page = np.full((1200, 900), 255, np.uint8)
    cv2.circle(page, (700, 300), 20, 0, -1)
    turned, matrix = turn_within(page, degrees, 200_000, 50)
    assert turned.size <= 202_000
    x, y = np.argwhere(turned < 128).mean(axis=0)[::-1]
    np.testing.assert_allclose(transform_points(invert_affine(matrix), np.array([x, y])), (700, 300), atol=1.5)


def test_the_shorter_side_is_kept_where_it_matters():
    page = np.zeros((5000, 100), np.uint8)
    assert turn_within(page, 180, 10_000, 100)[0].shape == (5000, 100)


@pytest.mark.parametrize("size", [(16, 60_000), (60_000, 16), (1, 250_000)])
def test_a_strip_askew_takes_no_gigabytes(size):
    turned, _ = turn_within(np.zeros((*size, 3), np.uint8), 45, 4_000_000, 800)
    assert turned.shape[0] * turned.shape[1] < 4_100_000
