"""`ocray train CONFIG`: train a network with Ray Train, or without Ray; started again, it goes on where it stopped."""

import argparse
import shlex
import sys
from pathlib import Path

from common.config import ConfigError
from ray_apps.cli import cluster, doors
from trainers.core.checkpoint import WeightsError
from trainers.core.config import load_config
from trainers.core.launch import launch
from trainers.core.loop import TrainingError
from trainers.core.runs import RunError
from trainers.data.image_shards import SourceError

FAILED = 1
STOPPED_EARLY = 5
BAD_REQUESTS = (ConfigError, RunError, WeightsError, SourceError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="training config: a YAML file, or a name that ocray brings (deskew)")
    parser.add_argument("--run", type=Path, help="run folder (default: runs/NAME_OF_CONFIG)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. train.lr=1e-3")
    parser.add_argument("--no-ray", action="store_true", help="in this process (or under torchrun), without Ray")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier run in the run folder first")
    parser.add_argument("--stop-after-minutes", type=float, help="save and end then; start again to go on")
    parser.add_argument("--address", help="Ray cluster (default: $RAY_ADDRESS, else Ray starts on this machine)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: finished; 5: stopped early, start again to go on; 2: config, run folder, weights or pages cannot
    be used; 3: no cluster; 1: the training failed. Reasons go to stderr."""
    folder = arguments.run or Path("runs") / Path(arguments.config).stem
    command = ["ocray", "train", arguments.config, *(part for item in arguments.set for part in ("--set", item))]
    try:
        outcome = launch(
            load_config(arguments.config, arguments.set),
            folder,
            use_ray=not arguments.no_ray,
            # With the dashboard: Ray Train asks it every second whether its controller lives.
            connect=lambda: cluster.connect(arguments.address, dashboard=True, worker_output=True),
            command=shlex.join(command),
            overwrite=arguments.overwrite,
            stop_after_minutes=arguments.stop_after_minutes,
        )
    except (TrainingError, *BAD_REQUESTS) as error:
        print(f"ocray: {error}", file=sys.stderr)
        return FAILED if isinstance(error, TrainingError) else doors.BAD_REQUEST
    if not outcome.finished:
        print(f"stopped at step {outcome.step}; the same command goes on")
        return STOPPED_EARLY
    best = f"; best {outcome.best:.4g} at step {outcome.best_step}" if outcome.best is not None else ""
    print(f"finished {folder} at step {outcome.step}{best}; next: ocray export {folder} --output DIR")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ocray train", description=__doc__)
    add_arguments(parser)
    return doors.answer(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
