"""A real sweep three times: the whole grid, the same under ASHA, and the grid killed at half-time and started again.

    python -m benchmarks.tune_schedulers --out runs/tune_schedulers

Deskew, 12 points, 480 training samples a full trial (needs rendered pages in data/pages, see docs/training.md).
Printed: the best value of each, what ASHA trained in samples and in seconds ÷ the grid's, and what the kill cost.
Sweeps that are finished in --out are read again, not run again.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tuners.ledger import SweepFolder, TrialRecord, best_trial

METRIC = "within_0.5"
SPACE = {
    "train.lr": {"grid": [3e-4, 3e-3, 3e-2]},
    "settings.target_sigma": {"grid": [0.3, 1.0]},
    "settings.width": {"grid": [8, 16]},
}
SWEEP = {
    "config": str(Path("configs/train/deskew.yaml").resolve()),
    "set": {
        "train.global_batch": 16,
        "train.validation_samples": 128,
        "scaling.data_tasks": 0,
        "logging.mlflow": False,
        "logging.tensorboard": False,
    },
    "space": SPACE,
    "search": "grid",
    "budget": {"samples": 480, "validations": 9},
}
ASHA = {"kind": "asha", "grace": 1 / 9, "reduction": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/tune_schedulers"))
    parser.add_argument("--seeds", type=int, default=1, help="orders in which ASHA meets the points")
    arguments = parser.parse_args()
    grid = sweep(arguments.out / "grid", SWEEP)
    tell("grid", grid)
    for seed in range(arguments.seeds):
        content = SWEEP | {"scheduler": ASHA, "space": reordered(SPACE, seed)}
        trials = sweep(arguments.out / f"asha-{seed}", content)
        tell(f"asha, order {seed}", trials)
        for what in (samples, seconds):
            print(f"  {what.__name__} ÷ the grid's: {sum(map(what, trials)) / sum(map(what, grid)):.3f}")
    killed(arguments.out / "killed", sum(map(seconds, grid)) / 2)


def reordered(space: dict, seed: int) -> dict:
    """The same grid, walked in another order: ASHA's cost depends on how early a good point comes."""
    names = list(space)[seed % len(space) :] + list(space)[: seed % len(space)]
    return {name: {"grid": space[name]["grid"][:: -1 if seed % 2 else 1]} for name in names}


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
    command = [sys.executable, "-m", "ray_apps.tune", str(path), "--sweep", str(folder)]
    return subprocess.Popen(command, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"})


def killed(folder: Path, after: float) -> None:
    """Kill the driver when its trials have trained `after` seconds in all, and go on."""
    process = start(folder, SWEEP)
    while sum(map(seconds, SweepFolder(folder).trials() if folder.exists() else [])) < after:
        time.sleep(1)
        if process.poll() is not None:
            sys.exit("the sweep ended before it could be killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = SweepFolder(folder).trials()
    ended = {trial.number: progress(folder, trial) for trial in before if trial.status != "running"}
    trials = sweep(folder, SWEEP)
    same = all(progress(folder, trial) == ended[trial.number] for trial in trials if trial.number in ended)
    tell("killed at half-time and started again", trials)
    steps = sum(len(progress(folder, trial).splitlines()) for trial in trials)
    print(f"  ended before the kill: {len(ended)}, left as they were: {same}; under way: {len(before) - len(ended)}")
    print(f"  validations written: {steps}, different ones: {sum(len(trial.reports) for trial in trials)}")


def progress(folder: Path, trial: TrialRecord) -> str:
    return (SweepFolder(folder).trial(trial.number) / "progress.jsonl").read_text("utf-8")


def tell(name: str, trials: list[TrialRecord]) -> None:
    best = best_trial(trials, METRIC, "max")
    value = best.best(METRIC, "max").metrics[METRIC]
    whole = sum(trial.status == "finished" for trial in trials)
    print(
        f"{name}: {len(trials)} trials, {whole} trained in full, {sum(map(seconds, trials)):.0f} s and "
        f"{sum(map(samples, trials))} samples trained; best {METRIC} {value:.4f}, trial {best.number} {best.values}",
        flush=True,
    )


def samples(trial: TrialRecord) -> int:
    return trial.reports[-1].samples if trial.reports else 0


def seconds(trial: TrialRecord) -> float:
    return trial.seconds


if __name__ == "__main__":
    main()
