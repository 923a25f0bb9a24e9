"""Angle and orientation figures on real pages and on rendered held-out pages.

    python -m trainers.pages.angles --data ../shared/data --deskew deskew@1 --orientation orientation@1 --range 180

Real pages: each page with a known skew is scaled to at most 1,600 px on its long side and turned by a uniform random
angle, the whole page kept, corners in the page's median colour. It is right when the reported orientation + skew is
within 0.5 degrees of the truth (modulo 360). Pages are read exactly as the pipeline reads them: skew on a copy of at
most 1,600 px, orientation on that copy turned back by the skew. Orientation alone: all pages at each quarter turn, with
a skew of up to ±2 degrees left. Rendered pages (`--pages`): turned to bucket centres within ±89 degrees, macro F1 over
the 0.5-degree buckets, as the source system counted.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from models.bundle import CARD_FILE, Card, Measurement, load_bundle
from models.deskew.predictor import DeskewPredictor
from models.geometry import fit_within, turn
from models.orientation.predictor import OrientationPredictor
from models.page_contrast import angle_view
from trainers.pages.metrics import angle_errors, bucket_centres, bucket_f1
from trainers.pages.source import PageShards
from trainers.render import degrade

LONG_SIDE = 1600
TOLERANCE = 0.5  # degrees
RESIDUAL_SKEW = 2.0  # degrees; left on pages when orientation is measured alone
SETS = ("forms", "receipts", "korean_upright")
BUCKET_RANGE = 89


@dataclass
class Figures:
    """Rows of (set, metric, value, samples), and the pages that were got wrong."""

    rows: list[tuple[str, str, float, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, name: str, metric: str, values: np.ndarray) -> None:
        self.rows.append((name, metric, float(np.mean(values)), len(values)))


def real_pages(data: Path, name: str, limit: int | None, known_skew: bool) -> Iterator[tuple[int, np.ndarray, float]]:
    """(row, page RGB of at most LONG_SIDE px, its skew in degrees) of a set; skew 0 where none is asked for."""
    pages = PageShards(str(data / f"{name}.parquet"), skews=str(data / "page_skew.parquet") if known_skew else None)
    count = len(pages)
    for row in range(count) if limit is None else np.linspace(0, count - 1, min(limit, count)).astype(int):
        yield int(row), fit_within(np.ascontiguousarray(pages.page(int(row))), LONG_SIDE), pages.skew_degrees(int(row))


def read_angle(
    page: np.ndarray, deskew: DeskewPredictor, orientation: OrientationPredictor
) -> tuple[float, int, float]:
    """(skew, orientation, smaller confidence) of one page as the pipeline reads it, degrees."""
    view = angle_view(page)
    (skew,) = deskew([view])
    (quarter,) = orientation([turn(view, -skew.degrees)])
    return skew.degrees, quarter.degrees, min(skew.confidence, quarter.confidence)


def turned_pages(data: Path, reach: float, deskew, orientation, limit: int | None, seed: int) -> Figures:
    """Pages turned within ±reach degrees: brought upright (`upright`), and the skew alone modulo 180 (`skew`)."""
    figures, upright, level = Figures(), [], []
    for name in SETS:
        errors = []
        for row, page, skew in real_pages(data, name, limit, known_skew=True):
            angle = np.random.default_rng([seed, SETS.index(name), row]).uniform(-reach, reach)
            found, quarter, confidence = read_angle(turn(page, angle), deskew, orientation)
            true = angle + skew
            errors.append((angle_errors(found + quarter, true, 360), angle_errors(found, true, 180)))
            if errors[-1][0] > TOLERANCE:
                figures.wrong.append(
                    f"{name}[{row}] at {true:.2f}: skew {found:.2f} + {quarter} (confidence {confidence:.2f})"
                )
        whole, lines = (np.array(error) <= TOLERANCE for error in zip(*errors, strict=True))
        figures.add(name, f"upright within 0.5, turned within ±{reach:g}", whole)
        figures.add(name, f"skew within 0.5, turned within ±{reach:g}", lines)
        upright.append(whole)
        level.append(lines)
    figures.add("all", f"upright within 0.5, turned within ±{reach:g}", np.concatenate(upright))
    figures.add("all", f"skew within 0.5, turned within ±{reach:g}", np.concatenate(level))
    return figures


def quarter_turned_pages(data: Path, orientation: OrientationPredictor, limit: int | None, seed: int) -> Figures:
    """All pages at the quarter turns the bundle knows; two-way counts those at 0 and 180 degrees."""
    figures, totals = Figures(), {"four-way": [], "two-way": []}
    for name in SETS:
        right = {turned: [] for turned in orientation.degrees}
        for row, page, _ in real_pages(data, name, limit, known_skew=False):
            rng = np.random.default_rng([seed, SETS.index(name), row])
            for turned in orientation.degrees:
                (answer,) = orientation([turn(page, turned + rng.uniform(-RESIDUAL_SKEW, RESIDUAL_SKEW))])
                right[turned].append(answer.degrees == turned)
                if answer.degrees != turned:
                    found = f"{answer.degrees} (confidence {answer.confidence:.2f})"
                    figures.wrong.append(f"{name}[{row}] at {turned}: {found}")
        ways = {"two-way": right[0] + right[180]}
        if len(right) == 4:
            ways["four-way"] = [value for values in right.values() for value in values]
        for way, values in ways.items():
            figures.add(name, f"orientation {way}", np.array(values))
            totals[way] += values
    for way, values in totals.items():
        if values:
            figures.add("all", f"orientation {way}", np.array(values))
    return figures


def rendered_pages(shards: str, deskew: DeskewPredictor, count: int, seed: int, damaged: bool) -> Figures:
    """Macro F1 over 0.5-degree buckets within ±89 on rendered pages turned to bucket centres, each equally often."""
    pages, centres = PageShards(shards), bucket_centres(BUCKET_RANGE)
    true, found = [], []
    for index in range(count):
        degrees = float(centres[index % len(centres)])
        page = turn(fit_within(np.ascontiguousarray(pages.page(index)), LONG_SIDE), degrees)
        if damaged:
            page = degrade(page, np.random.default_rng([seed, index]))
        true.append(degrees)
        found.append(deskew([angle_view(page)])[0].degrees)
    kind = "rendered, damaged" if damaged else "rendered"
    figures = Figures([(kind, "bucket F1 at 0.5, ±89", bucket_f1(true, found, BUCKET_RANGE), count)])
    figures.add(kind, "skew within 0.5, ±89", angle_errors(found, true, 180) <= TOLERANCE)
    return figures


def record(bundle: str, figures: list[Figures], command: str) -> None:
    """Put the figures into a local bundle's card, in place of earlier ones of the same metric and data."""
    folder = load_bundle(bundle).folder
    card = Card.model_validate_json((folder / CARD_FILE).read_text("utf-8"))
    new = [
        Measurement(metric=metric, value=round(value, 4), data=f"{name} ({samples})", command=command)
        for part in figures
        for name, metric, value, samples in part.rows
    ]
    names = {(measurement.metric, measurement.data) for measurement in new}
    kept = [measurement for measurement in card.metrics if (measurement.metric, measurement.data) not in names]
    card = card.model_copy(update={"metrics": kept + new})
    (folder / CARD_FILE).write_text(json.dumps(card.model_dump(), ensure_ascii=False, indent=1) + "\n", "utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m trainers.pages.angles", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the real sets and page_skew.parquet")
    parser.add_argument("--pages", help="Parquet shards of rendered held-out pages")
    parser.add_argument("--deskew", default="deskew@1")
    parser.add_argument("--orientation", default="orientation@1")
    parser.add_argument("--range", type=float, nargs="+", default=[180, 44, 10], help="degrees (default: 180 44 10)")
    parser.add_argument("--limit", type=int, help="pages of each set (default: all); rendered pages (default: 712)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="write the figures into the bundles' cards")
    options = parser.parse_args(arguments)
    if options.data is None and options.pages is None:
        parser.error("give --data, --pages or both")
    cv2.setNumThreads(1)
    deskew = DeskewPredictor(options.deskew)
    both: list[Figures] = []
    rendered: list[Figures] = []
    quarters: list[Figures] = []
    if options.data is not None:
        orientation = OrientationPredictor(options.orientation)
        for reach in options.range if len(orientation.degrees) == 4 else []:
            both.append(_shown(turned_pages(options.data, reach, deskew, orientation, options.limit, options.seed)))
        quarters.append(_shown(quarter_turned_pages(options.data, orientation, options.limit, options.seed)))
    if options.pages is not None:
        for damaged in (False, True):
            rendered.append(_shown(rendered_pages(options.pages, deskew, options.limit or 712, options.seed, damaged)))
    if options.record:
        chosen = {key: value for key, value in vars(options).items() if key in ("data", "pages", "limit") and value}
        command = " ".join(["python -m trainers.pages.angles", *(f"--{key} {value}" for key, value in chosen.items())])
        record(options.deskew, both + rendered, command)
        if quarters:
            record(options.orientation, both + quarters, command)


def _shown(figures: Figures) -> Figures:
    for name, metric, value, samples in figures.rows:
        print(f"{name:20s} {metric:45s} {value:.4f} ({samples})", flush=True)
    for line in figures.wrong:
        print("   wrong:", line, flush=True)
    return figures


if __name__ == "__main__":
    main()
