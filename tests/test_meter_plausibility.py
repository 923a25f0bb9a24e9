"""Histories of meters: true ones, ones with a misread digit, and cases worked out by hand."""

import random
from datetime import datetime, timedelta, timezone
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.meter.counter import Clock, Counter, Shown, heaviest_chain, laps
from models.meter.misreadings import fills, only_meant, rolled
from models.meter.plausibility import MOST_LAPS, NEAREST, Observation, judge, judge_new

START = datetime(2026, 5, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def day(number: float, reading: str, **more) -> Observation:
    return Observation(START + timedelta(days=number), reading, **more)


def days(*readings: str) -> list[Observation]:
    return [day(number, reading) for number, reading in enumerate(readings)]


def stated(observations, *, numbers=None, **settings) -> list[tuple[bool | None, str, str | None]]:
    return [(each.plausible, each.reason, each.repaired) for each in judge(observations, **settings)]


@st.composite
def histories(draw, least=2):
    """Return readings of a counter of 4 + 2 places, in order: (observations, max_rate), some across a roll-over, at
    rates up to the very highest."""
    rate = draw(st.sampled_from([0.37, 5.0, 240.0]))
    gaps = draw(st.lists(st.integers(1, 20_000), min_size=least, max_size=12))  # minutes
    shares = draw(st.lists(st.sampled_from([0, 1, 7, 500, 999, 1000]), min_size=len(gaps), max_size=len(gaps)))
    value = draw(st.integers(0, 10**9 - 1))  # thousandths of a step
    time, observations = START, []
    for gap, share in zip(gaps, shares, strict=True):
        time += timedelta(minutes=gap)
        value += int(rate * 100 * 1000 * gap * share) // (1440 * 1000)
        digits = f"{value // 1000 % 10**6:06d}"
        observations.append(Observation(time, f"{digits[:4]}.{digits[4:]}"))
    return observations, rate


@settings(deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_a_true_history_is_plausible_in_any_order(history, shuffled):
    observations, rate = history
    shuffled.shuffle(observations)
    assert stated(observations, max_rate=rate) == [(True, "", None)] * len(observations)


@settings(deadline=None)
@given(histories(least=3), st.data())
def test_a_misread_digit_condemns_one_reading_at_most_and_repairs_are_true(history, data):
    observations, rate = history
    number = data.draw(st.integers(0, len(observations) - 1))
    true = observations[number].reading
    place = data.draw(st.sampled_from([0, 1, 2, 3, 5, 6]))
    read = data.draw(st.sampled_from("0123456789".replace(true[place], "")))
    observations[number] = Observation(observations[number].time, true[:place] + read + true[place + 1 :])
    truth = [each.reading for each in observations]
    truth[number] = true
    judged = judge(observations, max_rate=rate)
    refused = [i for i, each in enumerate(judged) if not each.plausible]
    assert len(refused) <= 1
    assert all(each.repaired in (None, right) for each, right in zip(judged, truth, strict=True))
    assert [each.reading for each in judged] == [each.reading for each in observations]
    # What was misread is refused unless it can be true beside the others, or only one other speaks against it.
    others = [i for i in range(len(truth)) if i != number]
    against = [
        i
        for i in others
        if False in (each[0] for each in stated([observations[i], observations[number]], max_rate=rate))
    ]
    if len(against) > 1:
        assert refused == [number]


@settings(deadline=None)
@given(histories(least=3), st.data())
def test_filled_places_are_true(history, data):
    observations, rate = history
    number = data.draw(st.integers(0, len(observations) - 1))
    true, places = observations[number].reading, data.draw(st.sets(st.sampled_from([0, 1, 2, 3, 5, 6]), min_size=1))
    read = "".join("x" if place in places else character for place, character in enumerate(true))
    observations[number] = Observation(observations[number].time, read, success=False)
    judged = judge(observations, max_rate=rate)
    assert judged[number].reading == read and judged[number].repaired in (None, true)
    assert judged[number].plausible is (True if len(places) < 6 else None)
    assert all(each.plausible for i, each in enumerate(judged) if i != number)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 99), st.integers(1, 9)), min_size=1, max_size=7), st.booleans()
)
def test_the_chain_is_the_heaviest(drawn, limited):
    counter = Counter(2, 0)
    clock = Clock(counter, 21.5 if limited else None)
    drawn = sorted(drawn)
    shown = [
        Shown(i, value, clock.ticks(hours * 3_600_000_000 * 24), weight)
        for i, (hours, value, weight) in enumerate(drawn)
    ]

    def follows(one: Shown, other: Shown) -> bool:
        risen, most = other.value - one.value, clock.steps(other.ticks - one.ticks)
        return 0 <= risen <= most or (limited and risen % 100 <= most)

    possible = (
        sum(each.weight for each in some)
        for size in range(1, len(shown) + 1)
        for some in combinations(shown, size)
        if all(follows(*pair) for pair in pairwise(some))
    )
    chain = heaviest_chain(shown, laps(shown, counter, clock), counter, clock)
    chosen = [shown[number] for number, _ in chain]
    assert all(follows(*pair) for pair in pairwise(chosen))
    assert sum(each.weight for each in chosen) == max(possible)


