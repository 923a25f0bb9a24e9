"""A user's own Parquet or CSV files with an image and a text column, or with images of meters (`parquet_meters`)."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainers.data.importers import parquet_meters
from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.importer import Importer
from trainers.data.importers.meter_labels import add_label_argument
from trainers.data.importers.rows import LeftOut, LineFound, Row, RowError
from trainers.data.importers.tables import checked, image_of, records, row_name, text_of


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
    """Yield the lines of a Parquet or CSV file, or of all below a folder.

    Args:
        source: file or folder.
        columns: their names.
        images: folder that paths in the image column are relative to; default: the file's folder.

    Raises:
        ImportSourceError: nothing there, or a file without these columns.
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


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_label_argument(parser)
    parser.add_argument("--image-column", default="image", help="bytes or paths (default: image)")
    parser.add_argument("--group-column", help="rows with the same value stay in one split")
    parser.add_argument("--name-column", help="names of the rows")
    lines = parser.add_argument_group("with --layout lines")
    lines.add_argument("--text-column", default="text", help="(default: text)")
    parquet_meters.add_arguments(parser.add_argument_group("with --layout meters"))


def _read(options: argparse.Namespace) -> Iterator[Row]:
    if options.layout == "meters":
        return parquet_meters.read_requested(options)
    columns = Columns(options.image_column, options.text_column, options.group_column, options.name_column)
    return read(options.source, columns=columns, images=options.images)


IMPORTER = Importer(
    help="your own Parquet or CSV files", layouts=("lines", "meters"), read=_read, add_arguments=_add_arguments
)
