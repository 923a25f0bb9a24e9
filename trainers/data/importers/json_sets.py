"""JSON of the COCO kind, {"images": […], "annotations": […]}, read item by item and joined on disk.

A label file of AI Hub describes up to a million images in one JSON; it is never held in memory as a whole.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from trainers.data.importers.rows import ImportSourceError, LeftOut
from trainers.data.importers.text_files import TextError, stream_encoding

_CHUNK = 2**20
_LARGEST_ITEM = 64 * 2**20


def json_files(source: Path) -> list[Path]:
    """Return the JSON file `source`, or all below the folder `source`. Raises ImportSourceError: there is none."""
    if source.is_file():
        return [source]
    if not source.exists():
        raise ImportSourceError(f"{source} does not exist")
    if not (paths := sorted(source.rglob("*.json"))):
        raise ImportSourceError(f"{source} holds no JSON files; name the label file or its folder")
    return paths


def joined(path: Path) -> Iterator[tuple[dict, list[dict]] | LeftOut]:
    """Each image of a JSON file with its annotations, in the file's order; `LeftOut` for what cannot be joined.

    An image is `{"id": …, …}`, an annotation `{"id": …, "image_id": …, …}`. Broken JSON is used up to the
    place where it breaks, and said so.
    """
    # SQLite's unnamed database: in memory while it is small, in a temporary file beyond.
    with closing(sqlite3.connect("", isolation_level=None)) as store:
        yield from _fill(store, path)
        store.execute("CREATE INDEX by_image ON annotations (image)")
        stray = "SELECT number, image FROM annotations WHERE image NOT IN (SELECT id FROM images)"
        for number, image in store.execute(stray):
            yield LeftOut(f"{path}:annotation {number}", "annotation of no image", f"image_id {image}")
        of_image = "SELECT content FROM annotations WHERE image = ? ORDER BY rowid"
        for identity, content in store.execute("SELECT id, content FROM images ORDER BY rowid"):
            yield json.loads(content), [json.loads(row[0]) for row in store.execute(of_image, (identity,))]


def array_items(path: Path) -> Iterator[object]:
    """Yield the items of a JSON file that is an array, one by one; `LeftOut` if it is not an array, or from where it
    breaks."""
    try:
        with path.open(encoding=stream_encoding(path)) as file:
            items = _Items(file, set())
            if items.next_character() != "[":
                yield LeftOut(str(path), "not JSON with a list of items", "it does not begin with [")
                return
            yield from items.array()
    except (TextError, OSError) as error:
        yield LeftOut(str(path), "label file cannot be read", str(error))
    except json.JSONDecodeError as error:
        yield _broken(path, error)


def _broken(path: Path, error: json.JSONDecodeError) -> LeftOut:
    return LeftOut(f"{path}:character {error.pos}", "not valid JSON from here on", error.msg)


def _fill(store: sqlite3.Connection, path: Path) -> Iterator[LeftOut]:
    store.execute("CREATE TABLE images (id TEXT PRIMARY KEY, content TEXT)")
    store.execute("CREATE TABLE annotations (image TEXT, number TEXT, content TEXT)")
    store.execute("BEGIN")
    seen: set[str] = set()
    try:
        with path.open(encoding=stream_encoding(path)) as file:
            for key, item in _Items(file, {"images", "annotations"}):
                seen.add(key)
                kind = key[:-1]
                if not isinstance(item, dict) or item.get("id" if kind == "image" else "image_id") is None:
                    yield LeftOut(f"{path}:{kind}", f"{kind} without an id", json.dumps(item, ensure_ascii=False)[:80])
                elif kind == "annotation":
                    row = str(item["image_id"]), str(item.get("id")), json.dumps(item)
                    store.execute("INSERT INTO annotations VALUES (?, ?, ?)", row)
                elif not _insert_image(store, item):
                    yield LeftOut(f"{path}:image {item['id']}", "image id given twice")
        if missing := {"images", "annotations"} - seen:
            yield LeftOut(
                str(path), "not JSON with images and annotations", f"no {' and no '.join(sorted(missing))} in it"
            )
    except (TextError, OSError) as error:
        yield LeftOut(str(path), "label file cannot be read", str(error))
    except json.JSONDecodeError as error:
        yield _broken(path, error)
    store.execute("COMMIT")


def _insert_image(store: sqlite3.Connection, item: dict) -> bool:
    row = str(item["id"]), json.dumps(item)
    return store.execute("INSERT OR IGNORE INTO images VALUES (?, ?)", row).rowcount == 1


class _Items:
    """Iterates over (key, item) of the arrays named in `wanted`, at the top level of a JSON object in a text file.

    Raises:
        json.JSONDecodeError: malformed or ending early; `pos` counts characters from the file's start.
    """

    def __init__(self, file, wanted: set[str]):
        self._file = file
        self._wanted = wanted
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._before = 0  # characters of the file that went before self._text

    def __iter__(self) -> Iterator[tuple[str, object]]:
        self._take("{")
        if self.next_character() == "}":
            return
        while True:
            key = self._value()
            self._take(":")
            if key in self._wanted and self.next_character() == "[":
                for item in self.array():
                    yield str(key), item
            else:
                self._value()
            if self._take(",}") == "}":
                return

    def array(self) -> Iterator[object]:
        """Yield the items of the array that comes next."""
        self._take("[")
        if self.next_character() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def _more(self) -> bool:
        chunk = self._file.read(_CHUNK)
        self._before += self._at
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)

    def next_character(self) -> str:
        """Return the next character that is not white space, or nothing at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _take(self, expected: str) -> str:
        found = self.next_character()
        if not found or found not in expected:
            raise self._malformed(f"expected {' or '.join(expected)}, found {found or 'the end of the file'}")
        self._at += 1
        return found

    def _value(self) -> object:
        self.next_character()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _LARGEST_ITEM or not self._more():
                    raise self._malformed(error.msg) from error
                continue
            # A number at the end of the text read so far may continue.
            if end == len(self._text) and self._more():
                continue
            self._at = end
            return value

    def _malformed(self, message: str) -> json.JSONDecodeError:
        error = json.JSONDecodeError(message, self._text, self._at)
        error.pos = self._before + self._at
        return error
