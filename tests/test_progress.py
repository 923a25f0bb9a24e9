import io

from pipelines.attempts import InFlight
from pipelines.progress import Progress


def test_counts_add_up_with_what_was_there_and_what_is_in_flight():
    reported = []
    stream = io.StringIO()
    progress = Progress(10, 2, 1, in_flight=lambda: InFlight(2, 1), publish=reported.append, stream=stream, period=60)
    with progress:
        progress.add(ok=3, error=1)
        assert progress.figures(2, 1, None)["counts"] == {"pages": 10, "done": 9, "ok": 6, "error": 3}
        progress.add(ok=3, error=0)
    assert reported[-1]["counts"] == {"pages": 10, "done": 10, "ok": 8, "error": 2}
    assert reported[-1]["eta_seconds"] == 0
    assert stream.getvalue().startswith("10/10 pages, 2 failed")


def test_no_rate_no_promise():
    nothing = {"in_flight": InFlight, "publish": lambda _: None}
    progress = Progress(10, 0, 0, stream=io.StringIO(), period=60, **nothing)
    assert progress.figures(0, 0, None)["eta_seconds"] is None


class Clock:
    """`time.monotonic`, moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_when_something_changed_at_growing_intervals(monkeypatch):
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr("pipelines.progress.time.monotonic", clock)
    quiet = {"in_flight": InFlight, "publish": lambda _: None, "period": 3600}
    with Progress(5000, 0, 0, stream=stream, **quiet) as progress:
        for second in range(0, 7200, 5):
            clock.now = 1000.0 + second
            if second % 300 == 0 and second < 3600:  # a page every five minutes, nothing in the second hour
                progress.add(ok=1, error=0)
            progress._report(InFlight())
        assert [line.split()[0] for line in stream.getvalue().splitlines()] == [f"{n}/5000" for n in range(1, 13)]
        stream.truncate(0)
        for second in range(7200, 14400, 5):  # always something new
            clock.now = 1000.0 + second
            progress.add(ok=1, error=0)
            progress._report(InFlight())
        assert 10 < len(stream.getvalue().splitlines()) < 25
        progress.add(ok=7, error=0)
    assert stream.getvalue().splitlines()[-1].startswith("1459/5000 pages")  # the last is told whenever it comes
