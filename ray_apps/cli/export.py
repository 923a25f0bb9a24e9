"""`ocray export RUN --output DIR`: make the bundle of a run's best weights, checked against torch."""

import argparse
import sys
from pathlib import Path

from common.config import ConfigError
from models.bundle import BundleError
from ray_apps.cli import doors
from trainers.core.checkpoint import WeightsError
from trainers.core.config import load_config
from trainers.core.export import ExportError, export_run, parity_runtimes
from trainers.core.runs import CONFIG_FILE, Run, RunError

ERRORS = (BundleError, ConfigError, ExportError, RunError, WeightsError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--output", type=Path, required=True, help="the bundle's folder")
    parser.add_argument(
        "--average", action="append", default=[], metavar="WEIGHTS",
        help="take the mean of this run's weights and those of another run or bundle; may be repeated",
    )  # fmt: skip
    parser.add_argument("--half", action="store_true", help="store large weights in 16 bits: half the size")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. card.version=2")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0; 1 when the network cannot be exported; 2 when run, config or card cannot be used."""
    try:
        training = Run(arguments.run)
        training.config()  # says so when there is no run
        config = load_config(arguments.run / CONFIG_FILE, arguments.set)
        bundle = export_run(training, arguments.output, config, average=arguments.average, half=arguments.half)
    except ERRORS as error:
        print(f"ocray: {error}", file=sys.stderr)
        return 1 if isinstance(error, ExportError) else 2
    print(f"{bundle.name}: {len(bundle.network) / 1e6:.2f} MB in {bundle.folder}, equal to torch in {_compared()}")
    return 0


def _compared() -> str:
    runtimes = parity_runtimes()
    if len(runtimes) == 1:
        return f"{runtimes[0]} (not compared in ONNX Runtime, which runs it on GPUs: pip install onnxruntime)"
    return "both runtimes"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ocray export", description=__doc__)
    add_arguments(parser)
    return doors.answer(run, parser.parse_args(argv), resumes=False)


if __name__ == "__main__":
    sys.exit(main())
