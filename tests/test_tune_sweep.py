"""Sweeps on a real Ray: what is tried, what a kill costs, who fails alone."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from common.config import ConfigError
from ray_apps.cli.main import main as ocray
from tests.tiny_task import GRID, sweep_file
from tuners.ledger import SweepError, SweepFolder
from tuners.plan import load_sweep
from tuners.sweep import ClusterError, check_metric, concurrent_trials, run_sweep

pytestmark = [pytest.mark.usefixtures("local_ray"), pytest.mark.train]

RESOURCES = {"CPU": 2.0}


def run(path: Path, folder: Path, *overrides: str, **options):
    plan = load_sweep(path, overrides)
    return run_sweep(plan, folder, resources=RESOURCES, nodes=1, command="ocray tune tiny.yaml", **options)


def test_a_grid_is_tried_whole_and_its_best_is_a_training_config(tmp_path):
    facts, trials = run(sweep_file(tmp_path), tmp_path / "sweep")
    assert facts.state == "finished"
    assert [trial.status for trial in trials] == ["finished"] * 4
    assert sorted(trial.values["train.lr"] for trial in trials) == GRID["train.lr"]["grid"]
    assert all([report.step for report in trial.reports] == [12, 24, 36, 48] for trial in trials)
    best = max(trials, key=lambda trial: trial.best("accuracy", "max").metrics["accuracy"])
    tuned = yaml.safe_load((tmp_path / "sweep" / "best.yaml").read_text())
    assert tuned["train"]["lr"] == best.values["train.lr"] and tuned["train"]["total_steps"] == 48
    assert pq.read_table(tmp_path / "sweep" / "trials.parquet").num_rows == 4
    assert (tmp_path / "sweep" / "report.html").stat().st_size > 10_000
    with pytest.raises(SweepError, match="all 4 trials are done"):
        run(sweep_file(tmp_path), tmp_path / "sweep")
    with pytest.raises(SweepError, match="another space"):
        run(sweep_file(tmp_path, space={"train.lr": {"grid": [0.5]}}), tmp_path / "sweep")


def test_a_trial_trains_as_the_trainer_does(tmp_path):
    """The best trial's weights and metrics are those of an ordinary training with best.yaml's settings."""
    from trainers.core.checkpoint import load_state
    from trainers.core.launch import launch
    from trainers.core.runs import Run

    _, trials = run(sweep_file(tmp_path, space={"train.lr": {"grid": [0.03]}}), tmp_path / "sweep")
    run_folder = Run(tmp_path / "sweep" / "best")
    plain = launch(run_folder.config(), tmp_path / "plain", use_ray=False)
    assert trials[0].reports[-1].metrics == plain.metrics
    ours, theirs = (load_state(folder / "checkpoint" / "last.pt") for folder in (run_folder.folder, tmp_path / "plain"))
    for name, tensor in theirs["network"].items():  # another number of threads sums in another order
        torch.testing.assert_close(ours["network"][name], tensor, rtol=1e-4, atol=1e-6)


def test_bad_trials_are_recorded_and_the_rest_continues(tmp_path):
    """One setting makes the gradients not finite; another kills its worker once, and it goes on from its checkpoint."""
    space = {
        "settings.bad_step": {"grid": [None, 20]},
        "settings.kill_at_call": {"grid": [30, None], "when": {"settings.bad_step": None}},
    }
    path = sweep_file(tmp_path, {"killed": str(tmp_path / "killed")}, space=space)
    _, trials = run(path, tmp_path / "sweep")
    assert (tmp_path / "killed").exists()
    by_values = {json.dumps(trial.values, sort_keys=True): trial for trial in trials}
    assert len(by_values) == 3
    failed = by_values['{"settings.bad_step": 20}']
    assert failed.status == "failed" and "step 20: the gradients are not finite" in failed.reason
    assert [report.step for report in failed.reports] == [12]
    good = [trial for trial in trials if trial is not failed]
    assert [trial.status for trial in good] == ["finished"] * 2
    assert [report.step for report in good[0].reports] == [report.step for report in good[1].reports]
    assert good[0].reports[-1].metrics == good[1].reports[-1].metrics  # the kill changed nothing
    _, again = run(path, tmp_path / "sweep", retry_failed=True)
    assert [(trial.number, trial.status) for trial in again] == [(trial.number, trial.status) for trial in trials]


def test_asha_trains_few_in_full_and_remembers_its_rungs_in_the_next_start(tmp_path):
    """Of six trials the better half passes the first rung, of twelve in two starts the better half of all twelve."""
    space = {"train.lr": {"loguniform": [1e-7, 1e-1]}}
    scheduler = {"kind": "asha", "grace": 0.25, "reduction": 2}
    path = sweep_file(tmp_path, space=space, search="random", scheduler=scheduler, trials=6)
    facts, first = run(path, tmp_path / "sweep")
    assert facts.state == "finished" and {trial.status for trial in first} == {"finished", "stopped"}
    steps = sorted(trial.reports[-1].step for trial in first)
    assert steps[:3] == [12] * 3 and steps[-1] == 48
    best = max(first, key=lambda trial: trial.reports[0].metrics["accuracy"])
    assert best.reports[-1].step > 12
    facts, trials = run(path, tmp_path / "sweep", "trials=12")
    assert facts.state == "finished" and [trial.number for trial in trials] == list(range(1, 13))
    for trial, before in zip(trials, first, strict=False):
        assert [report.metrics for report in trial.reports] == [report.metrics for report in before.reports]
    at_first_rung = sorted((trial.reports[0].metrics["accuracy"] for trial in trials), reverse=True)
    for trial in trials[6:]:
        assert trial.reports[-1].step == 12 or trial.reports[0].metrics["accuracy"] >= at_first_rung[5]


def test_asha_with_fewer_trials_than_its_reduction_trains_one_in_full(tmp_path):
    path = sweep_file(tmp_path, scheduler={"kind": "asha", "grace": 0.25, "reduction": 8}, max_concurrent=1)
    facts, trials = run(path, tmp_path / "sweep")
    assert facts.state == "finished"
    assert sorted(trial.reports[-1].step for trial in trials) == [12, 12, 12, 48]
    best = max(trials, key=lambda trial: trial.reports[0].metrics["accuracy"])
    assert best.status == "finished"


def test_tpe_with_conditions_continues_from_what_it_found(tmp_path):
    space = {
        "train.lr": {"loguniform": [1e-5, 1e-1]},
        "settings.hidden": {"choice": [4, 8]},
        "settings.dropout": {"uniform": [0.0, 0.5], "when": {"settings.hidden": 8}},
    }
    path = sweep_file(tmp_path, space=space, search="tpe", trials=3)
    _, first = run(path, tmp_path / "sweep")
    facts, trials = run(path, tmp_path / "sweep", "trials=6")
    assert facts.state == "finished" and [trial.number for trial in trials] == list(range(1, 7))
    assert trials[0].values == {"train.lr": 0.01, "settings.hidden": 8, "settings.dropout": 0.0}  # the config's own
    assert [trial.values for trial in trials[:3]] == [trial.values for trial in first]
    assert all(("settings.dropout" in trial.values) == (trial.values["settings.hidden"] == 8) for trial in trials)
    assert len({trial.values["train.lr"] for trial in trials}) == 6


def test_a_population_copies_the_better_half_and_keeps_to_its_ranges(tmp_path):
    space = {"train.lr": {"loguniform": [1e-6, 1e-1]}, "train.weight_decay": {"choice": [0.0, 0.05, 0.5]}}
    scheduler = {"kind": "pbt", "interval": 0.25, "quantile": 0.5}
    path = sweep_file(tmp_path, space=space, scheduler=scheduler, search="random", trials=4)
    # Two members at a time take turns at every interval. All four at once would each be through, in milliseconds,
    # before the next one's process has started, and none would ever meet another.
    facts, trials = run(path, tmp_path / "sweep", "scaling.cpus_per_worker=1")
    assert facts.state == "finished" and [trial.status for trial in trials] == ["finished"] * 4
    changes = [change for trial in trials for change in trial.changes]
    assert changes and all(change["from"] in (1, 2, 3, 4) for change in changes)
    assert all(1e-6 <= change["values"]["train.lr"] <= 1e-1 for change in changes)
    assert SweepFolder(tmp_path / "sweep").trials()[0].changes == trials[0].changes


def test_a_torch_trainer_a_trial(tmp_path):
    """Two workers a trial: the same metrics as one, and a failing one fails alone."""
    space = {"train.lr": {"grid": [0.03]}, "settings.bad_step": {"grid": [None, 20]}}
    scaling = ("scaling.workers=2", "scaling.cpus_per_worker=0.5")
    _, trials = run(sweep_file(tmp_path, space=space), tmp_path / "two", *scaling)
    assert [trial.status for trial in trials] == ["finished", "failed"]
    assert "step 20: the gradients are not finite" in trials[1].reason
    _, alone = run(sweep_file(tmp_path, space=space), tmp_path / "one", "trials=1")
    assert [report.metrics for report in trials[0].reports] == [report.metrics for report in alone[0].reports]
    assert (tmp_path / "two" / "best" / "checkpoint" / "best.pt").is_file()


def test_samples_made_by_ray_tasks_are_the_same(tmp_path):
    space = {"train.lr": {"grid": [0.03]}}
    _, tasks = run(sweep_file(tmp_path, space=space), tmp_path / "tasks", "scaling.data_tasks=1")
    _, own = run(sweep_file(tmp_path, space=space), tmp_path / "own")
    assert [report.metrics for report in tasks[0].reports] == [report.metrics for report in own[0].reports]


def test_patience_and_hours_end_a_sweep(tmp_path):
    space = {"train.lr": {"grid": [0.03, 1e-7, 2e-7, 3e-7, 4e-7]}}
    path = sweep_file(tmp_path, space=space, max_concurrent=1)
    facts, trials = run(path, tmp_path / "sweep", "patience=2")
    assert facts.state == "no better trials"
    assert 3 <= len(trials) < 5
    # Long enough for the trial's process to start on a busy machine, and less than the trial's 48 steps.
    slow = sweep_file(tmp_path, {"step_seconds": 1.0}, max_concurrent=1)
    facts, trials = run(slow, tmp_path / "slow", "hours=0.006")
    assert facts.state == "out of time"
    assert [trial.status for trial in trials] == ["running"]
    with pytest.raises(SweepError, match="its hours are spent; give more with --hours"):
        run(slow, tmp_path / "slow", "hours=0.006")


def test_what_cannot_run_is_refused_before_it_starts(tmp_path):
    path = sweep_file(tmp_path)
    with pytest.raises(ClusterError, match=r"max_concurrent is 5, but a trial needs 0.5 CPUs, .* holds 4"):
        concurrent_trials(load_sweep(path, ["max_concurrent=5"]), RESOURCES, 1)
    with pytest.raises(ClusterError, match="needs 1 GPUs, Ray has 0"):
        concurrent_trials(load_sweep(path, ["scaling.use_gpu=true"]), RESOURCES, 1)
    with pytest.raises(ClusterError, match=r"3 nodes: set scaling.storage"):
        concurrent_trials(load_sweep(path), RESOURCES, 3)
    with_data_tasks = load_sweep(path, ["scaling.data_tasks=2"])
    assert concurrent_trials(load_sweep(path), RESOURCES, 1) == 4
    assert concurrent_trials(with_data_tasks, RESOURCES, 1) == 2  # 0.5 + 0.25 CPUs
    assert concurrent_trials(load_sweep(path, ["host=trainer"]), RESOURCES, 1) == 3  # 0.5 + 0.1 CPUs
    with pytest.raises(
        ConfigError, match=r"no metric 'acuracy' \(did you mean accuracy\?\); it reports accuracy, samples"
    ):
        check_metric(load_sweep(path, ["metric=acuracy", "mode=max"]))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(SweepError, match="is not empty and holds no sweep"):
        run(path, tmp_path / "other")


def ended(folder: Path) -> dict[int, str]:
    """Return number → progress of the trials that have ended."""
    sweep = SweepFolder(folder)
    return {
        trial.number: (sweep.trial(trial.number) / "progress.jsonl").read_text()
        for trial in sweep.trials()
        if trial.status == "finished"
    }


@pytest.mark.timeout(400)
def test_a_killed_sweep_continues(tmp_path):
    """The driver is killed when one trial has ended and another is under way; `ocray tune` again finishes the sweep."""
    space = {"train.lr": {"grid": [0.001, 0.01, 0.03]}}
    path = sweep_file(tmp_path, {"step_seconds": 0.1}, space=space, max_concurrent=1)
    folder = tmp_path / "sweep"
    command = [sys.executable, "-m", "ray_apps", "tune", str(path), "--sweep", str(folder)]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    # The second report's checkpoint is noted just after the report; killed in between, its steps would come again.
    while not any(
        trial.number == 2 and len(trial.reports) == 2 and str(trial.checkpoint).endswith("checkpoint_000001")
        for trial in SweepFolder(folder).trials()
    ):
        assert first.poll() is None, first.stderr.read().decode()
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = ended(folder)
    assert list(before) == [1]
    assert [trial.status for trial in SweepFolder(folder).trials()] == ["finished", "running"]
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "resuming" in second.stdout and "1 trials done, 1 unfinished" in second.stdout
    after = ended(folder)
    assert list(after) == [1, 2, 3] and after[1] == before[1]
    steps = [json.loads(line)["step"] for line in after[2].splitlines()]
    assert steps == [12, 24, 36, 48]  # it went on from its checkpoint: nothing was trained twice
    third = subprocess.run(command, capture_output=True, text=True)
    assert third.returncode == 2 and "all 3 trials are done" in third.stderr


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    path = sweep_file(tmp_path)
    for override, reported in (
        ("space.train.lrr={grid: [1, 2]}", "unknown setting train.lrr (did you mean lr?)"),
        ("space=null", "space"),
        ("metric=acuracy", "mode is missing"),
    ):
        assert ocray(["tune", str(path), "--sweep", str(tmp_path / "sweep"), "--set", override]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"ocray: {path}: ") and reported in error and error.count("\n") == 1
    assert not (tmp_path / "sweep").exists()
