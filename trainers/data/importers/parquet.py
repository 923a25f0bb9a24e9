"""A user's own Parquet or CSV files with an image and a text column, or with images of meters.

Images are encoded bytes, dictionaries {bytes, path} as Hugging Face writes them, or paths. Texts are strings or whole
numbers.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.rows import LeftOut, LineFound, Row, RowError, SourceError
from trainers.data.importers.text_files import TextError, stream_encoding

_BATCH_ROWS = 64


@dataclass(frozen=True)
class Columns:
    """Names of the columns; without `name`, rows are named after their image's path, or file and number."""

    image: str = "image"
    text: str = "text"
    group: str | None = None
    name: str | None = None

    def all(self) -> list[str]:
        return list(dict.fromkeys(c for c in (self.image, self.text, self.group, self.name) if c))


def read(source: Path, *, columns: Columns | None = None, images: Path | None = None) -> Iterator[Row]:
    """Lines of a Parquet or CSV file, or of all in a folder and below.

    Args:
        source: file or folder.
        columns: their names.
        images: folder that paths in the image column are relative to; default: the file's folder.

    Raises:
        SourceError: nothing there, or a file without these columns.
    """
    columns = columns or Columns()
    for path, place, record in records(source, lambda path, there: checked(path, columns.all(), there)):
        if isinstance(record, LeftOut):
            yield record
            continue
        try:
            image, own_path = image_of(record[columns.image], ImageFinder([images or path.parent]))
            text = text_of(record[columns.text])
        except RowError as error:
            yield LeftOut(place, error.reason, error.detail)
            continue
        name = record[columns.name] if columns.name else own_path
        group = record[columns.group] if columns.group else None
        named = str(name) if name else row_name(place)
        yield LineFound(place, named, image, text, str(path), None if group is None else str(group))


def records(
    source: Path, choose: Callable[[Path, Sequence[str]], list[str]]
) -> Iterator[tuple[Path, str, dict | LeftOut]]:
    """File, place and values of each row of a Parquet or CSV file, or of all in a folder and below.

    Args:
        source: file or folder.
        choose: from a file and the columns it has, the columns to read.
    """
    for path in _files(source):
        try:
            for number, record in (_csv if path.suffix.lower() == ".csv" else _parquet)(path, choose):
                yield path, f"{path}:{number}", record
        except (TextError, pa.ArrowException, OSError, csv.Error) as error:
            yield path, str(path), LeftOut(str(path), "file cannot be read", str(error))


def image_of(image: object, finder: ImageFinder) -> tuple[bytes | Path, str]:
    """An image column's value as bytes or the file's path, and the path that the value itself tells, or nothing.

    Raises:
        RowError: there is no image.
    """
    own_path = ""
    if isinstance(image, dict):
        own_path = image.get("path") or ""
        image = image.get("bytes") or own_path
    if image is None or image == "":
        raise RowError("no image in this row")
    if isinstance(image, str):
        return finder.find(image), image
    if not isinstance(image, bytes):
        raise RowError("image column holds neither bytes nor a path", type(image).__name__)
    return image, own_path


def text_of(text: object) -> str:
    """A text or a whole number as a text. Raises RowError: it is neither."""
    if isinstance(text, int) and not isinstance(text, bool):
        return str(text)
    if text is not None and not isinstance(text, str):
        raise RowError("text column holds no text", repr(text)[:80])
    return text or ""


def row_name(place: str) -> str:
    """A name for a row that has none: file and number."""
    path, _, number = place.rpartition(":")
    return f"{Path(path).stem}/{number}"


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise SourceError(f"{source} does not exist")
    if not (paths := sorted(path for ending in ("parquet", "csv") for path in source.rglob(f"*.{ending}"))):
        raise SourceError(f"{source} holds no Parquet and no CSV files")
    return paths


def _parquet(path: Path, choose: Callable[[Path, Sequence[str]], list[str]]) -> Iterator[tuple[int, dict]]:
    with pq.ParquetFile(path) as file:
        columns = choose(path, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            for record in batch.to_pylist():
                number += 1
                yield number, record


def _csv(path: Path, choose: Callable[[Path, Sequence[str]], list[str]]) -> Iterator[tuple[int, dict]]:
    with path.open(encoding=stream_encoding(path), newline="") as file:
        reader = csv.DictReader(file)
        columns = choose(path, reader.fieldnames or [])
        for record in reader:
            yield reader.line_num, {column: record[column] for column in columns}


def checked(path: Path, columns: list[str], there: Sequence[str]) -> list[str]:
    """The columns. Raises SourceError: the file does not have them all."""
    if missing := [column for column in columns if column not in there]:
        raise SourceError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, there))}")
    return columns
