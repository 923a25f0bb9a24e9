"""A real sweep as a whole grid, under ASHA, and a third of it killed at half-time and started again.

    python -m benchmarks.tune_schedulers --out runs/tune_schedulers

Deskew, 24 points, 480 training samples a full trial (needs rendered pages in data/pages, see docs/training.md).
Printed: the best value of each, what ASHA trained in samples and in seconds ÷ the grid's (in one order, and in many
orders by replay), and what the kill cost. Sweeps that are finished in --out are read again, not run again.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml
from ray.tune.schedulers.async_hyperband import _Bracket

from tuners.asha import Rungs
from tuners.ledger import SweepFolder, TrialRecord, best_report

METRIC = "within_0.5"
VALIDATION_SAMPLES = 128
SPACE = {
    "train.lr": {"grid": [3e-4, 1e-3, 3e-3, 1e-2]},
    "settings.target_sigma": {"grid": [0.3, 1.0]},
    "settings.width": {"grid": [8, 12, 16]},
}
SWEEP = {
    "config": str(Path("configs/train/deskew.yaml").resolve()),
    "set": {
        "train.global_batch": 16,
        "train.validation_samples": VALIDATION_SAMPLES,
        "scaling.data_tasks": 0,
        "logging.mlflow": False,
        "logging.tensorboard": False,
    },
    "space": SPACE,
    "search": "grid",
    "budget": {"samples": 480, "validations": 9},
}
ASHA = {"kind": "asha", "grace": 1 / 9, "reduction": 3}
FULL = SWEEP["budget"]["samples"]
FIRST_RUNG = int(ASHA["grace"] * FULL)

Curve = list[tuple[int, float]]  # (samples, value) of a trial's validations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/tune_schedulers"))
    parser.add_argument("--seeds", type=int, default=1, help="orders in which ASHA meets the points")
    arguments = parser.parse_args()
    grid = sweep(arguments.out / "grid", SWEEP)
    print_result("grid", grid)
    replay(grid)
    for seed in range(arguments.seeds):
        trials = sweep(arguments.out / f"asha-{seed}", SWEEP | {"scheduler": ASHA, "seed": seed})
        print_result(f"asha, order {seed}", trials)
        for what in (samples, seconds):
            print(f"  {what.__name__} ÷ the grid's: {sum(map(what, trials)) / sum(map(what, grid)):.3f}")
    third = SWEEP | {"space": SPACE | {"settings.width": {"grid": [16]}}}
    killed(arguments.out / "killed", third, sum(map(seconds, grid)) / 3 / 2)


def replay(grid: list[TrialRecord], orders: int = 400) -> None:
    """Return what ASHA would have cost in many orders, two trials at once, from the grid's curves: its cost depends on
    how early a good point comes. Compared with Ray Tune's ASHA, in which no trial waits at a rung."""
    curves = [[(report.samples, report.metrics[METRIC]) for report in trial.reports] for trial in grid]
    best = max(value for curve in curves for _, value in curve)
    for name, replayed in (("asha", waiting), ("Ray Tune's asha", passing)):
        drawn = (random.Random(seed).sample(curves, len(curves)) for seed in range(orders))
        costs, found = (np.array(column) for column in zip(*map(replayed, drawn), strict=True))
        share = costs / sum(map(samples, grid))
        print(
            f"{name} replayed in {orders} orders: samples ÷ the grid's {share.mean():.3f} "
            f"(10 %: {np.quantile(share, 0.1):.3f}, 90 %: {np.quantile(share, 0.9):.3f}); "
            f"the grid's best was found in {np.mean(found >= best):.2f}, one as good within a "
            f"validation sample in {np.mean(found >= best - 1.01 / VALIDATION_SAMPLES):.2f}",
            flush=True,
        )


