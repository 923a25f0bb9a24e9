"""Sources of text lines for tasks: Parquet shards of the *lines* layout, and lines rendered when needed.

A source answers for any index ≥ 0. Shards wrap around; training shards come in another order each pass, with lines of
about one length side by side, so that a batch needs little padding. They can be balanced: lines of rare words then
come more often than lines of common ones (`trainers/recognition/balance.py`).
"""

import copy
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps
from pydantic import Field

from models.text_recognition.charset import Charset, LabelSurvey
from trainers.core.source import Locations, SourceSettings, shares_of, shuffle_seed
from trainers.data.image_shards import IMAGE_COLUMN, SourceError, count_rows
from trainers.data.layouts import LayoutError, parquet_files
from trainers.data.splits import Split
from trainers.recognition.balance import rarity_weights, weighted_round

TEXT_COLUMN = "text"
NAME_COLUMN = "name"
_WINDOW = 64  # runs of lines of one length are cut from so many runs' worth of lines
_KEPT_PASSES = 2  # samples of two passes may be under way at once


class LinesError(SourceError):
    """Lines that cannot be had; the message names the file and the remedy."""


class LineSample(NamedTuple):
    """A line's crop, uint8 [height, width, 3] RGB, and what it says."""

    image: np.ndarray
    text: str


class LineSource(Protocol):
    """Lines by index: any index ≥ 0 is valid and always gives the same line.

    Attributes:
        left_out: what a charset decided about the labels, in words; empty when it kept all.
    """

    left_out: str

    def line(self, index: int) -> LineSample:
        """Return the line. Raises LinesError: its image cannot be decoded."""
        ...

    def name(self, index: int) -> str:
        """Return the line's name, for people who look for it."""
        ...

    def for_charset(self, charset: Charset) -> "LineSource":
        """Return the same source without the lines whose labels the charset does not cover; its `left_out` counts
        them."""
        ...


class LineShardsSettings(SourceSettings):
    """Lines of Parquet files of the *lines* layout."""

    kind: Literal["line_shards"] = "line_shards"
    at: Locations = Field(
        description="folder of Parquet files with lines, or several: {FOLDER: share of the training lines}"
    )
    bucket: int = Field(
        default=64, ge=1, description="how many consecutive training lines are of about one length: a batch"
    )
    balance: float = Field(
        default=0, ge=0, le=1, description="training lines: 0 takes each as often, 1 balances word frequencies"
    )

    def open(self, split: Split, seed: int) -> "LineShards":
        return LineShards(self.at, shuffle_seed=shuffle_seed(split, seed), bucket=self.bucket, balance=self.balance)

    def count(self) -> int:
        return sum(map(count_rows, shares_of(self.at)))


class RenderedLinesSettings(SourceSettings):
    """Lines rendered from their index when needed."""

    kind: Literal["rendered_lines"] = "rendered_lines"
    texts: str | None = Field(default=None, description="Parquet file with sentences in `text`; else the shipped ones")
    balance: bool = Field(default=False, description="the rarer a syllable, the more of it")

    def open(self, split: Split, seed: int) -> "RenderedLines":
        return RenderedLines(split, seed, texts=self.texts, balance=self.balance)


