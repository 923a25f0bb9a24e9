"""Words joined to lines."""

import numpy as np

from trainers.data.word_boxes import join_rows, joined_boxes, quads_of


def groups(boxes) -> list[list[int]]:
    return [group.tolist() for group in join_rows(np.array(boxes, float))]


def test_words_of_a_row_become_a_line():
    assert groups([[60, 0, 100, 12], [0, 0, 50, 12], [105, 1, 150, 13]]) == [[1, 0, 2]]
    np.testing.assert_array_equal(joined_boxes([[60, 0, 100, 12], [0, 2, 50, 14]]), [[0, 0, 100, 14]])


def test_wide_gaps_and_other_rows_part_lines():
    assert groups([[0, 0, 50, 12], [63, 0, 100, 12]]) == [[0], [1]]  # a gap of 13 px at 12 px of height
    assert groups([[0, 0, 50, 12], [0, 14, 50, 26], [55, 15, 90, 27]]) == [[0], [1, 2]]
    assert groups([[0, 0, 50, 12], [55, 7, 90, 19]]) == [[0], [1]]  # less than half of the height in common
    assert groups([[0, 0, 50, 12], [55, 0, 90, 40]]) == [[0], [1]]  # a heading beside small print


def test_overlapping_words_are_neighbours_but_not_boxes_in_one_another():
    assert groups([[0, 0, 50, 12], [48, 0, 90, 12]]) == [[0, 1]]
    assert groups([[0, 0, 100, 12], [10, 0, 40, 12]]) == [[0], [1]]


def test_rows_that_share_a_tall_neighbour_stay_two():
    assert groups([[0, 0, 16, 20], [20, 0, 60, 11], [20, 12, 60, 23]]) == [[0, 1], [2]]


def test_nothing_and_quads():
    assert join_rows(np.zeros((0, 4))) == [] and joined_boxes(np.zeros((0, 4))).shape == (0, 4)
    np.testing.assert_array_equal(quads_of([[1, 2, 3, 4]]), [[[1, 2], [3, 2], [3, 4], [1, 4]]])
