"""LMDB of the deep-text-recognition-benchmark: `image-%09d`, `label-%09d` from 1, and `num-samples`."""

from collections.abc import Iterator
from pathlib import Path

from trainers.data.importers.importer import Importer
from trainers.data.importers.rows import ImportSourceError, LeftOut, LineFound, Row

COUNT_KEY = b"num-samples"


def image_key(number: int) -> bytes:
    return b"image-%09d" % number


def label_key(number: int) -> bytes:
    return b"label-%09d" % number


def import_lmdb():
    """Return the package `lmdb`. Raises ImportSourceError: it is not installed."""
    try:
        import lmdb
    except ModuleNotFoundError as error:
        raise ImportSourceError("lmdb is not installed; LMDB needs the extra: pip install 'ocray[train]'") from error
    return lmdb


def read(source: Path) -> Iterator[Row]:
    """Yield the lines of an LMDB (the folder with data.mdb, or that file), or of all LMDBs below a folder."""
    lmdb = import_lmdb()
    if not source.exists():
        raise ImportSourceError(f"{source} does not exist")
    files = [source] if source.is_file() else sorted(source.rglob("data.mdb"))
    if not files:
        raise ImportSourceError(f"{source} holds no data.mdb: it is not an LMDB")
    for file in files:
        prefix = "" if len(files) == 1 else f"{file.parent.relative_to(source).as_posix()}/"
        try:
            with lmdb.open(str(file), subdir=False, readonly=True, lock=False, readahead=False, meminit=False) as store:
                yield from _lines(store, file, prefix)
        except lmdb.Error as error:
            yield LeftOut(str(file), "no LMDB that can be read", str(error))


def _lines(store, file: Path, prefix: str) -> Iterator[Row]:
    with store.begin(buffers=False) as transaction:
        declared = transaction.get(COUNT_KEY)
        if declared is None:
            detail = "an LMDB of the deep-text-recognition-benchmark stores its size there; write it anew"
            yield LeftOut(str(file), "LMDB without num-samples", detail)
            return
        if not declared.isdigit():
            yield LeftOut(f"{file}:num-samples", "num-samples is not a number", repr(declared[:40]))
            return
        count, entries = int(declared), store.stat()["entries"]
        if count > entries:
            yield LeftOut(
                f"{file}:num-samples", "fewer samples than num-samples", f"{count}, but {entries} keys in all"
            )
            count = entries
        for number in range(1, count + 1):
            place = f"{file}:{label_key(number).decode()}"
            image, label = transaction.get(image_key(number)), transaction.get(label_key(number))
            if image is None or label is None:
                missing = image_key(number) if image is None else label_key(number)
                yield LeftOut(place, "key missing in the LMDB", missing.decode())
                continue
            try:
                text = label.decode()
            except UnicodeDecodeError:
                yield LeftOut(place, "label is not UTF-8")
                continue
            yield LineFound(place, f"{prefix}{number:09d}", image, text, str(file))


IMPORTER = Importer(
    help="LMDB of the deep-text-recognition-benchmark",
    layouts=("lines",),
    read=lambda options: read(options.source),
    takes_images=False,
)
