"""ocray's skew against jdeskew on the same turned pages: share within 0.5 degrees and ms per page, one thread.

    python -m benchmarks.angles --data ../shared/data --range 44 --limit 60

Pages, angles and truth are those of `trainers.pages.angles`. jdeskew (pip install jdeskew==0.4.2) looks only within
±range; our answer, modulo 180, does not know the range.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from models.deskew.predictor import DeskewPredictor
from models.geometry import turn
from models.orientation.predictor import OrientationPredictor
from trainers.pages.angles import SETS, real_pages
from trainers.pages.metrics import angle_errors


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.angles", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--range", type=float, default=44.0)
    parser.add_argument("--limit", type=int, help="pages of each set (default: all)")
    parser.add_argument("--deskew", default="deskew@1")
    parser.add_argument("--orientation", default="orientation@1")
    options = parser.parse_args(arguments)
    try:
        from jdeskew.estimator import get_angle  # pyright: ignore[reportMissingImports]  # installed by hand
    except ImportError:
        parser.error("jdeskew is not installed: pip install jdeskew==0.4.2")
    cv2.setNumThreads(1)
    deskew, orientation = DeskewPredictor(options.deskew), OrientationPredictor(options.orientation)
    errors: dict[str, list[float]] = {"ocray": [], "jdeskew": []}
    seconds: dict[str, list[float]] = {"ocray": [], "jdeskew": [], "ocray orientation": []}
    for name in SETS:
        for row, page, skew in real_pages(options.data, name, options.limit, known_skew=True):
            angle = np.random.default_rng([0, SETS.index(name), row]).uniform(-options.range, options.range)
            turned = turn(page, angle)
            bgr = np.ascontiguousarray(turned[..., ::-1])
            answers = {
                "ocray": _timed(lambda page=turned: deskew([page])[0].degrees, seconds["ocray"]),
                "jdeskew": _timed(lambda page=bgr: -get_angle(page, angle_max=options.range + 3), seconds["jdeskew"]),
            }
            level = turn(turned, -answers["ocray"])
            _timed(lambda page=level: orientation([page]), seconds["ocray orientation"])
            for peer, found in answers.items():
                errors[peer].append(float(angle_errors(found, angle + skew, 180)))
    for peer, values in errors.items():
        rate = np.mean(np.array(values) <= 0.5)
        counted = f"({len(values)} pages, ±{options.range:g})"
        print(f"{peer:20s} within 0.5: {rate:.4f}  median error {np.median(values):.3f}  {counted}")
    for part, values in seconds.items():
        print(f"{part:20s} {1000 * np.median(values):.1f} ms a page (median)")


def _timed(call, seconds: list[float]):
    start = time.perf_counter()
    result = call()
    seconds.append(time.perf_counter() - start)
    return result


if __name__ == "__main__":
    main()
