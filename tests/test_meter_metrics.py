"""Figures of meters against cases counted by hand."""

import numpy as np
import pytest

from trainers.data.meter_sample import METER_CLASSES
from trainers.meter.metrics import (
    BINARY,
    ReadMeter,
    binary,
    compare,
    confusion,
    corner_errors,
    fit_sure,
    latency_metrics,
    meter_metrics,
    misordered,
    quad_ious,
    reading_metrics,
    screen_metrics,
)

DISPLAY = np.float32([[10, 10], [110, 10], [110, 30], [10, 30]])  # 20 px high
NONE = np.zeros((4, 2), np.float32)


def quads(*given) -> np.ndarray:
    return np.array(given, np.float32)


def screens(true, found, label=None, found_label=None):
    label = [0] * len(true) if label is None else label
    return screen_metrics(
        {
            "corners": quads(*true),
            "found": quads(*found),
            "label": np.array(label),
            "found_label": np.array(label if found_label is None else found_label),
        }
    )


def readings(true, read, **more):
    arrays = {name: np.array(values) for name, values in more.items()}
    return reading_metrics({"true": np.array(true, object), "read": np.array(read, object)} | arrays)


def test_overlaps_of_quads():
    half = np.subtract(DISPLAY, (50, 0))
    bow = DISPLAY[[0, 2, 1, 3]]
    assert quad_ious(quads(DISPLAY, DISPLAY, DISPLAY, DISPLAY), quads(DISPLAY, half, NONE, bow)).tolist() == [
        pytest.approx(1),
        pytest.approx(1 / 3),
        0,
        pytest.approx(1),  # crossed corners: their hull
    ]


def test_corner_errors_are_heights_of_the_display():
    slanted = np.float32([[0, 0], [100, 0], [100, 30], [0, 10]])  # 10 and 30 px high: 20 on average
    moved = slanted + np.float32([[3, 4], [0, 0], [0, 0], [0, 5]])
    assert corner_errors(quads(DISPLAY, slanted), quads(np.add(DISPLAY, (0, 10)), moved)) == pytest.approx(
        [0.5, 2.5 / 20]
    )


@pytest.mark.parametrize(("turn", "expected"), [(0, False), (1, True), (2, True), (3, True)])
def test_the_order_of_corners(turn, expected):
    assert misordered(quads(DISPLAY), quads(np.add(np.roll(DISPLAY, turn, axis=0), (2, 1)))).tolist() == [expected]


def test_screens():
    upside_down = np.roll(DISPLAY, 2, axis=0)
    aside = np.add(DISPLAY, (60, 0))
    metrics = screens(
        [DISPLAY, DISPLAY, DISPLAY, DISPLAY, NONE, NONE],
        [DISPLAY, upside_down, aside, NONE, DISPLAY, NONE],
        [0, 0, 1, 2, -1, -1],
        [0, 2, 1, -1, 0, -1],
    )
    assert metrics == {
        "quad_iou": pytest.approx((1 + 1 + 0.25) / 4),
        "quad_iou_50": 0.5,
        "upside_down": 0.25,
        "corner_error": pytest.approx(3.0),
        "corner_error_p90": pytest.approx(3 + 0.8 * (np.hypot(100, 20) / 20 - 3)),
        "class_accuracy": 0.5,  # right: the first, the third, and the last without a display
        "binary_accuracy": pytest.approx(4 / 6),
        "false_alarms": 0.5,
    }


def test_what_there_is_no_photo_for_is_left_out():
    assert set(screens([NONE], [NONE], [-1])) == {"class_accuracy", "binary_accuracy", "false_alarms"}
    unknown = screens([DISPLAY], [NONE], [-1], [-1])  # a display of unknown class, not found
    assert unknown == {"quad_iou": 0, "quad_iou_50": 0, "upside_down": 0}
    assert latency_metrics([]) == {}
    assert meter_metrics([]) == {}


def test_confusion():
    true, found = ["analog", "digital_illegible", "none", "analog"], ["analog", "digital", "analog_illegible", "none"]
    assert confusion(map(binary, true), map(binary, found), BINARY).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]
    matrix = confusion(true, found, METER_CLASSES)
    assert matrix.shape == (5, 5) and matrix.sum() == 4 and matrix[3, 1] == matrix[4, 2] == matrix[0, 4] == 1


