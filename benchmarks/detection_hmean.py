"""Precision, recall and hmean (ICDAR, IoU 0.5) of a text detector on labelled pages, and its one-thread speed.

    python -m benchmarks.detection_hmean --data ../shared/data --bundle ppocrv6-det@small --bundle bundles/detection

A set is a Parquet file with `image` (encoded bytes) and its truth in `lines` (lists of {quad}), in `regions` (as
`trainers.data.layouts` has it) or in `words` (lists of {box}). Words are no truth for a detector of lines: words that
are on one row with less than their height between them are joined to lines first (`trainers.data.word_boxes`). What a
line is, is then a matter of that rule: compare figures of such a set with each other, not with those of line sets. The
precision and recall of the area that boxes cover, however it is divided, are free of it. Seconds are CPU seconds of the
predictor in one thread.
"""

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import yaml

from models.text_detection.predictor import TextDetector
from trainers.data.word_boxes import joined_boxes, quads_of
from trainers.detection.metrics import F1, Matches, detection_metrics, match
from trainers.detection.source import RegionSample


def labelled_pages(path: Path, limit: int | None, seed: int) -> Iterator[RegionSample]:
    """Yield a random `limit` of a set's rows, with their true lines."""
    rows = pq.read_table(path).to_pylist()
    random.Random(seed).shuffle(rows)
    for row in rows[:limit]:
        image = np.asarray(cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_COLOR_RGB))
        regions = row.get("lines") or row.get("regions")
        if regions:
            quads = np.array([region["quad"] for region in regions], np.float32).reshape(-1, 4, 2)
        else:
            quads = quads_of(joined_boxes(np.array([word["box"] for word in row["words"]])))
        ignore = np.array([bool(region.get("ignore")) for region in regions or [{}] * len(quads)], bool)
        yield RegionSample(image, quads, ignore)


def area_match(found: np.ndarray, page: RegionSample) -> F1:
    """Pixels of the page that boxes cover: in both, found and true. Ignored regions are left out."""
    shape = page.image.shape[:2]
    maps = [np.zeros(shape, np.uint8) for _ in range(3)]
    for target, quads in zip(maps, (found, page.quads[~page.ignore], page.quads[page.ignore]), strict=True):
        cv2.fillPoly(target, list(quads.round().astype(np.int32)), 1)
    read, true, ignored = (target.astype(bool) for target in maps)
    return F1(int((read & true & ~ignored).sum()), int((read & ~ignored).sum()), int((true & ~ignored).sum()))


def measure(detector: TextDetector, pages: Iterator[RegionSample]) -> tuple[dict[str, float], dict[str, float]]:
    """ICDAR's metrics, and area precision, recall and pages per second."""
    matches: list[Matches] = []
    area, seconds = F1(), 0.0
    for page in pages:
        begin = time.process_time()
        (regions,) = detector([page.image])
        seconds += time.process_time() - begin
        found = np.array([region.polygon for region in regions], np.float32).reshape(-1, 4, 2)
        matches.append(match(found, page.quads, page.ignore))
        one = area_match(found, page)
        area = F1(area.matched + one.matched, area.found + one.found, area.true + one.true)
    rates = {"area_precision": area.precision, "area_recall": area.recall, "pages_per_second": len(matches) / seconds}
    return detection_metrics(matches), rates | {"pages": len(matches)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection_hmean",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--sets", default="receipts,forms", help="comma-separated names of Parquet files")
    parser.add_argument("--bundle", action="append", help="detection bundles (default: ppocrv6-det@small)")
    parser.add_argument("--decoding", default="{}", help="YAML of parameters in the place of the bundles' own")
    parser.add_argument("--limit", type=int, help="pages a set, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    print("set            bundle                   pages   hmean  precision  recall  area prec.  area rec.  pages/s")
    for bundle in options.bundle or ["ppocrv6-det@small"]:
        detector = TextDetector(bundle)
        detector.decoding = type(detector.decoding).model_validate(
            detector.decoding.model_dump() | yaml.safe_load(options.decoding)
        )
        for name in options.sets.split(","):
            pages = labelled_pages(options.data / f"{name}.parquet", options.limit, options.seed)
            icdar, rates = measure(detector, pages)
            print(
                f"{name:14} {bundle:24} {rates['pages']:5} {icdar['hmean']:7.4f} {icdar['precision']:10.4f} "
                f"{icdar['recall']:7.4f} {rates['area_precision']:11.4f} {rates['area_recall']:10.4f} "
                f"{rates['pages_per_second']:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
