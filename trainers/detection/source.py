"""Sources of pages with their text regions for tasks: Parquet shards of the *regions* layout, and rendered pages.

A source answers for any index ≥ 0. Shards wrap around; training shards come in another order each pass.
"""

from typing import Literal, NamedTuple, Protocol

import numpy as np
import pyarrow.parquet as pq
from pydantic import Field

from trainers.core.source import Locations, SourceSettings, shares_of, shuffle_seed
from trainers.data.image_shards import ImageShards, SourceError, count_rows
from trainers.data.layouts import parquet_files
from trainers.data.mixture import Mixture
from trainers.data.splits import Split
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
        """Return the page. Raises SourceError: its image cannot be decoded."""
        ...


class RegionShardsSettings(SourceSettings):
    """Pages of Parquet files of the *regions* layout."""

    kind: Literal["region_shards"] = "region_shards"
    at: Locations = Field(
        description="folder of Parquet files with pages and their regions, or several: {FOLDER: share of the pages}"
    )

    def open(self, split: Split, seed: int) -> "RegionShards | MixedRegions":
        parts = [
            (RegionShards(location, shuffle_seed=shuffle_seed(split, seed)), share)
            for location, share in shares_of(self.at).items()
        ]
        return parts[0][0] if isinstance(self.at, str) else MixedRegions(parts, seed)

    def count(self) -> int:
        return sum(map(count_rows, shares_of(self.at)))


class RenderedRegionsSettings(SourceSettings):
    """Pages rendered from their index when needed, with their regions."""

    kind: Literal["rendered_regions"] = "rendered_regions"

    def open(self, split: Split, seed: int) -> "RenderedRegions":
        return RenderedRegions(split, seed)


class RegionShards(ImageShards):
    """Pages of Parquet files of the *regions* layout (the columns `image` and `regions`); see `trainers.data.layouts`.

    Args:
        location: a Parquet file or a folder of them; a path or an fsspec URI.
        shuffle_seed: seed of the order of pages, which is another each pass; None keeps the files' order.

    Raises:
        SourceError: no Parquet file, a column missing, or no page.
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
                    raise SourceError(
                        f"{path} has no column {REGIONS_COLUMN}: import pages with regions (ocray data import … "
                        "--layout regions), or render some (ocray render regions)"
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
        return RegionSample(self.image(index), self._quads[mine], self._ignore[mine])


class RenderedRegions:
    """Clean pages that `trainers.render` makes from their index; no two indices share a page."""

    def __init__(self, split: Split, seed: int = 0):
        self.split: Split = split
        self.seed = seed

    def regions(self, index: int) -> RegionSample:
        page = render_page((self.seed, index), split=self.split)
        quads = np.array([region.quad for region in page_regions(page)], np.float32).reshape(-1, 4, 2)
        return RegionSample(page.image, quads, np.zeros(len(quads), bool))


class MixedRegions(Mixture[RegionSource]):
    """Several sources, each with its share of the pages given out."""

    def regions(self, index: int) -> RegionSample:
        return self.source(index).regions(index)
