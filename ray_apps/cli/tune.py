"""`ocray tune SWEEP`: search a training's settings with Ray Tune; the same command resumes it."""

import argparse
from pathlib import Path

import ray

from common import signals
from common.cli import fail, next_step, positive, positive_number
from common.errors import ExitCode
from common.resources import cluster_resources
from ray_apps.cli import cluster
from tuners.plan import load_sweep
from tuners.results import terminal_table
from tuners.sweep import BEST_CONFIG, REPORT, run_sweep


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
    parser.add_argument("--trials", type=positive, help="trials in all, those of earlier starts included")
    parser.add_argument("--hours", type=positive_number, help="hours in all, those of earlier starts included")
    parser.add_argument("--patience", type=positive, help="stop after this many trials without a better one")
    parser.add_argument("--retry-failed", action="store_true", help="run failed trials again, from their checkpoints")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier sweep in the sweep folder first")
    parser.add_argument("--address", help="Ray cluster (default: $RAY_ADDRESS, else Ray starts on this machine)")


def run(args: argparse.Namespace) -> int:
    """Run the sweep. A sweep that --hours or --patience ends is INCOMPLETE, one without a usable trial FAILED."""
    folder = args.sweep or Path("runs/tune") / Path(args.config).stem
    overrides = list(args.set)
    for name in ("trials", "hours", "patience"):
        if (value := getattr(args, name)) is not None:
            overrides.append(f"{name}={value}")
    plan = load_sweep(args.config, overrides)
    cluster.connect(args.address, dashboard=plan.host == "trainer")
    facts, trials = run_sweep(
        plan,
        folder,
        resources=cluster_resources(),
        nodes=sum(node["Alive"] for node in ray.nodes()),
        command=args.command_line,
        overwrite=args.overwrite,
        retry_failed=args.retry_failed,
    )
    print(terminal_table(trials, facts))
    if facts.state == "interrupted":
        print(f"interrupted; {next_step(args.command_line, resumes=True)}")
        return signals.exit_code()
    if not (folder / BEST_CONFIG).is_file():
        fail("no trial reported a metric; the reasons are above")
        return ExitCode.FAILED
    print(f"{facts.state}; report: {folder / REPORT}; next: ocray train {folder / BEST_CONFIG}")
    return ExitCode.OK if facts.state == "finished" else ExitCode.INCOMPLETE
