"""Images in Parquet shards, by index: pages for tasks, and the base of all sources that read shards.

Any index ≥ 0 is valid: shards wrap around, and training shards come in another order each pass.
"""

import io
from functools import lru_cache
from pathlib import PurePosixPath

import fsspec
import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from trainers.data.layouts import LayoutError, parquet_files

IMAGE_COLUMN = "image"


class PagesError(Exception):
    """Pages that cannot be had; the message names the file and the remedy."""


class ShardPages:
    """Pages of Parquet files with a column `image` (the encoded file's bytes).

    All encoded bytes are held in memory as one array, which forked processes and Ray's object store share without
    copies.

    Args:
        location: a Parquet file or a folder of them; a path or an fsspec URI.
        skews: a Parquet file with `set` (a page file's stem), `name` and `skew_degrees`, for pages that are not quite
            straight. Pages whose skew is null or not listed are left out.
        shuffle_seed: seed of the order of pages, which is another each pass; None keeps the files' order.

    Raises:
        PagesError: no Parquet file, no `image` column or no page.
    """

    def __init__(self, location: str, *, skews: str | None = None, shuffle_seed: int | None = None):
        self.location = location
        self.shuffle_seed = shuffle_seed
        skew_of = _read_skews(skews) if skews else None
        buffers: list[np.ndarray] = []
        lengths: list[int] = []
        degrees: list[float] = []
        filesystem, paths = _parquet_files(location)
        for path in paths:
            stem = PurePosixPath(path).stem
            with filesystem.open(path, "rb") as file:
                parquet = pq.ParquetFile(file)
                columns = [IMAGE_COLUMN] if skew_of is None else [IMAGE_COLUMN, "name"]
                if missing := set(columns) - set(parquet.schema_arrow.names):
                    raise PagesError(f"{path} has no column {', '.join(sorted(missing))}: it holds no pages")
                for group in parquet.iter_batches(batch_size=256, columns=columns):
                    for row in group.to_pylist():
                        skew = 0.0 if skew_of is None else skew_of.get((stem, row["name"]))
                        if skew is None:
                            continue
                        buffers.append(np.frombuffer(row[IMAGE_COLUMN], np.uint8))
                        lengths.append(len(row[IMAGE_COLUMN]))
                        degrees.append(skew)
        if not lengths:
            raise PagesError(f"{location}: no pages" + (" whose skew is known" if skews else ""))
        self._content = np.concatenate(buffers)
        self._ends = np.cumsum(lengths)
        self._degrees = np.array(degrees)

    def __len__(self) -> int:
        return len(self._ends)

    def page(self, index: int) -> np.ndarray:
        row = self._row(index)
        start = self._ends[row - 1] if row else 0
        content = self._content[start : self._ends[row]].tobytes()
        try:
            return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
        except OSError as error:
            raise PagesError(f"{self.location}: page {row} is no image that can be decoded: {error}") from error

    def skew_degrees(self, index: int) -> float:
        return float(self._degrees[self._row(index)])

    def _row(self, index: int) -> int:
        turn, row = divmod(index, len(self))
        return row if self.shuffle_seed is None else int(_order(self.shuffle_seed, turn, len(self))[row])


def count_pages(location: str) -> int:
    """Rows of a Parquet file, or of all in a folder, from their metadata alone. Raises PagesError: no file, no row."""
    filesystem, paths = _parquet_files(location)
    count = 0
    for path in paths:
        with filesystem.open(path, "rb") as file:
            count += pq.ParquetFile(file).metadata.num_rows
    if not count:
        raise PagesError(f"{location}: no pages")
    return count


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, turn]).permutation(count)


def _parquet_files(location: str) -> tuple[fsspec.AbstractFileSystem, list[str]]:
    try:
        return parquet_files(location)
    except LayoutError as error:
        raise PagesError(f"{error}; render some, or correct data.train / data.validation") from error


def _read_skews(location: str) -> dict[tuple[str, str], float | None]:
    with fsspec.open(location, "rb") as file:
        rows = pq.read_table(file, columns=["set", "name", "skew_degrees"]).to_pylist()
    return {(row["set"], row["name"]): row["skew_degrees"] for row in rows}