@pytest.mark.parametrize(
    ("true", "read", "zeros", "expected"),  # digits, point, integer, near
    [
        ("00013.116", "00013.116", True, (1, 1, 1, 1)),
        ("13.116", "00013.116", False, (1, 1, 1, 1)),
        ("13.116", "00013.116", True, (0, 1, 0, 0)),
        ("13.116", "00013116", False, (1, 0, 0, 1)),
        ("13.116", "00013.117", False, (0, 1, 1, 1)),
        ("13.116", "00013.118", False, (0, 1, 1, 0)),
        ("130.000", "00129.999", False, (0, 1, 0, 1)),
        ("0.000", "99999.999", False, (0, 1, 0, 1)),
        ("99999.999", "00000.000", True, (0, 1, 0, 1)),
        ("0.5", "0000.5", False, (1, 1, 1, 1)),
        ("13.116", "0001x.116", False, (0, 1, 0, 0)),
        ("0001x.116", "0001x.116", True, (1, 1, 1, 1)),
        ("13.116", "", False, (0, 0, 0, 0)),
        ("92.0", "92.0", True, (1, 1, 1, 1)),
        ("0.0", "", False, (0, 0, 0, 0)),
    ],
)
def test_readings_compared(true, read, zeros, expected):
    compared = compare(true, read, zeros)
    assert (compared.digits, compared.point, compared.integer, compared.near) == expected


def test_readings():
    true, read = ["12.5", "12.5", "12.5", "12.5", "12.5"], ["12.5", "12.6", "42.5", "1x.5", "125"]
    metrics = readings(true, read, success=[True, True, True, False, False])
    assert metrics == {
        "recognition_rate": 0.4,
        "within_one": pytest.approx(0.6),
        "integer_right": pytest.approx(0.4),
        "point_right": pytest.approx(0.8),
        "unreadable_places": pytest.approx(1 / 15),
        "given": pytest.approx(0.6),
        "wrong_given": pytest.approx(2 / 3),
        "far_wrong_given": pytest.approx(1 / 3),
    }
    assert "given" not in readings(true, read)
    assert "wrong_given" not in readings(true, read, success=[False] * 5)


def test_single_digits_count_apart():
    metrics = readings(["7", "3", "12.5"], ["7", "8", "12.5"], single=[True, True, False])
    assert metrics["digit_accuracy"] == 0.5 and metrics["recognition_rate"] == 1
    assert readings(["7"], ["7"], single=[True]) == {"digit_accuracy": 1.0}


def test_how_sure_is_sure_enough():
    confidence = np.array([0.2, 0.5, 0.6, 0.6, 0.8, 0.9])
    right = np.array([True, False, True, True, True, True])
    assert fit_sure(confidence, right, 0.0) == 0.6
    assert fit_sure(confidence, right, 0.2) == 0.2
    assert fit_sure(confidence, np.array([1, 1, 1, 0, 1, 1], bool), 0.0) == 0.8  # what is equally sure goes together
    assert fit_sure(confidence, ~right, 0.0) == 1.0
    metrics = readings(["12.5"] * 3, ["12.5", "12.5", "62.5"], confidence=[0.9, 0.8, 0.3])
    assert metrics["sure"] == 0.8 and metrics["given"] == pytest.approx(2 / 3) and metrics["wrong_given"] == 0


def test_latency():
    metrics = latency_metrics([0.01] * 50 + [0.03] * 50)
    assert metrics == {
        "latency_p50_ms": pytest.approx(20),
        "latency_p90_ms": pytest.approx(30),
        "latency_p99_ms": pytest.approx(30),
    }


def test_meters_from_photo_to_reading():
    good = ReadMeter(
        "a", None, DISPLAY, "analog", "12.5", False, DISPLAY, "analog", "00012.5", success=True, seconds=0.1
    )
    illegible = ReadMeter(
        "b", None, DISPLAY, "analog_illegible", None, True, DISPLAY, "analog", "00012.5", success=True, seconds=0.3
    )
    nothing = ReadMeter("c", None, None, "none", None, True, None, "none", "", success=False)
    metrics = meter_metrics([good, illegible, nothing])
    assert metrics["quad_iou_50"] == metrics["recognition_rate"] == metrics["binary_accuracy"] == 1
    assert metrics["class_accuracy"] == pytest.approx(2 / 3)
    assert metrics["invented"] == 0.5 and metrics["false_alarms"] == 0 and metrics["wrong_given"] == 0
    assert metrics["latency_p50_ms"] == pytest.approx(200)
    only_read = meter_metrics([ReadMeter("d", truth="12.5", reading="12.6", success=False)])
    assert only_read["within_one"] == 1 and only_read["given"] == 0 and "quad_iou" not in only_read
