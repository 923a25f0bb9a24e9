"""`ocray quantize BUNDLE --config CONFIG --output DIR`: the bundle in 8-bit integers, where that costs no accuracy.

The config is that of its training (runs/NAME/config.yaml, or configs/train/…): its training samples calibrate the
network's ranges, its validation samples judge the result. A bundle that loses more than --most-loss is not written.
"""

import argparse
import importlib.util
import json
from pathlib import Path

from common.cli import positive
from common.errors import ExitCode, MissingPackageError
from trainers.core.config import load_config
from trainers.core.quantize import quantize


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", help="bundle (name@version, folder or URI)")
    parser.add_argument("--config", required=True, help="config of its training")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--output", type=Path, required=True, help="the int8 bundle's folder")
    parser.add_argument("--samples", type=positive, default=300, help="training samples to calibrate with")
    parser.add_argument(
        "--most-loss", type=float, default=0.0, help="how much of the task's best metric may be lost (default: 0)"
    )
    parser.add_argument("--keep", metavar="REGEX", help="names of graph nodes that stay in floating point")


def run(args: argparse.Namespace) -> int:
    """Print the metrics before and after as JSON."""
    if not importlib.util.find_spec("onnxruntime"):  # NNCF measures the network's ranges in it
        raise MissingPackageError("quantize needs ONNX Runtime: pip install onnxruntime, or for GPUs 'ocray[gpu]'")
    made = quantize(
        args.bundle,
        load_config(args.config, args.set),
        args.output,
        samples=args.samples,
        most_loss=args.most_loss,
        keep=args.keep,
        command=args.command_line,
    )
    print(json.dumps({"bundle": str(made.bundle.folder), "before": made.before, "int8": made.after}, indent=1))
    return ExitCode.OK
