"""ICDAR's counts against cases counted by hand."""

import numpy as np
import pytest

from trainers.data.word_boxes import quads_of
from trainers.detection.metrics import Matches, detection_metrics, match

NONE = np.zeros((0, 4, 2), np.float32)
PAGE = quads_of([[0, 0, 100, 20], [0, 40, 100, 60], [0, 80, 100, 100]])


def nothing_ignored(quads: np.ndarray) -> np.ndarray:
    return np.zeros(len(quads), bool)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([[0, 0, 100, 20], [0, 40, 100, 60], [0, 80, 100, 100]], (3, 3, 3)),
        ([[0, 0, 51, 20]], (1, 1, 3)),  # IoU 0.51
        ([[0, 0, 50, 20]], (0, 1, 3)),  # IoU 0.5 is not more than 0.5
        ([[0, 0, 100, 20], [0, 0, 100, 19]], (1, 2, 3)),  # a second box of the same line is wrong
        ([[0, 0, 49, 20], [51, 0, 100, 20]], (0, 2, 3)),  # so are two halves
        ([[0, 0, 100, 60]], (0, 1, 3)),  # and two lines in one
        ([[200, 0, 300, 20]], (0, 1, 3)),
        ([], (0, 0, 3)),
    ],
)
def test_counts(boxes, expected):
    found = quads_of(np.array(boxes, np.float32).reshape(-1, 4))
    assert match(found, PAGE, nothing_ignored(PAGE)) == expected


def test_the_largest_overlap_is_matched_first():
    true = quads_of([[0, 0, 100, 20], [0, 6, 100, 26]])
    found = quads_of([[0, 5, 100, 25], [0, 0, 100, 21]])  # the first overlaps both lines by more than half
    assert match(found, true, nothing_ignored(true)) == (2, 2, 2)
    assert match(found[::-1], true, nothing_ignored(true)) == (2, 2, 2)


def test_ignored_regions_are_neither_right_nor_wrong():
    ignore = np.array([False, True, False])
    boxes = [[0, 0, 100, 20], [0, 40, 40, 60], [0, 50, 100, 69]]  # the last: 10 of 19 px in the ignored line
    assert match(quads_of(boxes), PAGE, ignore) == (1, 1, 2)
    assert match(quads_of([[0, 50, 100, 70]]), PAGE, ignore) == (0, 1, 2)  # half is not more than half
    assert match(quads_of(boxes), PAGE, np.ones(3, bool)) == (0, 0, 0)
    assert match(NONE, PAGE, ignore) == (0, 0, 2)


def test_turned_quads_and_affine_maps():
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    found = quads_of([[3, 2, 100, 22], [0, 45, 100, 65], [0, 95, 100, 115]])
    expected = match(found, PAGE, nothing_ignored(PAGE))
    assert expected == (2, 3, 3)
    assert match(found @ turn * (2, 0.7), PAGE @ turn * (2, 0.7), nothing_ignored(PAGE)) == expected


def test_quads_without_area_or_with_crossed_corners_do_no_harm():
    crossed = PAGE[:1][:, [0, 2, 1, 3]]
    flat = np.zeros((1, 4, 2), np.float32)
    assert match(np.concatenate([crossed, flat]), PAGE, nothing_ignored(PAGE)) == (1, 2, 3)


def test_metrics_are_sums_over_pages():
    assert detection_metrics([Matches(1, 2, 4), Matches(2, 2, 2)]) == {
        "precision": 3 / 4,
        "recall": 3 / 6,
        "hmean": pytest.approx(2 * 0.75 * 0.5 / 1.25),
    }
    assert detection_metrics([]) == {"precision": 0.0, "recall": 0.0, "hmean": 0.0}
