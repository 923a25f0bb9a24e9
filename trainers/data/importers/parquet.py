"""A user's own Parquet or CSV files with an image and a text column.

Images are encoded bytes, dictionaries {bytes, path} as Hugging Face writes them, or paths. Texts are strings or whole
numbers.
"""

import csv
from collections.abc import Iterator, Sequence
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
    for path in _files(source):
        finder = ImageFinder([images or path.parent])
        try:
            for number, record in (_csv if path.suffix.lower() == ".csv" else _parquet)(path, columns):
                yield _line(path, number, record, columns, finder)
        except (TextError, pa.ArrowException, OSError, csv.Error) as error:
            yield LeftOut(str(path), "file cannot be read", str(error))


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise SourceError(f"{source} does not exist")
    if not (paths := sorted(path for ending in ("parquet", "csv") for path in source.rglob(f"*.{ending}"))):
        raise SourceError(f"{source} holds no Parquet and no CSV files")
    return paths


def _parquet(path: Path, columns: Columns) -> Iterator[tuple[int, dict]]:
    with pq.ParquetFile(path) as file:
        _check(path, columns, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns.all()):
            for record in batch.to_pylist():
                number += 1
                yield number, record


def _csv(path: Path, columns: Columns) -> Iterator[tuple[int, dict]]:
    with path.open(encoding=stream_encoding(path), newline="") as file:
        reader = csv.DictReader(file)
        _check(path, columns, reader.fieldnames or [])
        for record in reader:
            yield reader.line_num, record


def _check(path: Path, columns: Columns, there: Sequence[str]) -> None:
    if missing := [column for column in columns.all() if column not in there]:
        raise SourceError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, there))}")


def _line(path: Path, number: int, record: dict, columns: Columns, finder: ImageFinder) -> Row:
    place = f"{path}:{number}"
    image, text = record[columns.image], record[columns.text]
    own_path = ""
    if isinstance(image, dict):
        own_path = image.get("path") or ""
        image = image.get("bytes") or own_path
    try:
        if image is None or image == "":
            raise RowError("no image in this row")
        if isinstance(image, str):
            own_path = image
            image = finder.find(image)
        elif not isinstance(image, bytes):
            raise RowError("image column holds neither bytes nor a path", type(image).__name__)
        if isinstance(text, int) and not isinstance(text, bool):
            text = str(text)
        if text is not None and not isinstance(text, str):
            raise RowError("text column holds no text", repr(text)[:80])
    except RowError as error:
        return LeftOut(place, error.reason, error.detail)
    name = record[columns.name] if columns.name else own_path
    group = record[columns.group] if columns.group else None
    named = str(name) if name else f"{path.stem}/{number}"
    return LineFound(place, named, image, text or "", str(path), None if group is None else str(group))
