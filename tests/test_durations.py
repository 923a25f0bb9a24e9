import pytest

from common.durations import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3700, "1 h 1 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text