class LineShards:
    """Lines of Parquet files with the columns `image` (the encoded file's bytes) and `text`, and perhaps `name`.

    All encoded bytes are held in memory as one array, which forked processes and Ray's object store share without
    copies.

    Args:
        locations: a Parquet file or a folder of them (path or fsspec URI); or several, with the share of each in the
            lines that are given out (10 and 1: ten times as many of the first as of the second).
        shuffle_seed: seed of the order of lines, which is another each pass; None keeps the files' order (and the
            shares do not count).
        bucket: in shuffled order, runs of so many lines are about equally long.
        balance: 0..1; in shuffled order a line of words that occur n times comes n^-balance as often as one of words
            that occur once: 0 gives each line out once a pass, 1 balances words fully. The shares stay as told.

    Attributes:
        left_out: what a charset decided about the labels, in words; empty when it kept all.

    Raises:
        LinesError: no Parquet file, a column missing, or no line.
    """

    def __init__(
        self,
        locations: str | Mapping[str, float],
        *,
        shuffle_seed: int | None = None,
        bucket: int = 64,
        balance: float = 0.0,
    ):
        shares = shares_of(locations)
        self.location = ", ".join(shares)
        self.shuffle_seed = shuffle_seed
        self.bucket = bucket
        self.balance = balance
        self.left_out = ""
        self._shares = np.array(list(shares.values())) / sum(shares.values())
        images, texts, names = _Bytes(), _Bytes(), _Bytes()
        sets = []
        for location in shares:
            first = len(texts)
            _read(location, images, texts, names)
            if len(texts) == first:
                raise LinesError(f"{location}: no lines")
            sets.append(np.arange(first, len(texts)))
        self._images, self._texts, self._names = images.packed(), texts.packed(), names.packed()
        self._set_rows(sets)

    def __len__(self) -> int:
        """Return the number of lines of all locations; a shuffled pass has as many, filled up to whole buckets."""
        return len(self._rows)

    def line(self, index: int) -> LineSample:
        row = self._row(index)
        try:
            image = Image.open(io.BytesIO(self._images[row]))
            return LineSample(np.asarray(ImageOps.exif_transpose(image).convert("RGB")), self.text(row))
        except (OSError, ValueError, SyntaxError) as error:
            raise LinesError(f"{self.location}: line {row} ({self.text(row)!r}) cannot be decoded: {error}") from error

    def name(self, index: int) -> str:
        """Return the line's `name` in its file; FILE#ROW without names."""
        return self._names[self._row(index)].decode("utf-8")

    def text(self, row: int) -> str:
        """Return the text of a row, in the order of the files."""
        return self._texts[row].decode("utf-8")

    def for_charset(self, charset: Charset) -> "LineShards":
        """See `LineSource`. Raises LinesError: no line is left."""
        survey = LabelSurvey()
        sets = []
        for rows in self._sets:
            kept = []
            for row in rows.tolist():
                label = charset.label(self.text(row))
                survey.add(label)
                if label.decision != "leave out":
                    kept.append(row)
            if not kept:
                raise LinesError(f"{self.location}: the charset {charset.name} leaves no line: {survey}")
            sets.append(np.array(kept))
        other = copy.copy(self)
        other._set_rows(sets)
        other.left_out = f"{self.location}: {survey}" if survey.decisions["leave out"] else ""
        return other

    def _set_rows(self, sets: list[np.ndarray]) -> None:
        self._sets = sets  # rows of each location
        self._rows = np.concatenate(sets)
        self._passes: dict[int, np.ndarray] = {}
        self._weights: list[np.ndarray | None] = [None] * len(sets)
        if self.balance and self.shuffle_seed is not None:
            shares = [share / len(rows) for share, rows in zip(self._shares, sets, strict=True)]
            texts = ([self.text(row) for row in rows.tolist()] for rows in sets)
            self._weights = [*rarity_weights(list(texts), shares, self.balance)]

    def _row(self, index: int) -> int:
        if self.shuffle_seed is None:
            return int(self._rows[index % len(self)])
        length = -(-len(self) // self.bucket) * self.bucket
        turn, place = divmod(index, length)
        if turn not in self._passes:
            while len(self._passes) >= _KEPT_PASSES:
                del self._passes[min(self._passes)]
            self._passes[turn] = self._pass(turn, length, self.shuffle_seed)
        return int(self._passes[turn][place])

    def _pass(self, turn: int, length: int, seed: int) -> np.ndarray:
        """Return the rows of a pass: each location's share of them, from its own endless shuffled sequence."""
        rng = np.random.default_rng([seed, turn])
        ends = np.round(np.cumsum(self._shares) * length).astype(int)
        counts = np.diff(ends, prepend=0)
        parts = zip(self._sets, self._weights, counts.tolist(), strict=True)
        rows = np.concatenate(
            [
                _stretch(members, weights, [seed, number], turn * count, count)
                for number, (members, weights, count) in enumerate(parts)
            ]
        )
        rng.shuffle(rows)
        lengths = self._texts.lengths  # in bytes: 3 a syllable, 1 a Latin letter
        runs = []
        for window in np.split(rows, range(self.bucket * _WINDOW, length, self.bucket * _WINDOW)):
            window = window[np.argsort(lengths[window], kind="stable")]
            runs += np.split(window, range(self.bucket, len(window), self.bucket))
        return np.concatenate([runs[i] for i in rng.permutation(len(runs))])


class RenderedLines:
    """Lines that `trainers.render.lines` makes from their index; no two indices share a line.

    Args:
        texts: a Parquet file with sentences in a column `text`; None: the shipped ones.
        balance: the rarer a syllable, the more of it.
    """

    def __init__(self, split: Split, seed: int = 0, *, texts: str | None = None, balance: bool = False):
        from trainers.render import TextSource  # fonts load only where lines are rendered

        self.left_out = ""
        self._split: Split = split
        self._seed, self._balance = seed, balance
        try:
            self._texts = TextSource.from_parquet(texts) if texts else None
        except (OSError, KeyError, ValueError) as error:
            raise LinesError(f"texts {texts}: {error}") from error
        self._draw_with(None)

    def line(self, index: int) -> LineSample:
        sample = self._lines.line(index)
        return LineSample(sample.image, sample.text)

    def name(self, index: int) -> str:
        return f"drawn for {self._split} with seed {self._seed}: {index}"

    def for_charset(self, charset: Charset) -> "RenderedLines":
        """See `LineSource`: texts are chosen so that the charset can write them."""
        other = copy.copy(self)
        other._draw_with(charset.characters)
        return other

    def _draw_with(self, characters: Iterable[str] | None) -> None:
        from trainers.render import lines

        self._lines = lines.RenderedLines(
            self._split, self._seed, self._texts, charset=characters, balance=self._balance
        )


class _Bytes:
    """Byte strings gathered, then packed end to end in one array."""

    def __init__(self):
        self._buffers: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._buffers)

    def add(self, content: bytes) -> None:
        self._buffers.append(np.frombuffer(content, np.uint8))

    def packed(self) -> "_Packed":
        return _Packed(np.concatenate(self._buffers), np.array([len(buffer) for buffer in self._buffers]))


