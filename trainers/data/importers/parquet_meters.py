"""A user's own Parquet or CSV files with images of meters: photos with corners and readings, strips, single digits.

Columns of the layout's own names (`reading`, `corners`, `kind`, `meter_class`, `leading_zeros`, `digits`, `name`,
`group`) are taken where a file has them, so a data set in the layout can be divided anew; others are named.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.meter_labels import LabelNames, clean_reading, display_corners
from trainers.data.importers.rows import LeftOut, MeterFound, Row, RowError
from trainers.data.importers.tables import checked, image_of, records, row_name
from trainers.data.meter_sample import CHARACTERS, KINDS, METER_CLASSES, Kind, MeterDigit, reading_of
from trainers.data.splits import Split

_OWN = ("kind", "leading_zeros", "digits")
_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "validation",
    "eval": "validation",
}


@dataclass(frozen=True)
class MeterFileColumns:
    """Names of the columns; None: the one of the layout's own name, where there is one.

    Attributes:
        position: of single digits: the wheel's position ("3.7"), or the digit that is seen ("3", a whole number).
        split: "train", or "val", "validation", "test" and the like, for validation; None: divided by group and name.
    """

    image: str = "image"
    reading: str | None = None
    corners: str | None = None
    meter_class: str | None = None
    name: str | None = None
    group: str | None = None
    position: str | None = None
    split: str | None = None

    def there(self, path: Path, names: Sequence[str]) -> dict[str, str]:
        """Column of each field in a file. Raises ImportSourceError: one that is named, or the image's, is missing."""
        given = {key: name for key, name in asdict(self).items() if name is not None}
        checked(path, list(given.values()), names)
        own = (*_OWN, "reading", "corners", "meter_class", "name", "group")
        return {key: key for key in own if key in names} | given


def read(
    source: Path,
    labels: LabelNames,
    *,
    columns: MeterFileColumns | None = None,
    images: Path | None = None,
    kind: Kind | None = None,
    meter_class: str | None = None,
    leading_zeros: bool = True,
    fraction_digits: int = 0,
) -> Iterator[Row]:
    """Meters of a Parquet or CSV file, or of all in a folder and below.

    Args:
        source: file or folder.
        labels: what names of classes mean.
        columns: their names.
        images: folder that paths in the image column are relative to; default: the file's folder.
        kind: of all rows without a column `kind`; default: "strip" with a column of positions, else "photo".
        meter_class: of all rows without a column for it.
        leading_zeros: whether readings have all the zeros that displays begin with, without a column for it.
        fraction_digits: readings had the zeros at their end dropped: fill the fraction up to this many digits.

    Raises:
        ImportSourceError: nothing there, or a file without these columns.
    """
    columns = columns or MeterFileColumns()
    chosen: dict[Path, dict[str, str]] = {}

    def choose(path: Path, there: Sequence[str]) -> list[str]:
        chosen[path] = columns.there(path, there)
        return list(dict.fromkeys(chosen[path].values()))

    defaults = {"kind": kind or ("strip" if columns.position else "photo"), "leading_zeros": leading_zeros}
    for path, place, record in records(source, choose):
        if isinstance(record, LeftOut):
            yield record
            continue
        given = {key: record[column] for key, column in chosen[path].items()}
        fields = {**defaults, "meter_class": meter_class, **{k: v for k, v in given.items() if v is not None}}
        try:
            yield _meter(path, place, fields, labels, ImageFinder([images or path.parent]), fraction_digits)
        except RowError as error:
            yield LeftOut(place, error.reason, error.detail)
    yield from labels.understood()


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    """Add the options of `read`, but for --label and the columns that lines have too."""
    own = "default: the column of that name, if there is one"
    parser.add_argument("--reading-column", help=f'digits as shown, "." before the fraction ({own})')
    parser.add_argument("--corners-column", help=f"four points from the display's top left, clockwise, px ({own})")
    parser.add_argument("--meter-class-column", help=f"({own})")
    parser.add_argument("--position-column", help='single digits: position of the wheel ("3.7"), or the digit')
    parser.add_argument("--split-column", help="train, or val, validation, test for validation")
    parser.add_argument("--kind", choices=KINDS, help="default: strip with --position-column, else photo")
    parser.add_argument("--meter-class", choices=METER_CLASSES, help="class of all rows")
    text = "readings lack the leading zeros of the display"
    parser.add_argument("--leading-zeros-dropped", action="store_true", help=text)
    text = "readings lack trailing zeros: pad the fraction to N digits"
    parser.add_argument("--fraction-digits", type=int, default=0, metavar="N", help=text)


