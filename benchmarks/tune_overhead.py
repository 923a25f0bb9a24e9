"""What a trial costs beside its training: a TorchTrainer a trial, against actors that are handed on.

    python -m benchmarks.tune_overhead

Deskew trials of a few steps (needs rendered pages in data/pages, see docs/training.md), two at once. A trial's overhead
is the sweep's wall time × trials at once ÷ trials, less the mean time that trials trained; the start of Ray and the
checks before the first trial are left out, the start of the first actors and the last results are in.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tuners.ledger import SweepFolder

CONCURRENT = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ocray-overhead-") as folder:
        for host in ("trainer", "actor"):
            wall, trained = measure(Path(folder) / host, host, arguments.trials)
            overhead = wall * CONCURRENT / arguments.trials - statistics.mean(trained)
            print(
                f"{host}: {arguments.trials} trials of {statistics.mean(trained):.1f} s in {wall:.1f} s, "
                f"{overhead:.1f} s beside training each",
                flush=True,
            )


def measure(folder: Path, host: str, trials: int) -> tuple[float, list[float]]:
    """Return (wall seconds of the sweep, seconds that each trial trained)."""
    content = {
        "config": str(Path("configs/train/deskew.yaml").resolve()),
        "set": {
            "train.global_batch": 8,
            "train.validation_samples": 16,
            "scaling.data_tasks": 0,
            "scaling.cpus_per_worker": 0.8,
        },
        "space": {"train.lr": {"grid": [1e-3 * (1 + index) for index in range(trials)]}},
        "search": "grid",
        "budget": {"samples": 64, "validations": 2},
        "max_concurrent": CONCURRENT,
        "host": host,
    }
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    subprocess.run([sys.executable, "-m", "ray_apps", "tune", str(path), "--sweep", str(folder)], check=True)
    sweep = SweepFolder(folder)
    return sweep.wall_seconds(), [trial.seconds for trial in sweep.trials()]


if __name__ == "__main__":
    main()
