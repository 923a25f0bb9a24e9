"""Sources of pages with their text regions for tasks: Parquet shards of the *regions* layout, and rendered pages.

A source answers for any index ≥ 0. Shards wrap around; training shards come in another order each pass.
"""

from typing import NamedTuple, Protocol

import numpy as np
import pyarrow.parquet as pq

from trainers.data.layouts import Region, parquet_files
from trainers.data.mixture import Mixture
from trainers.data.pages import PagesError, ShardPages
from trainers.detection_rows import join_rows, quads_of
from trainers.render.page import RenderedPage, render_page

REGIONS_COLUMN = "regions"
MARGIN = 0.12  # of the ink's height, on each side: about what people leave who draw boxes around lines


class RegionSample(NamedTuple):
    """A page, uint8 [height, width, 3] RGB, and its text regions.

    Attributes:
        image: the page.
        quads: float32 [regions, 4, 2], px, TL, TR, BR, BL as the text is read.
        ignore: bool [regions]: illegible, neither right nor wrong.
    """

    image: np.ndarray
    quads: np.ndarray
    ignore: np.ndarray


class RegionSource(Protocol):
    """Pages with regions by index: any index ≥ 0 is valid and always gives the same page."""

    def regions(self, index: int) -> RegionSample:
        """The page. Raises PagesError: its image cannot be decoded."""


class ShardRegions(ShardPages):
    """Pages of Parquet files of the *regions* layout (the columns `image` and `regions`); see `trainers.data.layouts`.

    Args:
        location: a Parquet file or a folder of them; a path or an fsspec URI.
        shuffle_seed: seed of the order of pages, which is another each pass; None keeps the files' order.

    Raises:
        PagesError: no Parquet file, a column missing, or no page.
    """

    def __init__(self, location: str, *, shuffle_seed: int | None = None):
        super().__init__(location, shuffle_seed=shuffle_seed)
        quads: list[float] = []
        ignore: list[bool] = []
        ends: list[int] = []
        filesystem, paths = parquet_files(location)
        for path in paths:
            with filesystem.open(path, "rb") as file:
                parquet = pq.ParquetFile(file)
                if REGIONS_COLUMN not in parquet.schema_arrow.names:
                    raise PagesError(
                        f"{path} has no column {REGIONS_COLUMN}: import pages with regions (ocray data import … "
                        "--layout regions), or render some (python -m trainers.render --regions)"
                    )
                for batch in parquet.iter_batches(batch_size=256, columns=[REGIONS_COLUMN]):
                    for page in batch.column(0).to_pylist():
                        for region in page:
                            quads += region["quad"]
                            ignore.append(bool(region["ignore"]))
                        ends.append(len(ignore))
        self._quads = np.array(quads, np.float32).reshape(-1, 4, 2)
        self._ignore = np.array(ignore, bool)
        self._region_ends = np.array(ends)

    def regions(self, index: int) -> RegionSample:
        row = self._row(index)
        mine = slice(self._region_ends[row - 1] if row else 0, self._region_ends[row])
        return RegionSample(self.page(index), self._quads[mine], self._ignore[mine])


class RenderedRegions:
    """Clean pages that `trainers.render` makes from their index; no two indices share a page."""

    def __init__(self, split: str, seed: int = 0):
        self.split = split
        self.seed = seed

    def regions(self, index: int) -> RegionSample:
        page = render_page((self.seed, index), split=self.split)
        quads = np.array([region.quad for region in page_regions(page)], np.float32).reshape(-1, 4, 2)
        return RegionSample(page.image, quads, np.zeros(len(quads), bool))


class MixedRegions(Mixture[RegionSource]):
    """Several sources, each with its share of the pages given out."""

    def regions(self, index: int) -> RegionSample:
        return self.source(index).regions(index)


def page_regions(page: RenderedPage) -> list[Region]:
    """A rendered page's text as people label it: neighbouring runs of a row joined to one line, a little air around the
    ink, cut at the page's edges."""
    height, width = page.image.shape[:2]
    level = [line for line in page.lines if _is_level(line.polygon)]
    boxes = np.array([[*line.polygon[0], *line.polygon[2]] for line in level], np.float32).reshape(-1, 4)
    found = []
    for group in join_rows(boxes):
        left, top = boxes[group, :2].min(axis=0)
        right, bottom = boxes[group, 2:].max(axis=0)
        air = MARGIN * (bottom - top)
        (quad,) = quads_of(np.array([[left - air, top - air, right + air, bottom + air]]))
        found.append((quad, " ".join(level[number].text for number in group)))
    found += [(line.polygon, line.text) for line in page.lines if not _is_level(line.polygon)]
    limits = np.array([width, height], np.float32)
    return [Region(tuple(np.clip(quad, 0, limits).reshape(-1).tolist()), text) for quad, text in found]


def _is_level(polygon: np.ndarray) -> bool:
    """Whether a (4, 2) quad is an upright box whose text runs to the right."""
    (left, top), (right, top2), (_, bottom), _ = polygon.tolist()
    return top == top2 and left < right and top < bottom
