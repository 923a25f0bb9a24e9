"""Label Studio: JSON and JSON-MIN exports of meters, for displays (stage 1), for digits (stage 2) or for both.

A task is an image with `annotations`, each a list `result` of {type, value, original_width, original_height}:
`polygonlabels` (the display's corners from its own top left, in % of the image), `choices` (the class),
`rectanglelabels` (digits and the fraction area: x and y of the top left in %, width and height in %, rotation in
degrees clockwise about that corner), `textarea` (the reading, typed). In JSON-MIN these values lie in the task itself.

Tasks of one image are one row. A strip and a photo of one name (`31.jpg`, `31.png`) are taken for one meter: the photo
has the strip's reading, and they share a group.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import cast

import numpy as np

from trainers.data.importers.image_files import ImageFinder, load_image
from trainers.data.importers.importer import Importer
from trainers.data.importers.json_sets import array_items, json_files
from trainers.data.importers.label_studio_tasks import (
    LABEL_KEYS,
    file_name,
    find,
    frame,
    image_reference,
    px,
    rectangle,
    results_of,
    strings,
)
from trainers.data.importers.meter_labels import (
    DISPLAY,
    FRACTION,
    IGNORE,
    DigitFound,
    LabelNames,
    add_label_argument,
    clean_reading,
    display_corners,
    kind_of,
    ordered_digits,
)
from trainers.data.importers.rows import LeftOut, MeterFound, Row, RowError, Skipped
from trainers.data.meter_sample import CHARACTERS, METER_CLASSES, MeterClass

_FURTHER = "further displays on an image (the largest one counts)"
_REMARKS = "typed texts that are not readings"
_OVERLAPPING = "digits that another one overlaps (the surer, else the larger one counts)"


@dataclass
class _Labels:
    """What a task says about its image, in px of the frame `size`."""

    place: str
    source: str
    name: str
    image: Path
    size: tuple[float, float]
    classes: list[str] = field(default_factory=list)
    displays: list[np.ndarray] = field(default_factory=list)
    digits: list[DigitFound] = field(default_factory=list)
    fractions: list[np.ndarray] = field(default_factory=list)
    reading: str | None = None

    def joined(self, later: "_Labels") -> "_Labels":
        """With what a later task of the same image says in the place of what this one does."""
        scale = np.array(self.size) / later.size
        return _Labels(
            f"{self.place} and {later.place}",
            self.source,
            self.name,
            self.image,
            self.size,
            later.classes or self.classes,
            [(quad * scale).astype(np.float32) for quad in later.displays] or self.displays,
            [DigitFound(d.character, (d.quad * scale).astype(np.float32), d.confidence) for d in later.digits]
            or self.digits,
            [(quad * scale).astype(np.float32) for quad in later.fractions] or self.fractions,
            later.reading or self.reading,
        )


def read(source: Path, names: LabelNames, *, images: Path | None = None) -> Iterator[Row]:
    """Meters of an export, or of all exports in a folder.

    Args:
        source: JSON file, or a folder of them.
        names: what labels mean.
        images: folder in which images are sought by name; default: the label file's, which always comes first.
    """
    skipped: Counter[str] = Counter()
    found: dict[Path, _Labels] = {}
    for path in json_files(source):
        finders = [
            ImageFinder([folder], anywhere=True) for folder in dict.fromkeys([path.parent, images or path.parent])
        ]
        for number, task in enumerate(array_items(path)):
            if isinstance(task, LeftOut):
                yield task
                continue
            place = f"{path}:task {task.get('id', number) if isinstance(task, dict) else number}"
            try:
                labels = _task(task, place, path, finders, names, skipped)
            except RowError as error:
                yield LeftOut(place, error.reason, error.detail)
                continue
            if labels is not None:
                earlier = found.get(labels.image)
                found[labels.image] = labels if earlier is None else earlier.joined(labels)
    yield from _rows(found, skipped)
    yield from names.understood()
    yield from (Skipped(what, count) for what, count in (+skipped).items())


def _task(
    task: object, place: str, path: Path, finders: list[ImageFinder], names: LabelNames, skipped: Counter[str]
) -> _Labels | None:
    """Return the labels of a task; None if it was cancelled."""
    if not isinstance(task, dict):
        raise RowError("no Label Studio task", repr(task)[:80])
    results = results_of(task, skipped)
    if results is None:
        return None
    reference = image_reference(task)
    image = find(reference, finders)
    if not results:
        raise RowError("annotation without labels", reference)
    labels = _Labels(place, str(path), file_name(reference), image, frame(results) or load_image(image)[1])
    for result in results:
        if result.get("image_rotation"):
            raise RowError("image turned in Label Studio", f"{result['image_rotation']}°; turn the file instead")
        _add(labels, result, names, skipped)
    return labels


def _add(labels: _Labels, result: dict, names: LabelNames, skipped: Counter[str]) -> None:
    """Add a result. Raises RowError: it cannot be used."""
    value = result.get("value")
    if not isinstance(value, dict):
        return
    if "choices" in value:
        meanings = [names.meaning(choice) for choice in strings(value["choices"])]
        labels.classes += [meaning for meaning in meanings if meaning in METER_CLASSES]
    elif "text" in value and not any(label in value for label in LABEL_KEYS):
        try:
            labels.reading = clean_reading("".join(strings(value["text"])))
        except RowError:  # annotators also type remarks
            skipped[_REMARKS] += 1
    elif "points" in value:
        meanings = _meanings(value, names)
        if IGNORE in meanings:
            return
        corners = display_corners(px(value["points"], labels.size))
        if FRACTION in meanings:
            labels.fractions.append(corners)
            return
        # A shape whose labels and text are results of their own comes once with each.
        if not any(np.array_equal(corners, display) for display in labels.displays):
            labels.displays.append(corners)
        # The polygon's own label is the class where nothing else says it.
        labels.classes = labels.classes or [meaning for meaning in meanings if meaning in METER_CLASSES]
    elif "width" in value and "height" in value:
        _add_rectangle(labels, value, _meanings(value, names), result.get("score"))


def _add_rectangle(labels: _Labels, value: dict, meanings: list[str], score: object) -> None:
    if not meanings or IGNORE in meanings:
        return
    quad = rectangle(value, labels.size)
    if FRACTION in meanings:
        labels.fractions.append(quad)
    elif meanings[0] in CHARACTERS:
        labels.digits.append(DigitFound(meanings[0], quad, float(score) if isinstance(score, int | float) else None))
    elif meanings[0] == DISPLAY:
        labels.displays.append(quad)
    else:
        raise RowError("rectangle is not a digit, fraction area or display", meanings[0])


def _meanings(value: dict, names: LabelNames) -> list[str]:
    return [names.meaning(label) for key in LABEL_KEYS for label in strings(value.get(key, []))]


def _rows(found: Mapping[Path, _Labels], skipped: Counter[str]) -> Iterator[MeterFound | LeftOut]:
    """Yield the rows of all images; photos with the readings of their strips."""
    made: list[MeterFound] = []
    for labels in found.values():
        try:
            made.append(_row(labels, skipped))
        except RowError as error:
            yield LeftOut(labels.place, error.reason, error.detail)
    strips = {PurePosixPath(row.name).stem: row for row in made if row.kind == "strip"}
    photos = {PurePosixPath(row.name).stem: row for row in made if row.kind == "photo"}
    for row in made:
        stem = PurePosixPath(row.name).stem
        other = (strips if row.kind == "photo" else photos).get(stem)
        if other is None:
            yield row
            continue
        fields = {**vars(row), "group": stem}
        fields["reading"] = row.reading or other.reading
        fields["meter_class"] = row.meter_class or other.meter_class
        yield MeterFound(**fields)


def _row(labels: _Labels, skipped: Counter[str]) -> MeterFound:
    classes = list(dict.fromkeys(labels.classes))
    if len(classes) > 1:
        raise RowError("several classes for one image", ", ".join(classes))
    meter_class = cast(MeterClass, classes[0]) if classes else None  # `LabelNames` gives no others
    corners = max(labels.displays, key=_area, default=None)
    skipped[_FURTHER] += max(0, len(labels.displays) - 1)
    digits, reading = None, labels.reading
    if labels.digits:
        digits, read_off, overlapped = ordered_digits(labels.digits, labels.fractions, corners)
        skipped[_OVERLAPPING] += overlapped
        if reading and reading.replace(".", "") != read_off.replace(".", ""):
            raise RowError("digits and typed reading differ", f"{read_off} and {reading}")
        reading = reading or read_off
    if meter_class in (None, "analog", "digital") and corners is None and not reading:
        raise RowError("neither display nor digits are marked")
    return MeterFound(
        labels.place,
        labels.name,
        labels.image,
        labels.source,
        kind_of(corners, digits, labels.size[1]),
        meter_class,
        corners,
        reading,
        digits=digits,
        size=labels.size,
    )


def _area(quad: np.ndarray) -> float:
    return float(np.prod(np.ptp(quad, axis=0)))


IMPORTER = Importer(
    help="Label Studio JSON or JSON-MIN: meters, their displays and digits",
    layouts=("meters",),
    read=lambda options: read(options.source, LabelNames(dict(options.label)), images=options.images),
    add_arguments=add_label_argument,
)
