"""The layouts of labelled images in Parquet: text lines to recognise, pages with regions to detect, and meters.

*lines*, one row a text line crop: `image` (encoded bytes), `text` (NFC, not empty), `name` (unique within the set),
`group` (string or null: lines of one document, person or meter share it), `source` (the file the row came from).

*regions*, one row a page: `image`, `name`, `group`, `source`, and `regions`: a list of {`quad`: 8 × float32, x and y of
TL, TR, BR, BL as the text is read, px of the page with its EXIF orientation applied; `text`: string, or null where
unknown; `ignore`: bool, illegible, neither right nor wrong}.

*meters*, one row an image of a meter, the fields as `trainers.data.meter_sample` says: `image`, `name`, `group`,
`source`, `kind`, `meter_class`, `corners`, `reading`, `leading_zeros`, `digits`.

A data set is a folder `OUT/{train,validation}/NAME-00000.parquet …`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import ExpectedError
from trainers.data.meter_sample import Kind, MeterClass, MeterDigit
from trainers.data.splits import SPLITS, Split

Layout = Literal["lines", "regions", "meters"]

LINES_SCHEMA = pa.schema(
    [
        pa.field("image", pa.binary(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("source", pa.string()),
    ]
)
_REGION = pa.struct(
    [pa.field("quad", pa.list_(pa.float32(), 8)), pa.field("text", pa.string()), pa.field("ignore", pa.bool_())]
)
REGIONS_SCHEMA = pa.schema(
    [
        pa.field("image", pa.binary(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("source", pa.string()),
        pa.field("regions", pa.list_(_REGION), nullable=False),
    ]
)
_QUAD = pa.list_(pa.list_(pa.float32()))  # 4 × x, y
_DIGIT = pa.struct(
    [
        pa.field("character", pa.string()),
        pa.field("position", pa.float32()),
        pa.field("box", _QUAD),
        pa.field("fraction", pa.bool_()),
    ]
)
METERS_SCHEMA = pa.schema(
    [
        pa.field("image", pa.binary(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("source", pa.string()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("meter_class", pa.string()),
        pa.field("corners", _QUAD),
        pa.field("reading", pa.string()),
        pa.field("leading_zeros", pa.bool_()),
        pa.field("digits", pa.list_(_DIGIT)),
    ]
)
SCHEMAS: dict[Layout, pa.Schema] = {"lines": LINES_SCHEMA, "regions": REGIONS_SCHEMA, "meters": METERS_SCHEMA}

FILE_BYTES = 64 * 2**20
GROUP_BYTES = 8 * 2**20
GROUP_ROWS = 1000
REPORT_FILES = ("import.json", "left_out.jsonl")


class LayoutError(ExpectedError):
    """A data set that cannot be read or written; the message names the place and the remedy."""


@dataclass(frozen=True)
class Line:
    """A row of *lines*; see the module."""

    image: bytes
    text: str
    name: str
    group: str | None
    source: str


@dataclass(frozen=True)
class Region:
    """A text region of a page; see the module."""

    quad: tuple[float, ...]
    text: str | None
    ignore: bool = False


@dataclass(frozen=True)
class Page:
    """A row of *regions*; see the module."""

    image: bytes
    name: str
    group: str | None
    source: str
    regions: tuple[Region, ...]


@dataclass(frozen=True, eq=False)
class Meter:
    """A row of *meters*; see the module. The fields that a `MeterSample` has too are as they are there."""

    image: bytes
    name: str
    group: str | None
    source: str | None
    kind: Kind
    meter_class: MeterClass | None
    corners: np.ndarray | None = None
    reading: str | None = None
    leading_zeros: bool = True
    digits: tuple[MeterDigit, ...] | None = None

    def record(self) -> dict:
        """As a row of `METERS_SCHEMA`."""
        digits = self.digits
        return {
            **vars(self),
            "corners": _lists(self.corners),
            "digits": None if digits is None else [{**vars(digit), "box": _lists(digit.box)} for digit in digits],
        }

    @classmethod
    def of(cls, record: dict) -> "Meter":
        """Of a row of `METERS_SCHEMA`. Raises ValueError: corners or a box that are not 4 × 2 numbers."""
        digits = record["digits"]
        made = None if digits is None else tuple(MeterDigit(**{**d, "box": _points(d["box"])}) for d in digits)
        return cls(**{**record, "corners": _points(record["corners"]), "digits": made})


ROWS = {"lines": Line, "regions": Page, "meters": Meter}


def _lists(points: np.ndarray | None) -> list[list[float]] | None:
    return None if points is None else np.asarray(points, np.float32).tolist()


def _points(lists: list[list[float]] | None) -> np.ndarray | None:
    return None if lists is None else np.array(lists, np.float32).reshape(4, 2)


class SetWriter:
    """Writes rows of one layout as `folder/SPLIT/NAME-00000.parquet …`: row groups of about 8 MB, files of about 64 MB.

    A context manager; files are finished on exit. Within `whole_folder` an interrupted run leaves nothing.
    """

    def __init__(self, folder: Path, layout: Layout, name: str):
        self._folder = folder
        self._layout: Layout = layout
        self._name = name
        self._files: dict[Split, _SplitFiles] = {}

    def add(self, row: Line | Page | Meter, split: Split) -> None:
        """Append a row. Raises TypeError: a row of another layout."""
        if not isinstance(row, ROWS[self._layout]):
            raise TypeError(f"a {type(row).__name__} is no row of {self._layout}")
        if split not in self._files:
            self._files[split] = _SplitFiles(self._folder / split, self._name, SCHEMAS[self._layout])
        self._files[split].add(row.record() if isinstance(row, Meter) else asdict(row))

    def __enter__(self) -> "SetWriter":
        return self

    def __exit__(self, *_) -> None:
        for files in self._files.values():
            files.close()


class _SplitFiles:
    def __init__(self, folder: Path, name: str, schema: pa.Schema):
        folder.mkdir(parents=True)
        self._folder, self._name, self._schema = folder, name, schema
        self._rows: list[dict] = []
        self._row_bytes = self._file_bytes = self._file_number = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, row: dict) -> None:
        self._rows.append(row)
        self._row_bytes += len(row["image"])
        if self._row_bytes >= GROUP_BYTES or len(self._rows) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            path = self._folder / f"{self._name}-{self._file_number:05d}.parquet"
            # Images are compressed already and never repeat: a dictionary of them would only cost memory.
            columns: Any = ["group", "source"]  # pyarrow-stubs knows only True and False
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=columns)
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._file_bytes += self._row_bytes
        self._rows, self._row_bytes = [], 0
        if self._file_bytes >= FILE_BYTES:
            self._finish_file()

    def _finish_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._file_bytes = 0
            self._file_number += 1

    def close(self) -> None:
        self._flush()
        self._finish_file()


@contextmanager
def whole_folder(output: Path, *, overwrite: bool = False, may_hold: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield a folder to write into. It becomes `output` when the block succeeds, and is deleted otherwise.

    Args:
        output: where the folder is to be; a missing or empty folder, unless `overwrite`.
        overwrite: replace what is at `output`, if it holds nothing but `may_hold` and the folders of splits.
        may_hold: names of entries that `overwrite` may delete.

    Raises:
        LayoutError: `output` is there already, or cannot be made.
    """
    held = sorted(entry.name for entry in output.iterdir()) if output.is_dir() else []
    if output.exists() and not output.is_dir():
        raise LayoutError(f"{output} is a file; name a folder")
    if held and not overwrite:
        raise LayoutError(f"{output} holds {held[0]} already; choose another --output, or replace it with --overwrite")
    if foreign := [name for name in held if name not in (*SPLITS, *may_hold)]:
        raise LayoutError(f"{output} holds {foreign[0]}, which --overwrite does not delete; choose another --output")
    # Beside the output, so that the last step is a rename; one fixed name, so that what a killed run left goes away.
    part = output.resolve().with_name(f".{output.resolve().name}.unfinished")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    except OSError as error:
        raise LayoutError(f"{output} cannot be written: {error}") from error
    try:
        yield part
        if held:
            shutil.rmtree(output)
        part.replace(output.resolve())
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def read_lines(location: str | Path) -> Iterator[Line]:
    """Rows of the *lines* files at `location`: a Parquet file, a folder of them or an fsspec URI; order of file names.

    Raises:
        LayoutError: no Parquet file, or one of another layout.
    """
    for row in _rows(location, "lines", 256):
        yield Line(**row)


