"""TFRecord: files, or folders of TensorFlow Datasets, of the counter recognition system's two stages.

Stage 1 is an image with the display's box, its corners and the class; stage 2 an image with `objects`, each a box
ymin, xmin, ymax, xmax in shares of the image, and a label: a digit or the fraction area. Names of features are those of
`FEATURES`; labels that are numbers are named by `FEATURE.labels.txt` beside the records, as TensorFlow Datasets writes
them, else by `CLASS_NAMES` and `DIGIT_NAMES`.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from common.cli import pair
from trainers.data.importers.image_files import load_image
from trainers.data.importers.importer import Importer
from trainers.data.importers.meter_labels import (
    DISPLAY,
    FRACTION,
    IGNORE,
    DigitFound,
    LabelNames,
    add_label_argument,
    clean_reading,
    kind_of,
    ordered_digits,
)
from trainers.data.importers.quads import as_array, quad_of_points
from trainers.data.importers.rows import ImportSourceError, LeftOut, MeterFound, Row, RowError, Skipped
from trainers.data.importers.tfrecord_files import Features, examples
from trainers.data.meter_sample import CHARACTERS, METER_CLASSES
from trainers.data.splits import Split

# What is looked for, and the names it may have; the first that a record holds is taken.
FEATURES: dict[str, tuple[str, ...]] = {
    "image": ("image", "image/encoded", "encoded", "photo"),
    "name": ("image/filename", "filename", "file_name", "image/id", "name"),
    "group": ("group", "meter_id"),
    "class": ("label", "class", "counter_class", "meter_class", "image/class/label"),
    "bbox": ("bbox", "box", "screen_bbox"),
    "corners": ("corners", "screen_corners", "points", "keypoints", "polygon", "objects/corners"),
    "digit_boxes": ("objects/bbox", "digits/bbox", "image/object/bbox"),
    "digit_labels": ("objects/label", "digits/label", "image/object/class/label"),
    "reading": ("reading", "text", "value"),
}
CLASS_NAMES = ("analog", "digital", "analog illegible", "digital illegible")
DIGIT_NAMES = (*"0123456789", "fraction")

_SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "val": "validation", "test": "validation"}
_SHARES = 2.0  # coordinates up to here are shares of the image, not px: no display lies in its first two px


def read(source: Path, names: LabelNames, *, features: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Meters of a TFRecord file, or of all in a folder and below.

    Splits given by file names (`NAME-train.tfrecord-00000-of-00001`) are kept if both exist.

    Args:
        source: file or folder.
        names: what labels mean.
        features: names of features in the place of those in `FEATURES`.

    Raises:
        ImportSourceError: nothing there, or a key of `features` that is none of `FEATURES`.
    """
    wanted = dict(FEATURES)
    for key, name in (features or {}).items():
        if key not in FEATURES:
            raise ImportSourceError(f"--feature {key}={name}: unknown key {key}; known: {', '.join(FEATURES)}")
        wanted[key] = (name,)
    paths = _files(source)
    splits: dict[Path, Split | None] = {path: _split(path) for path in paths}
    divided = {"train", "validation"} <= set(splits.values())
    skipped: Counter[str] = Counter()
    for path in paths:
        reader = _Reader(path, wanted, names, skipped, splits[path] if divided else None)
        for number, found in examples(path):
            if isinstance(found, LeftOut):
                yield found
                continue
            try:
                yield reader.row(number, found)
            except RowError as error:
                yield LeftOut(f"{path}:record {number}", error.reason, error.detail)
    yield from names.understood()
    yield from (Skipped(what, count) for what, count in (+skipped).items())


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise ImportSourceError(f"{source} does not exist")
    endings = ("tfrecord", "tfrecords", "tfrec", "record")
    # NAME-train.tfrecord-00000-of-00001: the ending is anywhere in the name.
    found = (path for path in source.rglob("*") if path.is_file())
    paths = sorted(path for path in found if {part.partition("-")[0] for part in path.name.split(".")[1:]} & {*endings})
    if not paths:
        raise ImportSourceError(f"{source} holds no TFRecord files (*.tfrecord*); name the file or its folder")
    return paths