@pytest.mark.parametrize(
    ("readings", "rate", "number", "reason", "repaired"),
    [
        (["00123.4", "00125.1", "00023.4", "00126.0"], None, 2, "falls: 00023.4 after 00125.1 on 2026-05-02", None),
        (["00123.4", "00125.1", "00025.8", "00126.0"], None, 2, "falls: 00025.8 after 00125.1 on 2026-05-02", None),
        (["00123.4", "00125.1", "00725.8", "00726.0", "00126.0"], 5, 2,
         "too_fast: 00725.8 after 00125.1 on 2026-05-02, 600.7 in 1 days where 5 a day is the most", "00125.8"),
        (["00123.4", "00188.0", "00125.1", "00126.0"], None, 1, "ahead: 00188.0 before 00125.1 on 2026-05-03", None),
        (["00003.4", "00123.9", "00125.1", "00126.0"], 5, 0,
         "behind: 00003.4 before 00123.9 on 2026-05-02, 120.5 in 1 days where 5 a day is the most", None),
        # 8 for 0 and the only one that fits; 7 for 2, where 1 fits too
        (["10003.1", "18004.0", "10004.9", "10005.1"], 5, 1, None, "10004.0"),
        (["10013.1", "10074.0", "10024.9", "10025.1"], 15, 1, None, None),
        # a misread digit that no one confuses stays as it was read
        (["10003.1", "14004.0", "10004.9", "10005.1"], 5, 1, None, None),
        # the hundreds wheel read early beside a 9, the tens wheel late beside a 0
        (["00198.2", "00299.1", "00199.3", "00200.1"], 5, 1, None, "00199.1"),
        (["00109.8", "00100.4", "00111.3", "00112.1"], 5, 1, None, "00110.4"),
        # two readings that contradict each other: the earlier is not thereby right, nor the later to be repaired
        (["00105.0", "00103.0"], 5, 1, "falls: 00103.0 after 00105.0 on 2026-05-01", None),
        # as many digits: the point was missed
        (["00123.4", "001240", "00124.5"], 5, 1, "places: 001240 has 6 + 0, this meter 5 + 1", "00124.0"),
        (["00123.4", "0124.0", "00124.5"], 5, 1, "places: 0124.0 has 4 + 1, this meter 5 + 1", None),
    ],
)  # fmt: skip
def test_what_is_refused(readings, rate, number, reason, repaired):
    judged = judge(days(*readings), max_rate=rate)
    assert judged[number].plausible is False
    assert reason is None or judged[number].reason == reason
    assert judged[number].repaired == repaired
    assert all(each.plausible is not False for i, each in enumerate(judged) if i != number and i != 3)


def test_unreadable_places():
    judged = judge(
        days("00123.4", "001x4.1", "00125.0", "0012x.2", "00x26.0", "00130.0", "xxxxx.x", "x9x30.0", ""), max_rate=5
    )
    assert [(each.plausible, each.repaired) for each in judged] == [
        (True, None), (True, "00124.1"), (True, None), (True, None), (True, "00126.0"), (True, None),
        (None, None), (False, None), (None, None),
    ]  # fmt: skip
    assert judged[7].reason.startswith("too_fast: x9x30.0 after 00130.0 on 2026-05-06, 8900.0 in 2 days")
    assert judged[6].reason == judged[8].reason == "unread: no digit was read"


def test_roll_over_needs_a_rate():
    rolling = days("99998.2", "99999.9", "00001.4", "00002.0", "00003.0")
    assert all(each.plausible for each in judge(rolling, max_rate=5))
    assert [each.plausible for each in judge(rolling)] == [False, False, True, True, True]
    misread = days("99998.2", "99999.9", "00009.4", "00001.9", "00003.0")
    assert [each.plausible for each in judge(misread, max_rate=5)] == [True, True, False, True, True]
    # In which lap the unread wheel stands follows from both sides.
    assert judge(days("99998.2", "xxxx9.9", "00001.4", "0000x.0", "00003.0"), max_rate=2)[1].repaired == "99999.9"


def test_one_time_twice():
    assert stated([*days("00123.4", "00125.1"), day(1, "00125.1")]) == [(True, "", None)] * 3
    judged = judge([*days("00123.4", "00125.1", "00126.0"), day(1, "00124.9")], max_rate=5)
    assert sorted(each.plausible for each in judged) == [False, True, True, True]
    refused = next(each for each in judged if not each.plausible)
    assert refused.reason == "same_time: 00124.9 and 00125.1 at 2026-05-02 00:00"


def test_hours_are_named_within_a_day():
    judged = judge([day(0, "00123.4"), day(0.5, "00125.0"), day(0.75, "00121.0"), day(1, "00126.0")])
    assert judged[2].reason == "falls: 00121.0 after 00125.0 on 2026-05-01 12:00"


