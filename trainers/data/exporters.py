"""Data sets in the two layouts, written for other tools: LMDB of the deep-text-recognition-benchmark, PaddleOCR labels.

Each split becomes a separate folder. These formats have no place for names and groups: they hold numbers instead.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from common.errors import ExpectedError
from trainers.data.importers.lmdb import COUNT_KEY, image_key, import_lmdb, label_key
from trainers.data.importers.paddleocr import DETECTION_FILE, RECOGNITION_FILE
from trainers.data.importers.quads import points_of
from trainers.data.importers.rows import RowError, clean_label
from trainers.data.layouts import Line, Page, layout_of, read_lines, read_pages, whole_folder
from trainers.data.splits import SPLITS

IMAGES_FOLDER = "images"
_ENDINGS = {"JPEG": "jpg", "TIFF": "tif"}
_BATCH_ROWS = 1000
_MAP_BYTES = 2**28  # of an LMDB at first; it grows


class DataExportError(ExpectedError):
    """A data set that cannot be exported this way; the message names the remedy."""


@dataclass
class Exported:
    """How many rows were written, by split, and the reasons why rows were left out."""

    rows: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def export_lmdb(source: Path, output: Path, *, overwrite: bool = False) -> Exported:
    """Write *lines* as `output/SPLIT/data.mdb`, an LMDB a split; of a source without splits, `output/data.mdb`.

    Raises:
        DataExportError: the data set holds no lines, or a line whose text the layout does not allow.
        LayoutError: `source` cannot be read, or `output` not be used.
        SourceError: the package lmdb is not installed.
    """
    lmdb = import_lmdb()
    if (layout := layout_of(source)) != "lines":
        raise DataExportError(f"{source} holds {layout}, LMDB holds lines; import it with --layout lines first")
    done = Exported()
    with whole_folder(output, overwrite=overwrite, may_hold=("data.mdb", "lock.mdb")) as folder:
        for split, place in _splits(source):
            (folder / split).mkdir(exist_ok=True)
            with lmdb.open(str(folder / split), map_size=_MAP_BYTES) as store:
                count = 0
                lines = _clean(read_lines(place), done)
                while batch := list(islice(lines, _BATCH_ROWS)):
                    pairs = []
                    for line in batch:
                        count += 1
                        pairs += [(image_key(count), line.image), (label_key(count), line.text.encode())]
                    _put(lmdb, store, pairs)
                _put(lmdb, store, [(COUNT_KEY, str(count).encode())])
            (folder / split / "lock.mdb").unlink(missing_ok=True)
            done.rows[split or "all"] = count
    return done


def export_paddleocr(source: Path, output: Path, *, overwrite: bool = False) -> Exported:
    """Write *lines* as `output/SPLIT/rec_gt.txt`, *regions* as `output/SPLIT/Label.txt`, with `images/` beside them.

    Paths in the label files are relative to their folder, which is PaddleOCR's `data_dir`. A region to ignore becomes
    "###" (its text is lost), an unknown text an empty transcription.

    Raises:
        DataExportError: the data set holds neither.
        LayoutError: `source` cannot be read, or `output` not be used.
    """
    writers: dict[str, Callable[[Path, Path, Exported], int]] = {"lines": _recognition, "regions": _detection}
    if (layout := layout_of(source)) not in writers:
        raise DataExportError(f"{source} holds {layout}; PaddleOCR's label files hold {' and '.join(writers)}")
    write = writers[layout]
    done = Exported()
    may_hold = (IMAGES_FOLDER, RECOGNITION_FILE, DETECTION_FILE)
    with whole_folder(output, overwrite=overwrite, may_hold=may_hold) as folder:
        for split, place in _splits(source):
            (folder / split / IMAGES_FOLDER).mkdir(parents=True)
            done.rows[split or "all"] = write(place, folder / split, done)
    return done


def _recognition(place: Path, folder: Path, done: Exported) -> int:
    number = 0
    with (folder / RECOGNITION_FILE).open("w", encoding="utf-8", newline="\n") as labels:
        for number, line in enumerate(_clean(read_lines(place), done), 1):
            labels.write(f"{_write_image(folder, number, line.image)}\t{line.text}\n")
    return number


def _detection(place: Path, folder: Path, done: Exported) -> int:
    number = 0
    with (folder / DETECTION_FILE).open("w", encoding="utf-8", newline="\n") as labels:
        for number, page in enumerate(read_pages(place), 1):
            marks = json.dumps(_marks(page), ensure_ascii=False)
            labels.write(f"{_write_image(folder, number, page.image)}\t{marks}\n")
    return number


def _marks(page: Page) -> list[dict]:
    return [
        {
            "transcription": "###" if region.ignore else region.text or "",
            "points": points_of(region.quad),
            "difficult": region.ignore,
        }
        for region in page.regions
    ]


def _write_image(folder: Path, number: int, content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = image.format or "img"
    except UnidentifiedImageError:
        kind = "img"
    path = f"{IMAGES_FOLDER}/{number:09d}.{_ENDINGS.get(kind, kind.lower())}"
    (folder / path).write_bytes(content)
    return path


def _clean(lines: Iterator[Line], done: Exported) -> Iterator[Line]:
    """Yield the lines whose text fits into one line of a label file; data sets not made by an import may hold
    others."""
    for line in lines:
        try:
            if clean_label(line.text) != line.text:
                raise RowError("text is not in form NFC or has spaces around it")
        except RowError as error:
            done.left_out[error.reason] += 1
            continue
        yield line


def _put(lmdb, store, pairs: list[tuple[bytes, bytes]]) -> None:
    while True:
        try:
            with store.begin(write=True) as transaction:
                for key, value in pairs:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            store.set_mapsize(2 * store.info()["map_size"])


def _splits(source: Path) -> list[tuple[str, Path]]:
    """Return (folder name, location) of each split of a data set; a set without splits is one, without a name."""
    splits = [(split, source / split) for split in SPLITS if (source / split).is_dir()]
    return splits or [("", source)]
