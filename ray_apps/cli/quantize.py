"""`ocray quantize BUNDLE --config CONFIG --output DIR`: the bundle in 8-bit integers, where that costs no accuracy.

The config is that of its training (runs/NAME/config.yaml, or configs/train/…): its training samples calibrate the
network's ranges, its validation samples judge the result. A bundle that loses more than --most-loss is not written.
"""

import argparse
import importlib.util
import json
import shlex
import sys
from pathlib import Path

from common.config import ConfigError
from models.bundle import BundleError
from ray_apps.cli import doors
from trainers.core.checkpoint import WeightsError
from trainers.core.config import load_config
from trainers.core.quantize import QuantizationError, quantize
from trainers.data.image_shards import SourceError

ERRORS = (BundleError, ConfigError, SourceError, QuantizationError, WeightsError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", help="bundle (name@version, folder or URI)")
    parser.add_argument("--config", required=True, help="config of its training")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--output", type=Path, required=True, help="the int8 bundle's folder")
    parser.add_argument("--samples", type=doors.positive, default=300, help="training samples to calibrate with")
    parser.add_argument(
        "--most-loss", type=float, default=0.0, help="how much of the task's best metric may be lost (default: 0)"
    )
    parser.add_argument("--keep", metavar="REGEX", help="names of graph nodes that stay in floating point")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0; 1 when too much is lost; 2 when bundle, config or samples cannot be used. Prints JSON."""
    if not importlib.util.find_spec("onnxruntime"):  # NNCF measures the network's ranges in it
        print("ocray: quantize needs ONNX Runtime: pip install onnxruntime, or for GPUs 'ocray[gpu]'", file=sys.stderr)
        return doors.BAD_REQUEST
    try:
        made = quantize(
            arguments.bundle,
            load_config(arguments.config, arguments.set),
            arguments.output,
            samples=arguments.samples,
            most_loss=arguments.most_loss,
            keep=arguments.keep,
            command=_command(arguments),
        )
    except ERRORS as error:
        print(f"ocray: {error}", file=sys.stderr)
        return 1 if isinstance(error, QuantizationError) else 2
    print(json.dumps({"bundle": str(made.bundle.folder), "before": made.before, "int8": made.after}, indent=1))
    return 0


def _command(arguments: argparse.Namespace) -> str:
    parts = ["ocray", "quantize", arguments.bundle, "--config", arguments.config]
    parts += [part for item in arguments.set for part in ("--set", item)]
    parts += ["--keep", arguments.keep] if arguments.keep else []
    return shlex.join([*parts, "--output", str(arguments.output)])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ocray quantize", description=__doc__)
    add_arguments(parser)
    return doors.answer(run, parser.parse_args(argv), resumes=False)


if __name__ == "__main__":
    sys.exit(main())
