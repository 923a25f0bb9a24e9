"""Drawings, scales and ticks."""

from xml.etree import ElementTree

import numpy as np
import pytest

from common import svg
from tests.hostile import hostile


def test_elements_keep_text_as_it_is():
    text = hostile("x")
    drawing = svg.element("svg", "before", svg.element("title", text), "after", *svg.both(text, "가"), class_=text)
    again = ElementTree.fromstring(svg.markup(drawing))
    assert again.get("class") == text and again.text == "before"
    assert [each.text for each in again] == [text, text, "가"] and again[0].tail == "after"
    assert [each.get("lang") for each in again] == [None, "en", "ko"]


def test_attributes_are_named_and_rounded():
    line = svg.element("line", x1=3, y1=2.04, x2=-0.66, text_anchor="end", viewBox="0 0 1 1")
    assert line.attrib == {"x1": "3", "y1": "2", "x2": "-0.7", "text-anchor": "end", "viewBox": "0 0 1 1"}
    assert svg.points([(1, 2.25), (3.0, 4)]) == "1,2.2 3,4"


def test_a_linear_axis_may_run_upwards():
    up = svg.Linear(10, 20, 300, 100)
    assert [up(value) for value in (10, 15, 20)] == [300, 200, 100]


@pytest.mark.parametrize("most", [4, 5, 6])
@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-13.2, 37), (0, 3), (0, 12_345), (0, 0.004), (44.5, 45), (0.97, 0.9803)]
)
def test_ticks_are_round_and_few(low, high, most):
    ticks = svg.nice_ticks(low, high, most)
    assert 2 <= len(ticks) <= 8 and low - 1e-9 <= ticks[0] and ticks[-1] <= high + 1e-9
    assert np.ptp(np.diff(ticks)) < 1e-6


def test_ticks_of_one_value():
    assert svg.nice_ticks(3, 3) == [3]
