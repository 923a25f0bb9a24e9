"""Which lines of a bulk run's records to look at: the least sure, or those that a second recogniser reads otherwise."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.storage import StorageUnavailable
from models.text_recognition.preprocess import crop_line
from pipelines.documents import DocumentError
from pipelines.exports.store import RecordStore
from pipelines.readers.documents.record import PageRecord
from ray_apps.mining.variety import Variety
from trainers.recognition.metrics import character_accuracy

_SPARE = 20  # candidates held for each line wanted: near-duplicates and full documents take some away
_SECOND_BATCH = 64

LoadPage = Callable[[PageRecord], np.ndarray]
Read = Callable[[list[np.ndarray]], list[str]]


@dataclass(frozen=True)
class Candidate:
    """A line of the records.

    Attributes:
        part, row: where its page is, see `RecordStore.record`.
        line: its number on the page, from 0.
        badness: higher is worse.
        second: what the second recogniser reads; None without one.
    """

    part: int
    row: int
    line: int
    document_uri: str
    text: str
    confidence: float
    badness: float
    second: str | None = None


@dataclass
class Wanted:
    """How many lines, and which. `per_document` at most of one document; `max_confidence`: none that is surer."""

    count: int
    per_document: int
    max_confidence: float = 1.0


@dataclass
class Lost:
    """Pages whose documents cannot be opened again: how many, and what the first one's error was."""

    pages: int = 0
    first: str = ""

    def add(self, record: PageRecord, error: Exception) -> None:
        self.pages += 1
        self.first = self.first or f"{record.document_uri}: {error}"


def least_confident(store: RecordStore, wanted: Wanted) -> list[Candidate]:
    """Return the lines read with the lowest confidence, worst first. Memory holds about 20 per requested line."""
    spare = _SPARE * wanted.count
    pool: list[Candidate] = []
    limit = wanted.max_confidence
    for part, first, batch in store.batches(["document_uri", "lines"]):
        pool += _below(part, first, batch, limit)
        if len(pool) > 2 * spare:
            pool = _worst(pool, wanted.per_document)[:spare]
            limit = min(limit, pool[-1].confidence)
    return choose(_worst(pool, wanted.per_document), wanted)


def disagreements(
    store: RecordStore, wanted: Wanted, read: Read, load_page: LoadPage, lines: int, lost: Lost
) -> list[Candidate]:
    """Return the lines that a second recogniser reads most differently, worst first.

    Args:
        read: texts of line crops by the second recogniser.
        load_page: original pixels of a record, (H, W, 3) uint8 RGB.
        lines: how many are read again, on random pages (always the same ones for an output).
        lost: called with pages that cannot be opened.
    """
    found: list[Candidate] = []
    left = lines
    for part, row in _shuffled_pages(store):
        if left <= 0:
            break
        record = store.record(part, row)
        numbers = [n for n, line in enumerate(record.lines) if line.confidence <= wanted.max_confidence][:left]
        if not numbers:
            continue
        try:
            image = load_page(record)
        except (DocumentError, StorageUnavailable) as error:
            lost.add(record, error)
            continue
        left -= len(numbers)
        crops = [crop_line(image, np.array(record.lines[n].polygon, np.float32)) for n in numbers]
        texts = [text for at in range(0, len(crops), _SECOND_BATCH) for text in read(crops[at : at + _SECOND_BATCH])]
        for number, second in zip(numbers, texts, strict=True):
            line = record.lines[number]
            if difference := 1 - character_accuracy(line.text, second):
                place = (part, row, number, record.document_uri)
                found.append(Candidate(*place, line.text, line.confidence, difference, second))
    return choose(sorted(found, key=lambda c: (-c.badness, -c.confidence)), wanted)


def choose(ranked: Sequence[Candidate], wanted: Wanted) -> list[Candidate]:
    """Return the first of `ranked` that differ from each other, within the requested numbers in total and per
    document."""
    chosen: list[Candidate] = []
    of_document: Counter[str] = Counter()
    variety = Variety()
    for candidate in ranked:
        if len(chosen) == wanted.count:
            break
        if of_document[candidate.document_uri] < wanted.per_document and variety.take(candidate.text):
            of_document[candidate.document_uri] += 1
            chosen.append(candidate)
    return chosen


def _below(part: int, first: int, batch: pa.RecordBatch, limit: float) -> Iterator[Candidate]:
    """Yield the lines in a batch of pages that were read with a confidence of at most `limit`."""
    pages = batch.column("lines")
    lines = pages.flatten()
    page_of = pages.value_parent_indices().to_numpy(zero_copy_only=False)
    confidence = lines.field("confidence").to_numpy(zero_copy_only=False)
    lengths = pc.fill_null(pages.value_lengths(), 0).to_numpy(zero_copy_only=False)
    starts = np.cumsum(lengths) - lengths
    texts, uris = lines.field("text"), batch.column("document_uri")
    for at in np.flatnonzero(confidence <= limit).tolist():
        page, sure = int(page_of[at]), float(confidence[at])
        place = (part, first + page, at - int(starts[page]), uris[page].as_py())
        yield Candidate(*place, texts[at].as_py(), sure, 1 - sure)


def _worst(pool: Sequence[Candidate], per_document: int) -> list[Candidate]:
    """Return the worst first, for each document only as many as near-duplicates may use up."""
    of_document: Counter[str] = Counter()
    kept = []
    for candidate in sorted(pool, key=lambda c: (-c.badness, c.document_uri, c.part, c.row, c.line)):
        of_document[candidate.document_uri] += 1
        if of_document[candidate.document_uri] <= _SPARE * per_document:
            kept.append(candidate)
    return kept


def _shuffled_pages(store: RecordStore) -> list[tuple[int, int]]:
    """Return (part, row) of every page, ordered by the pages' ids, which are hashes."""
    pages = [
        (page_id, part, first + number)
        for part, first, batch in store.batches(["page_id"], rows=65536)
        for number, page_id in enumerate(batch.column("page_id").to_pylist())
    ]
    return [(part, row) for _, part, row in sorted(pages)]
