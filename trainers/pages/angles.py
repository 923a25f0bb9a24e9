"""Accuracy of deskew and orientation on real pages and on rendered held-out pages (`ocray angles`).

Real pages: each page with a known skew is scaled to at most 1,600 px on its long side and turned by a uniform random
angle, the whole page kept, corners in the page's median colour. It is right when the reported orientation + skew is
within 0.5 degrees of the truth (modulo 360). Pages are read exactly as the pipeline reads them: skew on a copy of at
most 1,600 px, orientation on that copy turned back by the skew. Orientation alone: all pages at each quarter turn, with
a skew of up to ±2 degrees left. Rendered pages: turned to bucket centres within ±89 degrees, macro F1 over
the 0.5-degree buckets, as the source system counted.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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


RANGES = (180.0, 44.0, 10.0)
RENDERED_PAGES = 712  # every bucket centre within ±89 degrees twice


@dataclass
class Figures:
    """Rows of (set, metric, value, samples), and the pages that were got wrong."""

    rows: list[tuple[str, str, float, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, name: str, metric: str, values: np.ndarray) -> None:
        self.rows.append((name, metric, float(np.mean(values)), len(values)))


def real_pages(data: Path, name: str, limit: int | None, known_skew: bool) -> Iterator[tuple[int, np.ndarray, float]]:
    """Yield (row, page RGB of at most LONG_SIDE px, its skew in degrees) of a set; skew 0 if none is requested."""
    pages = PageShards(str(data / f"{name}.parquet"), skews=str(data / "page_skew.parquet") if known_skew else None)
    count = len(pages)
    for row in range(count) if limit is None else np.linspace(0, count - 1, min(limit, count)).astype(int):
        yield int(row), fit_within(np.ascontiguousarray(pages.page(int(row))), LONG_SIDE), pages.skew_degrees(int(row))


def read_angle(
    page: np.ndarray, deskew: DeskewPredictor, orientation: OrientationPredictor
) -> tuple[float, int, float]:
    """Return (skew, orientation, smaller confidence) of one page as the pipeline finds them, in degrees."""
    view = angle_view(page)
    (skew,) = deskew([view])
    (quarter,) = orientation([turn(view, -skew.degrees)])
    return skew.degrees, quarter.degrees, min(skew.confidence, quarter.confidence)


def turned_pages(data: Path, reach: float, deskew, orientation, limit: int | None, seed: int) -> Figures:
    """Evaluate pages rotated within ±reach degrees: made upright (`upright`), and the skew alone modulo 180
    (`skew`)."""
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


def measure(
    deskew_bundle: str,
    orientation_bundle: str,
    *,
    data: Path | None,
    pages: str | None,
    ranges: Sequence[float] = RANGES,
    limit: int | None = None,
    seed: int = 0,
    show: Callable[[Figures], None],
    command: str | None = None,
) -> None:
    """Measure both bundles on the sets that are given.

    Args:
        data: folder of the real sets and page_skew.parquet.
        pages: Parquet shards of rendered held-out pages.
        ranges: degrees; real pages are turned within ± each.
        limit: pages of each real set (default: all), and rendered pages (default: RENDERED_PAGES).
        show: called with each part's figures as soon as they are known.
        command: writes the figures into the bundles' cards, measured by this command; None: the cards stay.

    Raises:
        BundleError: a bundle cannot be used. SourceError: pages cannot be read.
    """
    deskew = DeskewPredictor(deskew_bundle)
    of_deskew: list[Figures] = []
    of_orientation: list[Figures] = []

    def add(figures: Figures, *lists: list[Figures]) -> None:
        show(figures)
        for each in lists:
            each.append(figures)

    if data is not None:
        orientation = OrientationPredictor(orientation_bundle)
        for reach in ranges if len(orientation.degrees) == 4 else ():
            add(turned_pages(data, reach, deskew, orientation, limit, seed), of_deskew, of_orientation)
        add(quarter_turned_pages(data, orientation, limit, seed), of_orientation)
    if pages is not None:
        for damaged in (False, True):
            add(rendered_pages(pages, deskew, limit or RENDERED_PAGES, seed, damaged), of_deskew)
    if command is not None:
        record(deskew_bundle, of_deskew, command)
        if data is not None:
            record(orientation_bundle, of_orientation, command)
