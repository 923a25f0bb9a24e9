"""What a sweep found: the Parquet file, the terminal's table, importance."""

import json
import math
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tuners import results
from tuners.ledger import Report, TrialRecord
from tuners.results import (
    ABSENT,
    SweepFacts,
    importance,
    importance_obstacle,
    ranking,
    spans_decades,
    terminal_table,
    trained_share,
    trials_table,
    write_trials,
)

FACTS = SweepFacts(
    name="deskew", task="deskew", metric="accuracy", mode="max", search="tpe", scheduler="asha", full_samples=900,
    planned=8, concurrent=2, wall_seconds=60.0, state="finished", command="ocray tune x.yaml",
)  # fmt: skip


def trial(number: int, *values: float, status: str = "finished", reason: str = "", **settings) -> TrialRecord:
    """Return a trial with one report of each value, 100 samples and 2 seconds apart; `train__lr` is the setting
    `train.lr`."""
    reports = [Report(10 * at, 100 * at, 2.0 * at, {"accuracy": v, "extra": 1 - v}) for at, v in enumerate(values, 1)]
    named = {name.replace("__", "."): value for name, value in settings.items()}
    ended = None if status == "running" else 1000.0 + number
    return TrialRecord(number, named, status, reason, reports, started=100.0, ended=ended)


def test_a_row_a_trial_with_the_figures_of_its_best_report(tmp_path):
    trials = [
        trial(2, 0.5, 0.9, 0.7, train__lr=1e-3, settings__loss="focal"),
        trial(1, math.nan, status="failed", reason="loss is NaN", train__lr=1e-2),
        trial(3, status="running", train__lr=1),
    ]
    write_trials(tmp_path / "trials.parquet", trials, FACTS)
    table = pq.read_table(tmp_path / "trials.parquet")
    rows = table.to_pylist()
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert [row["best_value"] for row in rows] == [None, 0.9, None]
    best = rows[1]
    assert (best["best_step"], best["best_samples"], best["samples"], best["last_value"]) == (20, 200, 300, 0.7)
    assert best["metrics.extra"] == pytest.approx(0.1) and best["ended"].timestamp() == 1002
    assert dict(best["reports"][2]["metrics"]) == pytest.approx({"accuracy": 0.7, "extra": 0.3})
    assert rows[0]["reason"] == "loss is NaN" and math.isnan(rows[0]["last_value"])
    assert rows[2]["reports"] == [] and rows[2]["ended"] is None and rows[2]["steps"] == 0
    assert [row["settings.loss"] for row in rows] == [None, "focal", None]
    assert json.loads(table.schema.metadata[b"ocray.sweep"])["metric"] == "accuracy"
    assert [path.name for path in tmp_path.iterdir()] == ["trials.parquet"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        ([True, False], pa.bool_(), [True, False]),
        (["–", "b"], pa.string(), ["–", "b"]),
        ([[600, 1600], "all"], pa.string(), ["[600, 1600]", "all"]),
        ([None, 0.3], pa.string(), ["null", "0.3"]),
        ([True, 2], pa.string(), ["true", "2"]),
    ],
)
def test_settings_keep_their_type_where_they_share_one(values, kind, expected):
    trials = [trial(at, 0.5, x=value) for at, value in enumerate(values)]
    column = trials_table([*trials, trial(9, 0.5)], FACTS)["x"]
    assert column.type == kind and column.to_pylist() == [*expected, None]


def test_a_sweep_without_trials_gives_an_empty_table():
    assert trials_table([], FACTS).num_rows == 0
    assert "no trial" in terminal_table([], FACTS)


def test_exploits_are_kept():
    changed = trial(1, 0.5, train__lr=1e-3)
    changed.changes = [{"step": 10, "from": 4, "values": {"train.lr": 1e-3}}]
    (row,) = trials_table([changed], FACTS).to_pylist()
    assert row["changes"] == [{"step": 10, "from": 4, "values": '{"train.lr": 0.001}'}]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "trials.parquet"
    write_trials(path, [trial(1, 0.5)], FACTS)
    before = path.read_bytes()

    def half(table, target):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(results.pq, "write_table", half)
    with pytest.raises(OSError, match="disk full"):
        write_trials(path, [trial(2, 0.6)], FACTS)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_terminal_shows_the_best_first_and_failures_last():
    reason = "RuntimeError: " + "out of memory " * 20 + "\nsecond line"
    trials = [
        trial(1, 0.5, status="stopped", train__lr=3.1e-4, settings__width=16),
        trial(2, 0.4, 0.98123, 0.7, train__lr=3.1e-3, settings__width=8, settings__loss="focal"),
        trial(3, math.nan, status="failed", reason=reason, train__lr=1.0, settings__width=8),
    ]
    lines = terminal_table(trials, FACTS).splitlines()
    assert lines[0].split() == ["#", "accuracy", "status", "samples", "time", "lr", "width", "loss"]
    assert lines[1].split() == ["2", "0.9812", "finished", "33", "%", "6", "s", "0.0031", "8", "focal"]
    assert lines[2].split() == ["1", "0.5", "stopped", "11", "%", "2", "s", "3.1e-04", "16", "–"]
    assert lines[3].split()[:3] == ["3", "–", "failed"]
    assert lines[4].startswith("trial 3 failed: RuntimeError") and lines[4].endswith("…")
    assert max(map(len, lines)) == 120 and len(lines) == 5
    assert len({line.index(word) for line, word in zip(lines, ("status", "finished", "stopped"), strict=False)}) == 1