def test_what_the_reader_does_not_vouch_for_is_no_history():
    doubtful = [day(number, "00900.0", success=False) for number in (0.2, 0.4, 0.6, 0.8)]
    judged = judge([*days("00123.4", "00125.1"), *doubtful])
    assert [each.plausible for each in judged] == [True, True, False, False, False, False]
    assert stated(doubtful) == [(None, "no_history: no other reading to judge by", None)] * 4


def test_confidence_decides_between_equals():
    unsure = (0.9, 0.9, 0.4, 0.9, 0.9, 0.9)
    assert [each.plausible for each in judge([day(0, "00900.0"), day(1, "00123.4", confidences=unsure)])] == [
        None,
        False,
    ]
    assert [each.plausible for each in judge([day(0, "00900.0", confidences=unsure), day(1, "00123.4")])] == [
        False,
        None,
    ]


def test_nothing_to_judge_by():
    assert judge([]) == []
    assert stated(days("00123.4")) == [(None, "no_history: no other reading to judge by", None)]
    often = [day(0, "7"), day(1000, "3")]
    reasons = {reason for _, reason, _ in stated(often, max_rate=10.0)}
    assert len(reasons) == 1 and "1 + 0 places could roll over" in reasons.pop()
    assert [plausible for plausible, _, _ in stated(often, max_rate=MOST_LAPS / 120)] == [True, True]


def test_a_display_without_leading_zeros():
    readings = days("98.5", "99.9", "100.4", "901.0", "101.3", "102.0", "1x2.2")
    judged = judge(readings, max_rate=2, leading_zeros=False)
    assert [each.plausible for each in judged] == [True, True, True, False, True, True, True]
    assert judged[3].repaired is None and judged[6].repaired == "102.2"
    assert judge(days("99.9", "180.9", "101.8", "102.1"), max_rate=2, leading_zeros=False)[1].repaired == "100.9"
    assert judge(readings, max_rate=2)[0].reason == "places: 98.5 has 2 + 1, this meter 3 + 1"


def test_two_histories_are_not_repairs_of_each_other():
    before = [f"{4000 + hour:05d}.0" for hour in range(40)]
    after = [f"{hour:05d}.0" for hour in range(60)]
    observations = [Observation(START + i * HOUR, reading) for i, reading in enumerate(before + after)]
    judged = judge(observations, max_rate=50)
    assert [each.plausible for each in judged] == [False] * 40 + [True] * 60
    assert all(each.repaired is None for each in judged)


def test_a_new_reading():
    history = [Observation(START + i * HOUR, f"{1000 + i:05d}.0") for i in range(5 * NEAREST)]
    late = Observation(START + 5 * NEAREST * HOUR, "03000.0")
    assert judge_new(late, history, 48) == judge([*history, late], 48)[-1]
    between = Observation(START + 700.5 * HOUR, "01780.2")
    shuffled = random.Random(0).sample(history, len(history))
    judged = judge_new(between, shuffled, 48)
    assert judged == judge([*history, between], 48)[-1]
    assert judged.reason.startswith("too_fast: 01780.2 after 01700.0 on 2026-05-30 04:00, 80.2 in 0.0208 days")
    assert judged.repaired == "01700.2"
    assert judge_new(between, []).plausible is None


def test_ten_years_of_hours_take_seconds():
    rise, value, observations = random.Random(0), 0, []
    for hour in range(10_000):
        value += rise.randrange(40)
        read = value if rise.random() > 0.01 else rise.randrange(10**8)
        observations.append(Observation(START + hour * HOUR, f"{read // 1000:05d}.{read % 1000:03d}"))
    judged = judge(observations, max_rate=1)
    assert 70 < sum(not each.plausible for each in judged) < 130


def test_time_zones_and_the_end_of_summer_time():
    berlin = ZoneInfo("Europe/Berlin")
    first = Observation(datetime(2026, 10, 25, 2, 50, tzinfo=berlin), "00123.4")
    second = Observation(datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=berlin), "00123.5")  # 20 minutes later
    assert all(each.plausible for each in judge([second, first], max_rate=10))


@pytest.mark.parametrize(
    ("arguments", "stated"),
    [
        ((datetime(2026, 5, 1), "00123.4"), "no time zone"),
        ((START, "123,4"), "'123,4' is not of digits"),
        ((START, "1.2.3"), "is not of digits"),
        ((START, "123."), "is not of digits"),
        ((START, "12.3", (0.9, 0.9)), "3 places and 2 confidences"),
    ],
)
def test_what_is_no_observation(arguments, stated):
    with pytest.raises(ValueError, match=stated):
        Observation(*arguments)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none(rate):
    with pytest.raises(ValueError, match="max_rate"):
        judge([], rate)


def test_misreadings():
    assert fills("1x3", [(110, 135)]) == ["113", "123"]
    assert fills("xx", [(95, 99), (0, 2)]) == ["95", "96"]
    assert fills("7", [(0, 6)]) == []
    assert only_meant("18345", [(10300, 10400)]) == "10345"
    assert only_meant("18345", [(10300, 12400)]) is None  # 12345 too
    assert list(rolled("2095")) == ["3095", "1995", "2094", "2096"]
    assert list(rolled("999")) == ["899", "989", "998"]  # the whole counter does not roll over by a misreading
