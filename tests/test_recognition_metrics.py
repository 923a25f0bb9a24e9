"""Measures of read lines, and the calibration of confidences."""

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from models.text_recognition.ctc import Calibration
from trainers.recognition.metrics import (
    align,
    character_accuracy,
    comparable,
    error_rate,
    expected_calibration_error,
    fit_calibration,
    recognition_metrics,
    reliability,
    reliability_text,
    script,
)


@pytest.mark.parametrize(
    ("true", "read", "rate"),
    [
        ("가나다라", "가나다라", 0),
        ("가나다라", "가나라", 1 / 4),
        ("abc", "axc", 1 / 3),
        ("abc", "", 1),
        ("", "ab", 2),
        ("", "", 0),
        ("kitten", "sitting", 3 / 6),
        ("a b", "ab", 1 / 3),
        ("가", "가", 0),  # decomposed
        (" a  b ", "a b", 0),
    ],
)
def test_error_rate(true, read, rate):
    assert error_rate(align(comparable(true), comparable(read))) == pytest.approx(rate)


def test_alignment_is_minimal():
    rng = np.random.default_rng(0)
    for _ in range(300):
        one, other = ("".join(rng.choice(list("abcd "), rng.integers(0, 40))) for _ in range(2))
        pairs = align(one, other)
        assert "".join(a for a, _ in pairs) == one and "".join(b for _, b in pairs) == other
        assert sum(a != b for a, b in pairs) == Levenshtein.distance(one, other)


def test_metrics_by_script():
    true = ["총 금액 1,000원", "Total 25", "맞는 줄"]
    read = ["총 금액 1,00원", "Tota1 25", "맞는 줄"]
    metrics = recognition_metrics(true, read)
    assert metrics["line_accuracy"] == pytest.approx(1 / 3)
    assert metrics["cer"] == pytest.approx(2 / (11 + 8 + 4))
    assert metrics["word_accuracy"] == pytest.approx(5 / 7)
    assert metrics["cer_digit"] == pytest.approx(1 / 6) and metrics["cer_latin"] == pytest.approx(1 / 5)
    assert metrics["cer_hangul"] == 0 and metrics["cer_space"] == 0 and "cer_han" not in metrics
    assert recognition_metrics([], [])["line_accuracy"] == 0


def test_an_inserted_character_counts_to_its_own_script():
    metrics = recognition_metrics(["ab 1"], ["ab 19"])
    assert metrics["cer_digit"] == 1 and metrics["cer_latin"] == 0
    assert recognition_metrics(["ab"], ["ab 9"])["cer"] == 1


@pytest.mark.parametrize(
    ("character", "name"),
    [("가", "hangul"), ("ㅋ", "hangul"), ("e", "latin"), ("é", "latin"), ("7", "digit"), (" ", "space"), ("漢", "han")],
)
def test_scripts(character, name):
    assert script(character) == name
    assert script("₩") == script("①") == script("(") == "other"


def test_character_accuracy_lies_in_0_to_1():
    assert character_accuracy("ab", "abcdef") == pytest.approx(2 / 6)
    assert character_accuracy("ab", "") == 0 and character_accuracy("", "") == 1


def made(scale, offset, count=4000, seed=0):
    rng = np.random.default_rng(seed)
    probability = 1 / (1 + np.exp(-rng.normal(2, 2, count)))
    right = rng.random(count) < Calibration(scale=scale, offset=offset)(probability)
    return probability, right.astype(float)


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (0.5, -1), (1.6, 0.4)])
def test_calibration_is_found_again(scale, offset):
    probability, accuracy = made(scale, offset)
    fitted = fit_calibration(probability, accuracy)
    assert fitted.scale == pytest.approx(scale, rel=0.12) and fitted.offset == pytest.approx(offset, abs=0.15)
    other, right = made(scale, offset, seed=1)
    before = expected_calibration_error(reliability(other, right))
    after = expected_calibration_error(reliability(np.asarray(fitted(other)), right))
    assert after < 0.03 and (offset == 0 or after < 0.5 * before)


@pytest.mark.parametrize(
    ("probability", "accuracy"),
    [([], []), ([0.0, 0.0], [0.0, 0.0]), ([0.99] * 5, [1.0] * 5), ([0.9, 0.1], [0.0, 1.0]), ([1.0, 0.0], [1.0, 0.0])],
)
def test_calibration_of_few_or_odd_lines_stays_sane(probability, accuracy):
    fitted = fit_calibration(np.array(probability), np.array(accuracy))
    assert fitted.scale > 0 and abs(fitted.offset) < 10
    confidence = fitted(np.array([0.1, 0.5, 0.99]))
    assert (np.diff(confidence) > 0).all()


def test_reliability_table():
    confidence, accuracy = np.array([0.05, 0.95, 0.91, 1.0]), np.array([0.0, 1.0, 0.5, 1.0])
    low, high = reliability(confidence, accuracy)
    assert (low.count, low.confidence, low.accuracy) == (1, pytest.approx(0.05), 0.0)
    assert (high.low, high.count, high.accuracy) == (0.9, 3, pytest.approx(2.5 / 3))
    error = expected_calibration_error([low, high])
    assert error == pytest.approx((0.05 + abs(0.95 + 0.91 + 1.0 - 2.5)) / 4)
    assert reliability_text([low, high]).count("\n") == 3
    assert reliability(np.array([]), np.array([])) == [] and expected_calibration_error([]) == 0
