"""Sources of upright pages: Parquet shards, and pages rendered when needed."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import fsspec
import numpy as np
import pyarrow.parquet as pq
from pydantic import Field

from trainers.core.source import SourceSettings, shuffle_seed
from trainers.data.image_shards import ImageShards, count_rows
from trainers.data.splits import Split


class PageSource(Protocol):
    """Upright pages by index: any index ≥ 0 is valid and always gives the same page."""

    def page(self, index: int) -> np.ndarray:
        """Return the upright page, uint8 [height, width, 3] RGB. Raises SourceError: its image cannot be decoded."""
        ...

    def skew_degrees(self, index: int) -> float:
        """Return the skew of the stored page, counter-clockwise positive: 0 for rendered pages, some for real scans.

        The truth of a page that a sample turns by `a` is `a + skew_degrees(index)`.
        """
        ...


class PageShardsSettings(SourceSettings):
    """Pages of Parquet files with a column `image`."""

    kind: Literal["page_shards"] = "page_shards"
    at: str = Field(description="folder of Parquet files with an `image` column, or one file")
    skews: str | None = Field(default=None, description="Parquet file (set, name, skew_degrees) for real pages")

    def open(self, split: Split, seed: int) -> "PageShards":
        return PageShards(self.at, skews=self.skews, shuffle_seed=shuffle_seed(split, seed))

    def count(self) -> int:
        return len(self.open("validation", 0)) if self.skews else count_rows(self.at)


class RenderedPagesSettings(SourceSettings):
    """Pages rendered from their index when needed."""

    kind: Literal["rendered_pages"] = "rendered_pages"

    def open(self, split: Split, seed: int) -> "RenderedPages":
        return RenderedPages(split, seed)


PAGE_SOURCES = (PageShardsSettings, RenderedPagesSettings)


class PageShards(ImageShards):
    """Pages of Parquet files with a column `image`; see `ImageShards`.

    Args:
        location: a Parquet file or a folder of them; a path or an fsspec URI.
        skews: a Parquet file with `set` (a page file's stem), `name` and `skew_degrees`, for pages that are not quite
            straight. Pages whose skew is null or not listed are left out.
        shuffle_seed: seed of the order of pages, which is another each pass; None keeps the files' order.

    Raises:
        SourceError: no Parquet file, a column missing, or no page.
    """

    def __init__(self, location: str, *, skews: str | None = None, shuffle_seed: int | None = None):
        self._skew_of = _read_skews(skews) if skews else None
        self._kept_skews: list[float] = []
        if skews:
            self.nothing = "no pages whose skew is known"
        super().__init__(location, columns=("name",) if skews else (), shuffle_seed=shuffle_seed)
        self._skews = np.array(self._kept_skews)
        del self._skew_of, self._kept_skews

    def keeps(self, stem: str, row: Mapping[str, Any]) -> bool:
        skew = 0.0 if self._skew_of is None else self._skew_of.get((stem, row["name"]))
        if skew is not None:
            self._kept_skews.append(skew)
        return skew is not None

    def page(self, index: int) -> np.ndarray:
        return self.image(index)

    def skew_degrees(self, index: int) -> float:
        return float(self._skews[self._row(index)])


class RenderedPages:
    """Pages that `trainers.render` makes from their index; no two indices share a page."""

    def __init__(self, split: Split, seed: int = 0):
        self.split: Split = split
        self.seed = seed

    def page(self, index: int) -> np.ndarray:
        from trainers.render import render_page  # fonts load only where pages are rendered

        return render_page(self.seed * 1_000_000_000 + index, split=self.split).image

    def skew_degrees(self, index: int) -> float:
        return 0.0


def _read_skews(location: str) -> dict[tuple[str, str], float | None]:
    with fsspec.open(location, "rb") as file:
        rows = pq.read_table(file, columns=["set", "name", "skew_degrees"]).to_pylist()
    return {(row["set"], row["name"]): row["skew_degrees"] for row in rows}
