"""`ocray train CONFIG`: train a network with Ray Train, or without Ray; the same command resumes it."""

import argparse
from pathlib import Path

from common.cli import next_step, positive_number
from common.errors import ExitCode
from ray_apps.cli import cluster
from trainers.core.config import load_config
from trainers.core.launch import launch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="training config: a YAML file, or a name that ocray brings (deskew)")
    parser.add_argument("--run", type=Path, help="run folder (default: runs/NAME_OF_CONFIG)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. train.lr=1e-3")
    parser.add_argument("--no-ray", action="store_true", help="in this process (or under torchrun), without Ray")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier run in the run folder first")
    parser.add_argument("--stop-after-minutes", type=positive_number, help="save and stop; the same command resumes")
    parser.add_argument("--address", help="Ray cluster (default: $RAY_ADDRESS, else Ray starts on this machine)")


def run(args: argparse.Namespace) -> int:
    """Train until the end or until --stop-after-minutes, which is INCOMPLETE."""
    folder = args.run or Path("runs") / Path(args.config).stem
    outcome = launch(
        load_config(args.config, args.set),
        folder,
        use_ray=not args.no_ray,
        # With the dashboard: Ray Train checks every second whether its controller lives.
        connect=lambda: cluster.connect(args.address, dashboard=True, worker_output=True),
        command=args.command_line,
        overwrite=args.overwrite,
        stop_after_minutes=args.stop_after_minutes,
    )
    if not outcome.finished:
        print(f"stopped at step {outcome.step}; {next_step(args.command_line, resumes=True)}")
        return ExitCode.INCOMPLETE
    best = f"; best {outcome.best:.4g} at step {outcome.best_step}" if outcome.best is not None else ""
    print(f"finished {folder} at step {outcome.step}{best}; next: ocray export {folder} --output DIR")
    return ExitCode.OK