def read_requested(options: argparse.Namespace) -> Iterator[Row]:
    """Call `read` with the options of the command line."""
    columns = MeterFileColumns(
        image=options.image_column,
        reading=options.reading_column,
        corners=options.corners_column,
        meter_class=options.meter_class_column,
        name=options.name_column,
        group=options.group_column,
        position=options.position_column,
        split=options.split_column,
    )
    return read(
        options.source,
        LabelNames(dict(options.label)),
        columns=columns,
        images=options.images,
        kind=options.kind,
        meter_class=options.meter_class,
        leading_zeros=not options.leading_zeros_dropped,
        fraction_digits=options.fraction_digits,
    )


def _meter(
    path: Path, place: str, fields: dict, labels: LabelNames, finder: ImageFinder, fraction_digits: int
) -> MeterFound:
    image, own_path = image_of(fields.get("image"), finder)
    kind, group = fields["kind"], fields.get("group")
    if kind not in KINDS:
        raise RowError("unknown kind", f"{kind!r}, known: {', '.join(KINDS)}")
    digits = _digits(_plain(fields.get("digits")), fields.get("position"))
    reading = fields.get("reading")
    if reading is not None:
        reading = clean_reading(str(reading), fraction_digits)
    elif digits:
        reading = reading_of(digits)
    corners = _plain(fields.get("corners"))
    return MeterFound(
        place,
        str(fields.get("name") or own_path or row_name(place)),
        image,
        str(path),
        kind,
        _class(fields["meter_class"], labels),
        None if corners is None else display_corners(corners),
        reading,
        _flag(fields["leading_zeros"]),
        digits,
        None if group is None else str(group),
        split=_split(fields.get("split")),
    )


def _class(name: object, labels: LabelNames):
    if name is None or name == "":
        return None
    meaning = labels.meaning(str(name))
    if meaning not in METER_CLASSES:
        raise RowError("label of the image is not a class of meters", str(name))
    return meaning


def _split(name: object) -> Split | None:
    if name is None:
        return None
    if (split := _SPLITS.get(str(name).strip().lower())) is None:
        raise RowError("unknown split", f"{name!r}, known: {', '.join(_SPLITS)}")
    return split


def _plain(value: object) -> object:
    """Return a list that a CSV file holds as JSON."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise RowError("column holds no JSON list", value[:60]) from error


def _flag(value: object) -> bool:
    return str(value).strip().lower() not in ("false", "0", "no", "")


def _digits(digits: object, position: object) -> tuple[MeterDigit, ...] | None:
    if position is not None and str(position) != "":
        return (_digit_at(position),)
    if digits is None:
        return None
    try:
        made = tuple(
            MeterDigit(
                str(digit["character"]),
                None if digit.get("position") is None else float(digit["position"]),
                None if digit.get("box") is None else np.array(digit["box"], np.float32).reshape(4, 2),
                bool(digit.get("fraction")),
            )
            for digit in digits  # type: ignore[attr-defined]
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RowError("digits are not a list of character, position, box and fraction", repr(digits)[:80]) from error
    if unknown := [digit.character for digit in made if len(digit.character) != 1 or digit.character not in CHARACTERS]:
        raise RowError("unknown character of a digit", repr(unknown[0]))
    return made


def _digit_at(position: object) -> MeterDigit:
    """Return a wheel at a position, of which the lower digit counts; an integer is a digit whose wheel position is
    unknown."""
    text = str(position).strip().replace(",", ".")
    try:
        value = float(text)
    except ValueError as error:
        raise RowError("position is not a number", repr(position)[:60]) from error
    if not 0 <= value < 10:
        raise RowError("position is not from 0 to below 10", text)
    return MeterDigit(str(int(value)), value if "." in text else None)
