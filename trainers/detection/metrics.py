"""How well text is found: precision, recall and hmean as ICDAR counts them (Karatzas et al., ICDAR 2015, challenge 4).

A detection is right when it overlaps a true region with an intersection over union (IoU) of more than 0.5, one to one.
Ignored regions are neither right nor wrong, nor are detections that lie in one of them by more than half.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely

LEAST_OVERLAP = 0.5  # both of IoU, and of a detection's share in an ignored region


@dataclass
class F1:
    """Precision, recall and F1 of counts summed over pages (micro): regions, words, characters or pixels."""

    matched: int = 0
    found: int = 0
    true: int = 0

    @property
    def precision(self) -> float:
        return self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.true if self.true else 0.0

    @property
    def value(self) -> float:
        """F1 in 0..1; 0 when nothing was found or nothing is there."""
        return 2 * self.matched / (self.found + self.true) if self.found + self.true else 0.0


class Matches(NamedTuple):
    """What is counted of one page, ignored regions and the detections in them left out."""

    matched: int
    found: int
    true: int


def match(found: np.ndarray, true: np.ndarray, ignore: np.ndarray) -> Matches:
    """Compare the regions found in a page with the true ones. Pairs of the largest IoU are matched first.

    Args:
        found: (n, 4, 2) quads, px.
        true: (m, 4, 2) quads in the same px; any affine map of both gives the same counts.
        ignore: (m,) bool.
    """
    counted = _polygons(true[~ignore])
    detections = _polygons(found)
    ignored = _polygons(true[ignore])
    if len(ignored) and len(detections):
        area = np.maximum(shapely.area(detections), 1e-9)
        inside = shapely.area(shapely.intersection(detections[:, None], ignored[None])) / area[:, None]
        detections = detections[inside.max(axis=1) <= LEAST_OVERLAP]
    matched = 0
    if len(counted) and len(detections):
        pairs, values = _overlapping(detections, counted)
        used: tuple[set[int], set[int]] = set(), set()
        for detection, region in pairs[np.argsort(-values, kind="stable")].tolist():
            if detection not in used[0] and region not in used[1]:
                used[0].add(detection)
                used[1].add(region)
                matched += 1
    return Matches(matched, len(detections), len(counted))


def detection_metrics(pages: Iterable[Matches]) -> dict[str, float]:
    """`precision`, `recall` and `hmean` over the sum of all pages (micro)."""
    total = F1(*(int(sum(values)) for values in zip((0, 0, 0), *pages, strict=True)))
    return {"precision": total.precision, "recall": total.recall, "hmean": total.value}


def _polygons(quads: np.ndarray) -> np.ndarray:
    """Return the convex hulls of quads: a quad whose edges cross is not a valid polygon."""
    return np.asarray(shapely.convex_hull(shapely.polygons(quads))) if len(quads) else np.zeros(0, object)


def _overlapping(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of indices (n, 2) whose IoU is above `LEAST_OVERLAP`, and their IoUs (n,)."""
    pairs = shapely.STRtree(other).query(one).T
    a, b = one[pairs[:, 0]], other[pairs[:, 1]]
    intersection = shapely.area(shapely.intersection(a, b))
    values = intersection / np.maximum(shapely.area(a) + shapely.area(b) - intersection, 1e-9)
    enough = values > LEAST_OVERLAP
    return pairs[enough], values[enough]
