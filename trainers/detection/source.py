"""Sources of pages with their text regions for tasks: Parquet shards of the *regions* layout, and rendered pages.

A source answers for any index ≥ 0. Shards wrap around; training shards come in another order each pass.
"""

from typing import NamedTuple, Protocol

import numpy as np
import pyarrow.parquet as pq

from trainers.data.layouts import parquet_files
from trainers.data.mixture import Mixture
from trainers.data.pages import PagesError, ShardPages
from trainers.render.page import render_page
from trainers.render.regions import page_regions

REGIONS_COLUMN = "regions"


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
