"""Sentences, labels and names, each belonging to exactly one split."""

import bisect
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from trainers.render.errors import RenderError

_HERE = Path(__file__).parent
_LANGUAGES = {"ko": "korean.txt", "en": "english.txt"}
_VALIDATION_SHARE = 1 / 12
_LEAST = 8  # items of a list that each split gets, however short the list


def split_items(items: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (train, validation): an item with a low hash is validation text, in whatever list or order it comes. A
    list too short for two such items gives its two lowest."""
    ranked = sorted((zlib.crc32(item.encode()), item) for item in set(items))
    cut = max(_LEAST, bisect.bisect_left(ranked, (int(_VALIDATION_SHARE * 2**32), "")))
    return [item for _, item in ranked[cut:]], [item for _, item in ranked[:cut]]


def read_sections(path: Path) -> dict[str, list[str]]:
    """Return {section: lines} of a list file: one item per line, sections headed by `# name`."""
    sections: dict[str, list[str]] = {}
    items: list[str] | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            items = sections.setdefault(line[2:].strip(), [])
        elif line.strip():
            if items is None:
                raise ValueError(f"{path}: {line.strip()!r} is in no section; begin with a line `# name`")
            items.append(line.strip())
    return sections


class TextSource:
    """The shipped lists, and more sentences where given.

    Args:
        korean: further Korean sentences. They replace the shipped ones, being more and more varied.

    Raises:
        RenderError: `korean` has too few sentences for two splits.
    """

    def __init__(self, korean: Iterable[str] | None = None) -> None:
        self._items: dict[tuple[str, str, str], list[str]] = {}
        for language, name in _LANGUAGES.items():
            for section, items in read_sections(_HERE / name).items():
                self._store(language, section, items)
        if korean is not None:
            self._store("ko", "sentence", korean)

    def _store(self, language: str, section: str, items: Iterable[str]) -> None:
        parts = split_items(items)
        if min(map(len, parts)) < _LEAST:
            raise RenderError(f"too few {language} {section} texts for a train and a validation split: give hundreds")
        for split, part in zip(("train", "validation"), parts, strict=True):
            self._items[language, section, split] = part

    @classmethod
    def from_parquet(cls, path: str | Path, column: str = "text") -> "TextSource":
        """Korean sentences from a column of a Parquet file.

        Raises:
            RenderError: no such file, not a Parquet file, no such column, or too few sentences.
        """
        import pyarrow.parquet as pq  # the lists above need no Parquet reader
        from pyarrow import ArrowInvalid

        try:
            columns = pq.read_schema(path).names
        except (OSError, ArrowInvalid) as error:
            raise RenderError(f"give a Parquet file with a column {column!r}: {path}: {error}") from error
        if column not in columns:
            raise RenderError(f"{path} has no column {column!r}: it has {', '.join(columns)}")
        return cls(t for t in pq.read_table(path, columns=[column])[column].to_pylist() if t and t.strip())

    def items(self, language: str, section: str, split: str) -> list[str]:
        """Items of a section ("sentence", "label", "title", "company", "person", "place", "product") in a split."""
        return self._items[language, section, split]


@lru_cache(maxsize=1)
def shipped_texts() -> TextSource:
    """Return only the shipped lists, read once per process."""
    return TextSource()