def read_pages(location: str | Path) -> Iterator[Page]:
    """Rows of the *regions* files at `location`, as `read_lines` does it. Raises LayoutError likewise."""
    for row in _rows(location, "regions", 16):
        regions = tuple(Region(tuple(r["quad"]), r["text"], r["ignore"]) for r in row.pop("regions"))
        yield Page(**row, regions=regions)


def read_meters(location: str | Path) -> Iterator[Meter]:
    """Rows of the *meters* files at `location`, as `read_lines` does it. Raises LayoutError likewise."""
    for row in _rows(location, "meters", 16):
        yield Meter.of(row)


def layout_of(location: str | Path) -> Layout:
    """Return the layout of the files at `location`, known by the first one's columns. Raises LayoutError: unknown
    columns."""
    filesystem, paths = parquet_files(location)
    with filesystem.open(paths[0], "rb") as file:
        columns = set(_open(file, paths[0]).schema_arrow.names)
    for layout, schema in SCHEMAS.items():
        if columns >= set(schema.names):
            return layout
    raise LayoutError(f"{paths[0]} holds no {', '.join(SCHEMAS)}: its columns are {', '.join(sorted(columns))}")


def parquet_files(location: str | Path) -> tuple[fsspec.AbstractFileSystem, list[str]]:
    """File system and sorted paths of the Parquet files at a file, folder or URI. Raises LayoutError: none there."""
    filesystem, path = fsspec.core.url_to_fs(str(location))
    if filesystem.isfile(path):
        return filesystem, [path]
    found = filesystem.find(path) if filesystem.exists(path) else []
    paths = sorted(name for name in found if name.endswith(".parquet"))
    if not paths:
        raise LayoutError(f"{location}: no Parquet files there")
    return filesystem, paths


def _rows(location: str | Path, layout: Layout, batch_rows: int) -> Iterator[dict]:
    filesystem, paths = parquet_files(location)
    columns = SCHEMAS[layout].names
    for path in paths:
        with filesystem.open(path, "rb") as file:
            parquet = _open(file, path)
            if missing := [name for name in columns if name not in parquet.schema_arrow.names]:
                raise LayoutError(f"{path} holds no {layout}: it has no column {', '.join(missing)}")
            for batch in parquet.iter_batches(batch_size=batch_rows, columns=columns):
                yield from batch.to_pylist()


def _open(file, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise LayoutError(f"{path} is not a readable Parquet file: {error}") from error
