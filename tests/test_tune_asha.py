"""Rungs: who goes on, and who is known never to."""

import math
import random

from tuners.asha import Rungs


def test_milestones_are_below_a_full_trial():
    assert Rungs(10, 270, 3, 1).milestones == [10, 30, 90]
    assert Rungs(10, 100, 3, 1).milestones == [10, 30]  # a trial that got to 90 is trained to its end
    assert Rungs(70, 100, 3, 1).milestones == [70]
    assert Rungs(100, 100, 3, 1).milestones == []


def test_the_best_third_of_those_that_came_passes():
    rungs = Rungs(10, 100, 3, 1)
    assert rungs.reach(1, 10, 0.5) == 0 and not rungs.may_pass(1, 0)  # nobody to compare with
    assert rungs.reach(2, 5, 0.9) is None
    assert rungs.reach(2, 12, 0.9) == 0 and not rungs.may_pass(2, 0)
    rungs.reach(3, 10, math.nan)
    assert rungs.may_pass(2, 0) and not rungs.may_pass(1, 0) and not rungs.may_pass(3, 0)
    assert rungs.reach(2, 20, 0.8) is None  # the score at the rung counts
    assert rungs.reach(2, 40, 0.8) == 1
    assert rungs.may_pass(1, 0, count=6) and not rungs.may_pass(3, 0, count=6)


def test_least_is_best_and_of_equals_who_came_first():
    rungs = Rungs(1, 2, 2, -1)
    for number, score in ((1, 3.0), (2, 2.0), (3, 2.0), (4, 5.0)):
        rungs.reach(number, 1, score)
    assert [rungs.rank(number, 0) for number in (2, 3, 1, 4)] == [0, 1, 2, 3]
    assert [number for number in (1, 2, 3, 4) if rungs.may_pass(number, 0)] == [2, 3]


def test_a_report_that_leaps_reaches_every_rung_on_its_way():
    rungs = Rungs(10, 270, 3, 1)
    assert rungs.reach(1, 95, random.random()) == 2
    assert rungs.rank(1, 0) == rungs.rank(1, 1) == 0