def _split(path: Path) -> Split | None:
    words = path.name.partition(".")[0].replace("_", "-").lower().split("-")
    return next((_SPLITS[word] for word in reversed(words) if word in _SPLITS), None)


class _Reader:
    """Rows of one file's examples."""

    def __init__(
        self,
        path: Path,
        wanted: Mapping[str, tuple[str, ...]],
        names: LabelNames,
        skipped: Counter[str],
        split: Split | None,
    ):
        self._path, self._wanted, self._names, self._skipped = path, wanted, names, skipped
        self._split: Split | None = split
        self._renamed = {key for key, names in wanted.items() if names != FEATURES[key]}
        self._label_names: dict[str, tuple[str, ...]] = {}

    def row(self, number: int, features: Features) -> MeterFound:
        """Return the row of an example. Raises RowError: it cannot be used."""
        image = self._get(features, "image")[1]
        if image is None or not isinstance(image[0], bytes):
            raise RowError("record without an image", f"its features are {', '.join(sorted(features))}; see --feature")
        size = load_image(image[0])[1]
        classes, digits_found, fractions, displays = self._objects(features, size)
        if (label := self._class(features)) is not None:
            classes = [label]
        corners = self._corners(features, size)
        if corners is None and displays:
            corners = displays[0]
        digits, reading = None, self._reading(features)
        if digits_found:
            digits, read_off, overlapped = ordered_digits(digits_found, fractions, corners)
            self._skipped["digits that another one overlaps (the larger one counts)"] += overlapped
            reading = reading or read_off
        if len(set(classes)) > 1:
            raise RowError("several classes for one image", ", ".join(sorted(set(classes))))
        if corners is None and reading is None and (not classes or classes[0] in ("analog", "digital")):
            listed = ", ".join(sorted(features))
            raise RowError("neither display nor digits are labelled", f"its features are {listed}; see --feature")
        name = self._text(features, "name") or f"{self._path.name.partition('.')[0]}/{number}"
        return MeterFound(
            f"{self._path}:record {number}",
            name,
            image[0],
            str(self._path),
            kind_of(corners, digits, size[1]),
            classes[0] if classes else None,  # type: ignore[arg-type]
            corners,
            reading,
            digits=digits,
            group=self._text(features, "group"),
            split=self._split,
        )

    def _get(self, features: Features, key: str) -> tuple[str, list | np.ndarray | None]:
        """Name and values of the feature that is wanted for `key`; None: there is none, or it is empty.

        Raises:
            RowError: the feature that the caller named is not there.
        """
        names = self._wanted[key]
        if key in self._renamed and names[0] not in features:
            raise RowError(f"record without {names[0]}", f"its features are {', '.join(sorted(features))}")
        for name in names:
            if name in features and len(features[name]):
                return name, features[name]
        return "", None

    def _text(self, features: Features, key: str) -> str | None:
        _, values = self._get(features, key)
        if values is None:
            return None
        return values[0].decode("utf-8", "replace") if isinstance(values[0], bytes) else str(values[0])

    def _reading(self, features: Features) -> str | None:
        text = self._text(features, "reading")
        return clean_reading(text) if text else None

    def _label(self, feature: str, value: object, default: tuple[str, ...]) -> str:
        """Return the meaning of a label: a text, or a number that `FEATURE.labels.txt` or `default` names."""
        if isinstance(value, bytes):
            return self._names.meaning(value.decode("utf-8", "replace"))
        if feature not in self._label_names:
            listed = self._path.parent / f"{feature.replace('/', '-')}.labels.txt"
            lines = listed.read_text("utf-8").splitlines() if listed.is_file() else default
            self._label_names[feature] = tuple(lines)
        known = self._label_names[feature]
        number = int(value)  # type: ignore[call-overload]
        if not 0 <= number < len(known):
            raise RowError("label without a name", f"{feature} {number} of {len(known)} names")
        return self._names.meaning(known[number])

    def _class(self, features: Features) -> str | None:
        feature, values = self._get(features, "class")
        if values is None:
            return None
        meaning = self._label(feature, values[0], CLASS_NAMES)
        if meaning not in METER_CLASSES:
            raise RowError("label of the image is not a class of meters", f"{feature}: {meaning}")
        return meaning

    def _objects(
        self, features: Features, size: tuple[int, int]
    ) -> tuple[list[str], list[DigitFound], list[np.ndarray], list[np.ndarray]]:
        """Classes, digits, fraction areas and displays among the objects."""
        classes, digits, fractions, displays = [], [], [], []
        feature, labels = self._get(features, "digit_labels")
        _, boxes = self._get(features, "digit_boxes")
        if labels is None:
            return classes, digits, fractions, displays
        if boxes is None or len(boxes) != 4 * len(labels):
            raise RowError(
                "objects without a box each", f"{len(labels)} labels, {0 if boxes is None else len(boxes)} numbers"
            )
        for label, box in zip(labels, np.reshape(boxes, (-1, 4)), strict=True):
            meaning = self._label(feature, label, DIGIT_NAMES)
            if meaning == IGNORE:
                continue
            quad = _quad(box, size)
            if meaning in METER_CLASSES:  # of a display; its box is no quad of it
                classes.append(meaning)
            elif meaning == DISPLAY:
                displays.append(quad)
            elif meaning == FRACTION:
                fractions.append(quad)
            elif meaning in CHARACTERS:
                digits.append(DigitFound(meaning, quad))
        return classes, digits, fractions, displays

    def _corners(self, features: Features, size: tuple[int, int]) -> np.ndarray | None:
        """Return (4, 2) px. A box next to them decides whether numbers come as x, y or as y, x."""
        feature, numbers = self._get(features, "corners")
        _, box = self._get(features, "bbox")
        if numbers is None and box is not None and len(box) == 12:  # the box, then the corners
            numbers, box = box[4:], box[:4]
        if numbers is None:
            return None
        if len(numbers) != 8:
            raise RowError("corners that are not eight numbers", f"{feature} of {len(numbers)}")
        corners = np.reshape(np.asarray(numbers, np.float64), (4, 2))
        if not np.isfinite(corners).all():
            raise RowError("corners that are not eight numbers", str(corners.tolist()))
        shares = bool(np.abs(corners).max() <= _SHARES)
        width, height = size
        choices = [corners * ((width, height) if shares else 1), corners[:, ::-1] * ((width, height) if shares else 1)]
        if box is not None and len(box) == 4:
            wanted = _quad(np.asarray(box), size)
            choices.sort(key=lambda points: _apart(points, wanted))
        return as_array(quad_of_points(choices[0].tolist()))


def _quad(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (4, 2) px of ymin, xmin, ymax, xmax, as shares or px. Raises RowError: no area."""
    top, left, bottom, right = (float(value) for value in box)
    scale = np.array(size if max(map(abs, (top, left, bottom, right))) <= _SHARES else (1, 1))
    points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) * scale
    return as_array(quad_of_points(points.tolist()))


def _apart(points: np.ndarray, quad: np.ndarray) -> float:
    return float(np.abs(points.min(0) - quad.min(0)).sum() + np.abs(points.max(0) - quad.max(0)).sum())


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_label_argument(parser)
    text = f"name of a feature, repeatable; KEY: {', '.join(FEATURES)}"
    parser.add_argument("--feature", action="append", type=pair, default=[], metavar="KEY=NAME", help=text)


IMPORTER = Importer(
    help="TFRecord files and TensorFlow Datasets of meters",
    layouts=("meters",),
    read=lambda options: read(options.source, LabelNames(dict(options.label)), features=dict(options.feature)),
    add_arguments=_add_arguments,
    takes_images=False,
)
