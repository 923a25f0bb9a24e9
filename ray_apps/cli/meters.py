"""Measure how well both meter networks together read a labelled set of photos; prints JSON.

ocray meters --data data/meters/water_meters/validation --report out/meters

The set has the meters layout that `ocray data import` makes (docs/data.md).
"""

import argparse
import json
import sys
from pathlib import Path

import cv2

from common.cli import positive, share
from common.errors import ExitCode
from models.bundle import BundleError
from models.meter.predictor import MeterPredictor
from models.runtime import PRECISIONS
from trainers.meter.evaluation import measure
from trainers.meter.report import write_meter_report
from trainers.meter.source import MeterShards


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, metavar="SET", help="Parquet file or folder of the meters layout")
    parser.add_argument("--screen", metavar="BUNDLE", default="meter-screen@1", help="default: meter-screen@1")
    parser.add_argument("--digits", metavar="BUNDLE", default="meter-digits@1", help="default: meter-digits@1")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="arithmetic (default: auto, bf16 where the CPU has it)"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N photos (default: all)")
    parser.add_argument("--rounded", action="store_true", help="the true readings are rounded to whole units")
    parser.add_argument(
        "--fit",
        type=share,
        metavar="SHARE",
        help="write into the --digits bundle how confident a reading must be, so that at most SHARE of this set's "
        "accepted readings are wrong; use another set than the one you measure on",
    )
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write the log and a page of failures here")


def run(args: argparse.Namespace) -> int:
    if args.fit is not None and not Path(args.digits).is_dir():
        raise BundleError(f"--fit needs a bundle folder, which {args.digits} is not")
    cv2.setNumThreads(1)
    predictor = MeterPredictor(args.screen, args.digits, precision=args.precision)
    source = MeterShards(args.data, kind="photo")
    fit = None if args.fit is None else (Path(args.digits), args.fit)
    read, metrics = measure(source, predictor, limit=args.limit, rounded=args.rounded, fit=fit)
    print(json.dumps({"photos": len(read)} | metrics, indent=1))
    if args.report:
        models = f"{predictor.detector.name}, {predictor.reader.name}"
        print(write_meter_report(args.report, read, models, args.data), file=sys.stderr)
    return ExitCode.OK
