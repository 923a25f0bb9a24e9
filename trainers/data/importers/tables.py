"""Rows of Parquet and CSV files that hold images: what the importers of lines and of meters share.

Images are encoded bytes, dictionaries {bytes, path} as Hugging Face writes them, or paths. Texts are strings or whole
numbers.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.rows import ImportSourceError, LeftOut, RowError
from trainers.data.importers.text_files import TextError, stream_encoding

_BATCH_ROWS = 64


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
    """Return the value of an image column as bytes or a file path, and the path stored with the value, or an empty
    text.

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
    """Return a text or an integer as text. Raises RowError: it is neither."""
    if isinstance(text, int) and not isinstance(text, bool):
        return str(text)
    if text is not None and not isinstance(text, str):
        raise RowError("text column holds no text", repr(text)[:80])
    return text or ""


def row_name(place: str) -> str:
    """Return a name for a row without one: file and row number."""
    path, _, number = place.rpartition(":")
    return f"{Path(path).stem}/{number}"


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise ImportSourceError(f"{source} does not exist")
    if not (paths := sorted(path for ending in ("parquet", "csv") for path in source.rglob(f"*.{ending}"))):
        raise ImportSourceError(f"{source} holds no Parquet and no CSV files")
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
    """Return the columns. Raises ImportSourceError: the file does not have all of them."""
    if missing := [column for column in columns if column not in there]:
        raise ImportSourceError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, there))}")
    return columns
