import io

import pytest

from pipelines.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3700, "1 h 1 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_counts_add_up_with_what_was_there_and_what_is_in_flight():
    told = []
    stream = io.StringIO()
    progress = Progress(10, 2, 1, in_flight=lambda: (2, 1, None), publish=told.append, stream=stream, period=60)
    with progress:
        progress.add(ok=3, error=1)
        assert progress.figures(2, 1, None)["counts"] == {"pages": 10, "done": 9, "ok": 6, "error": 3}
        progress.add(ok=3, error=0)
    assert told[-1]["counts"] == {"pages": 10, "done": 10, "ok": 8, "error": 2}
    assert told[-1]["eta_seconds"] == 0
    assert stream.getvalue().startswith("10/10 pages, 2 failed")


def test_no_rate_no_promise():
    nothing = {"in_flight": lambda: (0, 0, None), "publish": lambda _: None}
    progress = Progress(10, 0, 0, stream=io.StringIO(), period=60, **nothing)
    assert progress.figures(0, 0, None)["eta_seconds"] is None
