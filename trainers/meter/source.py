"""Sources of meters for tasks: Parquet shards of the *meters* layout, rendered meters, and several together.

A source answers for any index ≥ 0. Shards wrap around; training shards come in another order each pass.
"""

from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from trainers.core.source import Locations, SourceSettings, shares_of, shuffle_seed
from trainers.data.image_shards import IMAGE_COLUMN, ImageShards, SourceError, count_rows
from trainers.data.layouts import METERS_SCHEMA, Meter, parquet_files
from trainers.data.meter_sample import Kind, MeterSample
from trainers.data.mixture import Mixture
from trainers.data.splits import Split

# In the place of a folder: meters rendered when needed.
RENDERED: dict[str, Kind] = {"rendered_photos": "photo", "rendered_strips": "strip"}


class MetersError(SourceError):
    """Meters that cannot be had; the message names the file and the remedy."""


class MeterSource(Protocol):
    """Meters by index: any index ≥ 0 is valid and always gives the same meter."""

    def meter(self, index: int) -> MeterSample:
        """Return the meter. Raises MetersError: its image cannot be decoded."""
        ...

    def name(self, index: int) -> str:
        """Return the meter's name, for people who look for it."""
        ...


class MeterShardsSettings(SourceSettings):
    """Meters of Parquet files of the *meters* layout, and meters rendered from their index."""

    kind: Literal["meter_shards"] = "meter_shards"
    at: Locations = Field(
        description="folder of Parquet files with meters, or several: {FOLDER: share}; `rendered_photos` and "
        "`rendered_strips` stand for meters rendered when needed"
    )
    sample: Kind | None = Field(default=None, description="photo or strip: these alone; else both")

    @model_validator(mode="after")
    def _rendered_are_of_this_kind(self):
        for location in shares_of(self.at):
            if self.sample and RENDERED.get(location, self.sample) != self.sample:
                raise ValueError(f"{location} holds no sample of kind {self.sample}; leave it out of `at`")
        return self

    def open(self, split: Split, seed: int) -> "MeterSource":
        sources = [(self._open_one(at, split, seed), share) for at, share in shares_of(self.at).items()]
        return sources[0][0] if len(sources) == 1 else MixedMeters(sources, seed)

    def _open_one(self, location: str, split: Split, seed: int) -> "MeterSource":
        if location in RENDERED:
            return RenderedMeters(split, seed, kind=RENDERED[location])
        return MeterShards(location, kind=self.sample, shuffle_seed=shuffle_seed(split, seed))

    def count(self) -> int | None:
        """Count the meters of both kinds in the files; what is rendered has no number."""
        folders = [location for location in shares_of(self.at) if location not in RENDERED]
        return sum(map(count_rows, folders)) if folders else None


class MeterShards(ImageShards):
    """Meters of Parquet files of the *meters* layout; see `trainers.data.layouts`.

    All encoded images and all labels are held in memory, as arrays that processes share without copies.

    Args:
        location: a Parquet file or a folder of them; a path or an fsspec URI.
        kind: "photo" or "strip": these alone; None: both.
        shuffle_seed: seed of the order of meters, which is another each pass; None keeps the files' order.

    Raises:
        MetersError: no Parquet file, a column missing, or no meter of this kind.
    """

    def __init__(self, location: str, *, kind: Kind | None = None, shuffle_seed: int | None = None):
        try:
            super().__init__(location, shuffle_seed=shuffle_seed)
        except SourceError as error:
            raise MetersError(str(error)) from error
        self._labels = _read_labels(location)
        self._rows = np.arange(len(self._labels))
        if kind is not None:
            self._rows = np.flatnonzero(np.asarray(self._labels["kind"].to_pylist(), object) == kind)
            if not len(self._rows):
                raise MetersError(f"{location}: no meters of kind {kind}; see `kind` in docs/data.md")

    def __len__(self) -> int:
        return len(self._rows)

    def meter(self, index: int) -> MeterSample:
        row = self._row(index)
        record = self._labels.slice(row, 1).to_pylist()[0]
        try:
            meter = Meter.of({**record, IMAGE_COLUMN: b""})
            image = self.image(index)
        except (SourceError, ValueError, SyntaxError) as error:
            raise MetersError(f"{self.location}: meter {record['name']} cannot be used: {error}") from error
        return MeterSample(
            image,
            meter.kind,
            meter.meter_class,
            meter.corners,
            meter.reading,
            bool(meter.leading_zeros),
            meter.digits,
            meter.name,
            meter.group,
        )

    def name(self, index: int) -> str:
        return self._labels["name"][self._row(index)].as_py()

    def _row(self, index: int) -> int:
        return int(self._rows[super()._row(index)])


class RenderedMeters:
    """Meters that `trainers.render.meters` makes from their index; no two indices share a meter."""

    def __init__(self, split: Split, seed: int = 0, *, kind: Kind = "photo"):
        self.split: Split = split
        self.seed = seed
        self.kind: Kind = kind

    def meter(self, index: int) -> MeterSample:
        from trainers.render import meters  # fonts load only where meters are rendered

        render = meters.render_photo if self.kind == "photo" else meters.render_strip
        return render((self.seed, index), split=self.split)

    def name(self, index: int) -> str:
        return f"{self.kind} rendered for {self.split} with seed {self.seed}: {index}"


class MixedMeters(Mixture[MeterSource]):
    """Several sources, each with its share of the meters given out."""

    def meter(self, index: int) -> MeterSample:
        return self.source(index).meter(index)

    def name(self, index: int) -> str:
        return self.source(index).name(index)


def _read_labels(location: str) -> pa.Table:
    """All columns but the images, as one table."""
    columns = [name for name in METERS_SCHEMA.names if name != IMAGE_COLUMN]
    tables = []
    filesystem, paths = parquet_files(location)
    for path in paths:
        with filesystem.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            if missing := [name for name in columns if name not in parquet.schema_arrow.names]:
                raise MetersError(
                    f"{path} holds no meters: it has no column {', '.join(missing)}; "
                    "import it (ocray data import parquet … --layout meters)"
                )
            tables.append(parquet.read(columns=columns))
    return pa.concat_tables(tables).combine_chunks()
