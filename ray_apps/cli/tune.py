"""`ocray tune SWEEP`: search a training's settings with Ray Tune; started again, it goes on where it stopped."""

import argparse
import shlex
import sys
from pathlib import Path

import ray

from common.config import ConfigError
from common.resources import cluster_resources
from ray_apps.cli import cluster, doors, signals
from trainers.core.checkpoint import WeightsError
from trainers.data.image_shards import SourceError
from tuners.ledger import SweepError
from tuners.plan import load_sweep
from tuners.results import terminal_table
from tuners.sweep import BEST_CONFIG, REPORT, ClusterError, run_sweep

STOPPED_EARLY = 5
BAD_REQUESTS = (ConfigError, SweepError, WeightsError, SourceError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="sweep: a YAML file, or a name that ocray brings (deskew)")
    parser.add_argument("--sweep", type=Path, help="sweep folder (default: runs/tune/NAME_OF_CONFIG)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the sweep (scheduler.kind=asha) or of its training config (train.precision=fp32)",
    )
    parser.add_argument("--trials", type=doors.positive, help="trials in all, those of earlier starts included")
    parser.add_argument("--hours", type=float, help="hours in all, those of earlier starts included")
    parser.add_argument("--patience", type=doors.positive, help="stop after so many trials without a better one")
    parser.add_argument("--retry-failed", action="store_true", help="run failed trials again, from their checkpoints")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier sweep in the sweep folder first")
    parser.add_argument("--address", help="Ray cluster (default: $RAY_ADDRESS, else Ray starts on this machine)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: finished; 5: hours or patience ended it; 2: sweep, folder, weights or pages cannot be used; 3: no
    cluster or one that cannot hold it; 1: no trial succeeded; 130 (143 by
    SIGTERM): interrupted, the same command goes on."""
    folder = arguments.sweep or Path("runs/tune") / Path(arguments.config).stem
    overrides = list(arguments.set)
    for name in ("trials", "hours", "patience"):
        if (value := getattr(arguments, name)) is not None:
            overrides.append(f"{name}={value}")
    try:
        plan = load_sweep(arguments.config, overrides)
        cluster.connect(arguments.address, dashboard=plan.host == "trainer")
        facts, trials = run_sweep(
            plan,
            folder,
            resources=cluster_resources(),
            nodes=sum(node["Alive"] for node in ray.nodes()),
            command=_command(arguments, folder),
            overwrite=arguments.overwrite,
            retry_failed=arguments.retry_failed,
        )
    except BAD_REQUESTS as error:
        print(f"ocray: {error}", file=sys.stderr)
        return doors.BAD_REQUEST
    except ClusterError as error:
        print(f"ocray: {error}", file=sys.stderr)
        return doors.CANNOT_START
    print(terminal_table(trials, facts))
    if facts.state == "interrupted":
        print("interrupted; the same command goes on")
        return signals.exit_code()
    if not (folder / BEST_CONFIG).is_file():
        print("ocray: no trial reported a figure; their reasons are above", file=sys.stderr)
        return 1
    print(f"{facts.state}; report: {folder / REPORT}; next: ocray train {folder / BEST_CONFIG}")
    return doors.OK if facts.state == "finished" else STOPPED_EARLY


def _command(arguments: argparse.Namespace, folder: Path) -> str:
    parts = ["ocray", "tune", arguments.config, "--sweep", str(folder)]
    parts += [part for item in arguments.set for part in ("--set", item)]
    for name in ("trials", "hours", "patience"):
        if (value := getattr(arguments, name)) is not None:
            parts += [f"--{name}", str(value)]
    return shlex.join(parts)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ocray tune", description=__doc__)
    add_arguments(parser)
    return doors.answer(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