class _Packed:
    def __init__(self, content: np.ndarray, lengths: np.ndarray):
        self.lengths = lengths
        self._content = content
        self._ends = np.cumsum(lengths)

    def __getitem__(self, row: int) -> bytes:
        return self._content[self._ends[row] - self.lengths[row] : self._ends[row]].tobytes()


def _read(location: str, images: _Bytes, texts: _Bytes, names: _Bytes) -> None:
    try:
        filesystem, paths = parquet_files(location)
    except LayoutError as error:
        raise LinesError(f"{error}; import or render some, or correct data.train / data.validation") from error
    for path in paths:
        with filesystem.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            columns = [IMAGE_COLUMN, TEXT_COLUMN]
            if missing := set(columns) - set(parquet.schema_arrow.names):
                raise LinesError(f"{path} has no column {', '.join(sorted(missing))}: it holds no lines")
            columns += [NAME_COLUMN] if NAME_COLUMN in parquet.schema_arrow.names else []
            number = 0
            for batch in parquet.iter_batches(batch_size=256, columns=columns):
                for row in batch.to_pylist():
                    images.add(row[IMAGE_COLUMN] or b"")
                    texts.add((row[TEXT_COLUMN] or "").encode("utf-8"))
                    names.add((row.get(NAME_COLUMN) or f"{PurePosixPath(path).name}#{number}").encode("utf-8"))
                    number += 1


def _stretch(
    members: np.ndarray, weights: np.ndarray | None, seed: Sequence[int], start: int, count: int
) -> np.ndarray:
    """Elements start … start + count - 1 of the endless sequence of `members`, shuffled anew each time through; with
    `weights` a member comes as often as they say, on average over the times through."""
    parts = []
    while count:
        number, place = divmod(start, len(members))
        rng = np.random.default_rng([*seed, number, 1])
        drawn = members if weights is None else members[weighted_round(weights, rng)]
        part = rng.permutation(drawn)[place : place + count]
        parts.append(part)
        start, count = start + len(part), count - len(part)
    return np.concatenate(parts) if parts else members[:0]
