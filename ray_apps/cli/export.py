"""`ocray export RUN --output DIR`: make the bundle of a run's best weights, checked against torch."""

import argparse
from pathlib import Path

from common.errors import ExitCode
from trainers.core.config import load_config
from trainers.core.export import export_run, parity_runtimes
from trainers.core.runs import CONFIG_FILE, Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--output", type=Path, required=True, help="the bundle's folder")
    parser.add_argument(
        "--average", action="append", default=[], metavar="WEIGHTS",
        help="take the mean of this run's weights and those of another run or bundle; may be repeated",
    )  # fmt: skip
    parser.add_argument("--half", action="store_true", help="store large weights in 16 bits: half the size")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. card.version=2")


def run(args: argparse.Namespace) -> int:
    training = Run(args.run)
    training.config()  # raises RunError when there is no run
    config = load_config(args.run / CONFIG_FILE, args.set)
    bundle = export_run(training, args.output, config, average=args.average, half=args.half)
    print(f"{bundle.name}: {len(bundle.network) / 1e6:.2f} MB in {bundle.folder}, equal to torch in {_compared()}")
    return ExitCode.OK


def _compared() -> str:
    runtimes = parity_runtimes()
    if len(runtimes) == 1:
        return f"{runtimes[0]} (not compared in ONNX Runtime, which runs it on GPUs: pip install onnxruntime)"
    return "both runtimes"
