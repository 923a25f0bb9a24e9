"""Images in Parquet shards, by index: the base of all sources that read shards.

Any index ≥ 0 is valid: shards wrap around, and training shards come in another order each pass.
"""

import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from common.errors import ExpectedError
from trainers.data.layouts import LayoutError, parquet_files

IMAGE_COLUMN = "image"


class SourceError(ExpectedError):
    """A data source that cannot be opened or read; the message names the file and the remedy."""


class ImageShards:
    """Images of Parquet files with a column `image` (the encoded file's bytes).

    All encoded bytes are held in memory as one array, which forked processes and Ray's object store share without
    copies.

    Args:
        location: a Parquet file or a folder of them; a path or an fsspec URI.
        columns: further columns that `keeps` needs.
        shuffle_seed: seed of the order of images, which is another each pass; None keeps the files' order.

    Raises:
        SourceError: no Parquet file, a column missing, or no image.
    """

    nothing = "no images"  # the error where none is kept

    def __init__(self, location: str, *, columns: tuple[str, ...] = (), shuffle_seed: int | None = None):
        self.location = location
        self.shuffle_seed = shuffle_seed
        buffers: list[np.ndarray] = []
        lengths: list[int] = []
        filesystem, paths = _parquet_files(location)
        for path in paths:
            stem = PurePosixPath(path).stem
            with filesystem.open(path, "rb") as file:
                parquet = pq.ParquetFile(file)
                wanted = [IMAGE_COLUMN, *columns]
                if missing := set(wanted) - set(parquet.schema_arrow.names):
                    raise SourceError(f"{path} has no column {', '.join(sorted(missing))}: it holds no images")
                for group in parquet.iter_batches(batch_size=256, columns=wanted):
                    for row in group.to_pylist():
                        if self.keeps(stem, row):
                            buffers.append(np.frombuffer(row[IMAGE_COLUMN], np.uint8))
                            lengths.append(len(row[IMAGE_COLUMN]))
        if not lengths:
            raise SourceError(f"{location}: {self.nothing}")
        self._content = np.concatenate(buffers)
        self._ends = np.cumsum(lengths)

    def __len__(self) -> int:
        return len(self._ends)

    def keeps(self, stem: str, row: Mapping[str, Any]) -> bool:
        """Return whether an image is used (by default, all are). Called once for each row, in the files' order.

        Args:
            stem: the file's name without its extension.
            row: the image and `columns`.
        """
        return True

    def image(self, index: int) -> np.ndarray:
        """Return the image, uint8 [height, width, 3] RGB, EXIF orientation applied. Raises SourceError: it cannot be
        decoded."""
        row = self._row(index)
        start = self._ends[row - 1] if row else 0
        content = self._content[start : self._ends[row]].tobytes()
        try:
            return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
        except OSError as error:
            raise SourceError(f"{self.location}: image {row} cannot be decoded: {error}") from error

    def _row(self, index: int) -> int:
        turn, row = divmod(index, len(self))
        return row if self.shuffle_seed is None else int(_order(self.shuffle_seed, turn, len(self))[row])


def count_rows(location: str) -> int:
    """Rows of a Parquet file, or of all in a folder, from their metadata alone. Raises SourceError: no file, no row."""
    filesystem, paths = _parquet_files(location)
    count = 0
    for path in paths:
        with filesystem.open(path, "rb") as file:
            count += pq.ParquetFile(file).metadata.num_rows
    if not count:
        raise SourceError(f"{location}: no rows")
    return count


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, turn]).permutation(count)


def _parquet_files(location: str) -> tuple[fsspec.AbstractFileSystem, list[str]]:
    try:
        return parquet_files(location)
    except LayoutError as error:
        raise SourceError(f"{error}; render some, or correct data.train / data.validation") from error
