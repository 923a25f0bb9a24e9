"""Label files: a path, a tab or a space, and the label on each line (`gt_*.txt`, `labels.txt`)."""

import re
from collections.abc import Iterator
from pathlib import Path

from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.importer import Importer
from trainers.data.importers.rows import ImportSourceError, LeftOut, LineFound, Row, RowError
from trainers.data.importers.text_files import TextError, numbered_lines

_PATTERNS = ("gt_*.txt", "gt.txt", "labels.txt")
# Without a tab, a path may hold spaces as long as it ends like an image file.
_SPACED = re.compile(r"(.+?\.(?:png|jpe?g|bmp|webp|tiff?|gif))\s(.*)", re.IGNORECASE)


def read(source: Path, *, images: Path | None = None) -> Iterator[Row]:
    """Yield the lines of a label file, or of all `gt_*.txt`, `gt.txt` and `labels.txt` below a folder.

    Args:
        source: label file or folder.
        images: folder that paths are relative to; default: the label file's folder.
    """
    for path in _label_files(source):
        finder = ImageFinder([images or path.parent])
        try:
            for found in numbered_lines(path):
                yield found if isinstance(found, LeftOut) else _line(path, *found, finder)
        except (TextError, OSError) as error:
            yield LeftOut(str(path), "label file cannot be read", str(error))


def split_label(line: str) -> tuple[str, str]:
    """Path and label of a line: parted at the first tab, else after the path's file type, else at the first space.

    Raises:
        RowError: there is neither tab nor space.
    """
    if "\t" in line:
        name, _, label = line.partition("\t")
    elif match := _SPACED.fullmatch(line):
        name, label = match.groups()
    elif " " in line:
        name, _, label = line.partition(" ")
    else:
        raise RowError("no tab and no space between path and label", line[:80])
    return name.strip(), label


def _line(path: Path, number: int, line: str, finder: ImageFinder) -> Row:
    place = f"{path}:{number}"
    try:
        name, label = split_label(line)
        return LineFound(place, name, finder.find(name), label, str(path))
    except RowError as error:
        return LeftOut(place, error.reason, error.detail)


def _label_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise ImportSourceError(f"{source} does not exist")
    if not (paths := sorted({path for pattern in _PATTERNS for path in source.rglob(pattern)})):
        raise ImportSourceError(f"{source} holds no {', '.join(_PATTERNS)}; name the label file")
    return paths


IMPORTER = Importer(
    help="gt_*.txt, labels.txt: path, tab or space, label",
    layouts=("lines",),
    read=lambda options: read(options.source, images=options.images),
)
