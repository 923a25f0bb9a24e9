"""PaddleOCR's labels, also as PPOCRLabel writes them.

Detection (`Label.txt`): image path, tab, a JSON list of {transcription, points, difficult}; "###" and `difficult` are
regions to ignore, an empty transcription is an unknown text. Recognition (`rec_gt.txt`): image path, tab, text; a JSON
list of paths gives them all the same text.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.importer import Importer
from trainers.data.importers.quads import quad_of_points
from trainers.data.importers.rows import ImportSourceError, LeftOut, LineFound, PageFound, Row, RowError
from trainers.data.importers.text_files import TextError, numbered_lines
from trainers.data.layouts import Layout, Region

DETECTION_FILE = "Label.txt"
RECOGNITION_FILE = "rec_gt.txt"
_IGNORED_TEXTS = {"###", "*"}
_SNIFFED_LINES = 200


def read(source: Path, layout: Layout, *, images: Path | None = None) -> Iterator[Row]:
    """Yield the pages of detection labels and the lines of recognition labels.

    Args:
        source: label file of either kind; or a folder, of which (and below) all `Label.txt` are taken for regions, and
            for lines all `rec_gt.txt`, or where there are none all `Label.txt`.
        layout: what is wanted of a folder.
        images: folder that paths are relative to; default: the label file's folder and the one above it, as PPOCRLabel
            has it.
    """
    for path in _label_files(source, layout):
        finder = ImageFinder([images] if images else [path.parent, path.parent.parent])
        try:
            detection = _is_detection(path)
            for found in numbered_lines(path):
                if isinstance(found, LeftOut):
                    yield found
                else:
                    yield from (_page if detection else _lines)(path, *found, finder)
        except (TextError, OSError) as error:
            yield LeftOut(str(path), "label file cannot be read", str(error))


def _label_files(source: Path, layout: Layout) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise ImportSourceError(f"{source} does not exist")
    wanted = (DETECTION_FILE,) if layout == "regions" else (RECOGNITION_FILE, DETECTION_FILE)
    for name in wanted:
        if paths := sorted(source.rglob(name)):
            return paths
    raise ImportSourceError(f"{source} holds no {' and no '.join(wanted)}; name the label file")


def _is_detection(path: Path) -> bool:
    """By the file's name, else by its first lines."""
    if path.name in (DETECTION_FILE, RECOGNITION_FILE):
        return path.name == DETECTION_FILE
    for count, found in enumerate(numbered_lines(path)):
        if count == _SNIFFED_LINES:
            break
        if not isinstance(found, LeftOut) and _marks(found[1].partition("\t")[2]):
            return True
    return False


def _marks(text: str) -> list[dict] | None:
    """Return the regions of a detection label, or None if it is not one."""
    try:
        marks = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return marks if isinstance(marks, list) and all(isinstance(m, dict) and "points" in m for m in marks) else None


def _page(path: Path, number: int, line: str, finder: ImageFinder) -> Iterator[Row]:
    place = f"{path}:{number}"
    name, _, text = line.partition("\t")
    if (marks := _marks(text)) is None:
        yield LeftOut(place, "no JSON list of regions with points", text[:80])
        return
    regions = []
    for index, mark in enumerate(marks):
        try:
            regions.append(_region(mark))
        except RowError as error:
            yield LeftOut(f"{place} region {index}", error.reason, error.detail)
    try:
        yield PageFound(place, name, finder.find(name), tuple(regions), str(path))
    except RowError as error:
        yield LeftOut(place, error.reason, error.detail)


def _region(mark: dict) -> Region:
    text = mark.get("transcription")
    ignore = bool(mark.get("difficult")) or text in _IGNORED_TEXTS
    known = isinstance(text, str) and text.strip() and text not in _IGNORED_TEXTS
    return Region(quad_of_points(mark["points"]), text if known else None, ignore)


def _lines(path: Path, number: int, line: str, finder: ImageFinder) -> Iterator[Row]:
    place = f"{path}:{number}"
    first, tab, text = line.partition("\t")
    if not tab:
        yield LeftOut(place, "no tab between path and label", line[:80])
        return
    for name in _paths(first):
        try:
            yield LineFound(place, name, finder.find(name), text, str(path))
        except RowError as error:
            yield LeftOut(place, error.reason, error.detail)


def _paths(first: str) -> list[str]:
    try:
        paths = json.loads(first)
    except (ValueError, RecursionError):
        return [first.strip()]
    is_list = isinstance(paths, list) and all(isinstance(path, str) for path in paths)
    return paths if is_list else [first.strip()]


IMPORTER = Importer(
    help="PaddleOCR Label.txt and rec_gt.txt",
    layouts=("regions", "lines"),
    read=lambda options: read(options.source, options.layout, images=options.images),
)
