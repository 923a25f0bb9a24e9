"""Measure deskew and orientation on real pages with known skew (--data) and on rendered held-out pages (--pages).

ocray angles --data sets/ --deskew deskew@1 --orientation orientation@1 --range 180
ocray angles --pages data/pages/validation

The protocol is described in trainers/pages/angles.py.
"""

import argparse
from pathlib import Path

import cv2

from common.cli import positive, positive_number
from common.errors import ExitCode
from trainers.data.image_shards import SourceError
from trainers.pages.angles import RANGES, RENDERED_PAGES, Figures, measure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the real sets and page_skew.parquet")
    parser.add_argument("--pages", metavar="FOLDER", help="Parquet shards of rendered held-out pages")
    parser.add_argument("--deskew", metavar="BUNDLE", default="deskew@1", help="default: deskew@1")
    parser.add_argument("--orientation", metavar="BUNDLE", default="orientation@1", help="default: orientation@1")
    parser.add_argument(
        "--range",
        type=positive_number,
        nargs="+",
        default=RANGES,
        metavar="DEGREES",
        help="turn real pages within ± this many degrees; one measurement for each (default: 180 44 10)",
    )
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help=f"pages of each real set (default: all) and rendered pages (default: {RENDERED_PAGES})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the angles (default: 0)")
    parser.add_argument("--record", action="store_true", help="write the figures into the bundles' cards")


def run(args: argparse.Namespace) -> int:
    if args.data is None and args.pages is None:
        raise SourceError("give --data FOLDER, --pages FOLDER or both")
    cv2.setNumThreads(1)
    measure(
        args.deskew,
        args.orientation,
        data=args.data,
        pages=args.pages,
        ranges=args.range,
        limit=args.limit,
        seed=args.seed,
        show=_show,
        command=args.command_line if args.record else None,
    )
    return ExitCode.OK


def _show(figures: Figures) -> None:
    for name, metric, value, samples in figures.rows:
        print(f"{name:20s} {metric:45s} {value:.4f} ({samples})", flush=True)
    for line in figures.wrong:
        print("   wrong:", line, flush=True)