def waiting(curves: list[Curve]) -> tuple[int, float]:
    """Return (samples trained, best value) of one order, trials waiting at rungs."""
    rungs = Rungs(FIRST_RUNG, FULL, ASHA["reduction"], 1)
    at: dict[int, int] = {}  # trial that waits → its rung
    done: dict[int, int] = {}  # trial → reports had
    new = list(range(len(curves)))
    busy: list[tuple[int, int]] = []  # (when it next waits or ends, trial)
    now = cost = 0
    best = 0.0
    while True:
        while len(busy) < 2:
            passing = [number for number, rung in at.items() if rungs.may_pass(number, rung)]
            number = max(passing, key=lambda number: at[number], default=None)
            if number is not None:
                goal = [*rungs.milestones, FULL][at.pop(number) + 1]
            elif new:
                number, goal = new.pop(0), rungs.milestones[0]
            else:
                break
            before = curves[number][done[number] - 1][0] if number in done else 0
            done[number] = next(i for i, (seen, _) in enumerate(curves[number], start=1) if seen >= goal)
            best = max(best, *(value for _, value in curves[number][: done[number]]))
            cost += curves[number][done[number] - 1][0] - before
            busy.append((now + curves[number][done[number] - 1][0] - before, number))
        if not busy:
            return cost, best
        now, number = min(busy)
        busy.remove((now, number))
        if (rung := rungs.reach(number, *curves[number][done[number] - 1])) is not None and done[number] < len(
            curves[number]
        ):
            at[number] = rung


def passing(curves: list[Curve]) -> tuple[int, float]:
    """Return (samples trained, best value) of one order under Ray Tune's scheduler."""
    bracket = _Bracket(FIRST_RUNG, FULL, ASHA["reduction"], 0)
    new = list(range(len(curves)))
    busy = [(curves[number][0][0], number, 0) for number in (new.pop(0), new.pop(0))]
    cost, best = 0, 0.0
    while busy:
        now, number, index = min(busy)
        busy.remove((now, number, index))
        seen, value = curves[number][index]
        best = max(best, value)
        trial: Any = SimpleNamespace(trial_id=str(number))
        decision = bracket.on_result(trial, seen, value)
        if decision != "STOP" and index + 1 < len(curves[number]):
            busy.append((now + curves[number][index + 1][0] - seen, number, index + 1))
            continue
        cost += seen
        if new:
            number = new.pop(0)
            busy.append((now + curves[number][0][0], number, 0))
    return cost, best


def sweep(folder: Path, content: dict) -> list[TrialRecord]:
    if not (folder / "best.yaml").exists():
        process = start(folder, content)
        if process.wait():
            sys.exit(f"the sweep in {folder} failed")
    return SweepFolder(folder).trials()


def start(folder: Path, content: dict) -> subprocess.Popen:
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    command = [sys.executable, "-m", "ray_apps", "tune", str(path), "--sweep", str(folder)]
    return subprocess.Popen(command, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"})


def killed(folder: Path, content: dict, after: float) -> None:
    """Kill the driver when its trials have trained `after` seconds in all, and resume."""
    process = start(folder, content)
    while sum(map(seconds, SweepFolder(folder).trials() if folder.exists() else [])) < after:
        time.sleep(1)
        if process.poll() is not None:
            sys.exit("the sweep ended before it could be killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = SweepFolder(folder).trials()
    ended = {trial.number: progress(folder, trial) for trial in before if trial.status != "running"}
    trials = sweep(folder, content)
    same = all(progress(folder, trial) == ended[trial.number] for trial in trials if trial.number in ended)
    print_result("killed at half-time and started again", trials)
    steps = sum(len(progress(folder, trial).splitlines()) for trial in trials)
    print(f"  ended before the kill: {len(ended)}, left as they were: {same}; under way: {len(before) - len(ended)}")
    print(f"  validations written: {steps}, different ones: {sum(len(trial.reports) for trial in trials)}")


def progress(folder: Path, trial: TrialRecord) -> str:
    return (SweepFolder(folder).trial(trial.number) / "progress.jsonl").read_text("utf-8")


def print_result(name: str, trials: list[TrialRecord]) -> None:
    best = best_report(trials, METRIC, "max")
    if best is None:
        sys.exit(f"{name}: no trial has reported {METRIC}")
    trial, report = best
    whole = sum(trial.status == "finished" for trial in trials)
    print(
        f"{name}: {len(trials)} trials, {whole} trained in full, {sum(map(seconds, trials)):.0f} s and "
        f"{sum(map(samples, trials))} samples trained; best {METRIC} {report.metrics[METRIC]:.4f}, trial "
        f"{trial.number} {trial.values}",
        flush=True,
    )


def samples(trial: TrialRecord) -> int:
    return trial.reports[-1].samples if trial.reports else 0


def seconds(trial: TrialRecord) -> float:
    return trial.seconds


if __name__ == "__main__":
    main()