def test_the_terminal_says_how_many_are_left_out():
    trials = [trial(n, n / 100) for n in range(1, 31)] + [trial(n, status="failed", reason="x") for n in range(31, 41)]
    lines = terminal_table(trials, FACTS, limit=4).splitlines()
    assert lines[1].split()[0] == "30" and lines[5] == "and 36 more trials"
    assert lines[-1] == "and 6 more failed trials"


def test_settings_of_the_same_last_name_are_distinguished():
    head = terminal_table([trial(1, 0.5, train__lr=1, settings__lr=2, train__seed=3)], FACTS).splitlines()[0]
    assert head.split()[5:] == ["train.lr", "settings.lr", "seed"]


@pytest.mark.parametrize(("mode", "order"), [("max", [2, 1, 4, 3]), ("min", [1, 4, 2, 3])])
def test_ranking_is_by_the_best_finite_value_then_by_number(mode, order):
    trials = [trial(4, 0.5), trial(3, math.nan), trial(2, 0.9, math.inf), trial(1, 0.5)]
    assert [each.number for each in ranking(trials, "accuracy", mode)] == order


def test_the_share_trained_leaves_out_what_was_short_for_other_reasons():
    nine = [0.5] * 9  # 900 samples: a full trial
    trials = [trial(1, *nine), trial(2, 0.1, 0.1, 0.1, status="stopped"), trial(3, 0.1, status="failed"),
              trial(4, 0.1, status="running")]  # fmt: skip
    assert trained_share(trials, FACTS) == pytest.approx(1200 / 1800)
    assert trained_share(trials[2:], FACTS) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e-4, 1e-3, 1e-2], True),
        ([0.03, 0.2, 0.5, 0.7, 1.0], False),  # spread evenly
        ([1, 2, 30], False),
        ([0, 1, 100], False),
        (["a", 1, 100], False),
        ([1e-4, ABSENT, 1e-2], True),
        ([ABSENT], False),
    ],
)
def test_log_axes_are_for_values_that_need_them(values, expected):
    assert spans_decades(values) is expected


def sweep(count: int, mode: str = "max") -> list[TrialRecord]:
    """Return a sweep in which the learning rate decides nearly all, the width a little, the loss and its conditional
    gamma nothing."""
    rng = random.Random(3)
    trials = []
    for number in range(1, count + 1):
        lr, width, loss = 10 ** rng.uniform(-4, -1), rng.choice([8, 16, 24]), rng.choice(["focal", "plain"])
        value = 0.9 - 0.2 * (math.log10(lr) + 2.5) ** 2 + 0.002 * width
        settings = {"lr": lr, "width": width, "loss": loss, "seed": 7, "size": rng.choice([[1, 2], [3, 4]])}
        if loss == "focal":
            settings["gamma"] = rng.uniform(0.5, 4)
        trials.append(trial(number, value if mode == "max" else -value, **settings))
    return trials


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_setting_that_decides_is_the_most_important(mode):
    trials = sweep(30, mode)
    shares = importance(trials, "accuracy", mode)
    assert next(iter(shares)) == "lr" and shares["lr"] > 0.7
    assert set(shares) == {"lr", "width", "loss", "gamma", "size"}  # the seed was the same in all
    assert shares["gamma"] < 0.15 and shares["loss"] < 0.1
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert importance(trials, "accuracy", mode) == shares


def test_failed_values_and_trials_under_way_do_not_count():
    trials = sweep(30)
    more = [trial(90, math.nan, status="failed", lr=1.0), trial(91, 0.0, status="running", lr=0.5)]
    assert importance([*trials, *more], "accuracy", "max") == importance(trials, "accuracy", "max")


@pytest.mark.parametrize(
    ("trials", "obstacle"),
    [
        ([], "few trials"),
        ([trial(n, n / 10, lr=n) for n in range(1, 4)] + [trial(4, math.nan, lr=4)], "few trials"),
        ([trial(n, 0.5, lr=n) for n in range(1, 9)], "equal values"),
        ([trial(n, n / 10, lr=1) for n in range(1, 9)], "nothing varies"),
    ],
)
def test_no_importance_is_made_up(trials, obstacle):
    assert importance_obstacle(trials, "accuracy", "max") == obstacle
    assert importance(trials, "accuracy", "max") == {}
