"""Exports of a job, written from its committed records: JSON Lines, and the formats that its reader names.

Nothing here reads pages or knows where their pixels come from: `load_page` is handed in.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from common.errors import ExpectedError
from common.storage import Storage, atomic_file
from pipelines.exports.jsonl import FILE_NAME, JsonlWriter
from pipelines.exports.publish import Document
from pipelines.exports.shards import Shard, over_shards, shards_of
from pipelines.exports.store import RecordStore
from pipelines.exports.writer import DocumentWriter, ExportOptions, LoadOriginal, LoadPage, Pixels
from pipelines.output import EXPORTS, job_card
from pipelines.readers.base import Reader
from pipelines.readers.registry import job_reader

log = logging.getLogger(__name__)

JSONL = "jsonl"  # of every reader


class ExportError(ExpectedError):
    """An export that cannot be made; the message names what is wrong."""


def known_formats(reader: type[Reader]) -> tuple[str, ...]:
    """Return the names of the formats that a reader's records can be exported to."""
    return (JSONL, *(writer.name for writer in reader.export_formats))


def check_formats(formats: Sequence[str], reader: type[Reader]) -> tuple[str, ...]:
    """Return `formats` without repetitions.

    Raises:
        ExportError: `reader` has no such format; the message lists those that it has.
    """
    known = known_formats(reader)
    unknown = [name for name in formats if name not in known]
    if unknown:
        raise ExportError(
            f"the {reader.name} reader has no export format {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return tuple(dict.fromkeys(formats))


def export(
    output_uri: str,
    formats: Sequence[str],
    *,
    load_page: LoadPage,
    load_original: LoadOriginal | None = None,
    options: ExportOptions | None = None,
    passwords: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Write `OUT/exports/<format>/…` from the records committed under `output_uri`; return how many files of each.

    Documents are written one after the other, each file appears whole; files of an earlier export are replaced, unless
    the document cannot be read or opened any more and the new one would say less. Jobs of more than PAGES_A_SHARD pages
    are exported in shards, side by side where Ray is connected; then JSON Lines are a file a shard.

    Args:
        output_uri: the job's output, local folder or fsspec URI.
        formats: of `known_formats`.
        load_page, load_original: see `Pixels`; what pickles, where there are shards.
        options: how; see there.
        passwords: tried on encrypted PDFs.
        labels: Ray labels of the nodes that write.

    Raises:
        ExportError: a format that the job's reader does not have, before anything is read. ConfigError: its reader
            cannot be imported.
        FileNotFoundError: the output holds no committed pages. OSError: the output cannot be written.
    """
    card = job_card(Storage(output_uri))
    reader = job_reader(card)
    formats = check_formats(formats, reader)
    store = RecordStore(output_uri, reader.record_type)
    pixels = Pixels(load_page, load_original, card.get("config", {}).get("limits", {}).get("pdf_dpi", 200), passwords)
    export_shard = partial(
        _export_shard, output_uri, store.parts, reader, formats, (pixels, options or ExportOptions())
    )
    outcome = _Outcome()
    for part in over_shards(export_shard, shards_of(store.documents()), labels):
        outcome.add(part)
    if JSONL in formats:
        _delete_others(store.output, outcome.jsonl_files)
    outcome.log()
    counts = {JSONL: len(outcome.jsonl_files)} if JSONL in formats else {}
    return counts | {name: outcome.documents - outcome.kept[name] for name in formats if name != JSONL}


def _export_shard(
    output_uri: str,
    parts: list[str],
    reader: type[Reader],
    formats: Sequence[str],
    how: tuple[Pixels, ExportOptions],
    shard: Shard,
) -> "_Outcome":
    output = Storage(output_uri)
    store = RecordStore(output_uri, reader.record_type, parts)
    outcome = _Outcome()
    with ExitStack() as job_files:
        job_writers = []
        if JSONL in formats:
            name = FILE_NAME if shard.count == 1 else f"pages-{shard.number:05}-of-{shard.count:05}.jsonl"
            job_writers.append(JsonlWriter(job_files.enter_context(atomic_file(output, f"{EXPORTS}/{JSONL}/{name}"))))
            outcome.jsonl_files.append(name)
        writer_types = {writer.name: writer for writer in reader.export_formats if writer.name in formats}
        earlier = _EarlierExports(output, outcome)
        for stored in shard.documents:
            outcome.documents += 1
            document = Document(stored.uri, len(stored))
            failed = 0
            open_writers: dict[str, DocumentWriter] = {}
            with ExitStack() as document_files:
                for name, writer_type in writer_types.items():
                    file_name = f"{EXPORTS}/{name}/{document.stem}{writer_type.suffix}"
                    keep = partial(earlier.keeps_earlier, name, file_name)
                    stream = document_files.enter_context(atomic_file(output, file_name, keep))
                    writer = open_writers[name] = writer_type.open(stream, document, *how)
                    document_files.callback(writer.close)
                for record in store.records(stored):
                    failed += record.status != "ok"
                    for writer in job_writers:
                        writer.add(record)
                    if open_writers:
                        page = reader.export_page(record)
                        for writer in open_writers.values():
                            writer.add(page)
                for writer in open_writers.values():
                    writer.finish()
                missing = {name: writer.missing for name, writer in open_writers.items()}
                earlier.begin(stored.uri, failed == len(stored), missing)
    return outcome


def _delete_others(output: Storage, files: Sequence[str]) -> None:
    """Delete the JSON Lines of an earlier export that had other shards: who reads all files would read pages twice."""
    for name in output.list(f"{EXPORTS}/{JSONL}", ".jsonl"):
        if name not in files:
            output.delete(f"{EXPORTS}/{JSONL}/{name}")


@dataclass
class _Outcome:
    """What was exported: documents, names of JSON Lines files, earlier exports that are kept, pages without picture."""

    documents: int = 0
    jsonl_files: list[str] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    first_kept: str = ""
    first_missing: str = ""

    def add(self, other: "_Outcome") -> None:
        self.documents += other.documents
        self.jsonl_files += other.jsonl_files
        self.kept += other.kept
        self.pages += other.pages
        self.first_kept = self.first_kept or other.first_kept
        self.first_missing = self.first_missing or other.first_missing

    def log(self) -> None:
        """Log what was kept and what is missing."""
        for name, count in self.kept.items():
            log.warning(
                "%d earlier %s exports are kept: their documents cannot be read or opened any more; the first: %s",
                count,
                name,
                self.first_kept,
            )
        if self.pages:
            log.warning("%d pages were exported without their picture; the first: %s", self.pages, self.first_missing)


class _EarlierExports:
    """Earlier exports that are kept because the new one would say less.

    That is so if no page of the document could be read, or if a picture cannot be opened any more.
    """

    def __init__(self, output: Storage, outcome: _Outcome):
        self.output, self.outcome = output, outcome
        self._document, self._failed = "", False
        self._missing: dict[str, int] = {}

    def begin(self, uri: str, failed: bool, missing: dict[str, int]) -> None:
        """Note the document that is being written: whether all its pages failed, and how many pictures are missing in
        each format."""
        self._document, self._failed, self._missing = uri, failed, missing

    def keeps_earlier(self, name: str, file_name: str) -> bool:
        """Return whether the earlier export of format `name` is kept."""
        missing, outcome = self._missing.get(name, 0), self.outcome
        if (self._failed or missing) and self.output.exists(file_name):
            outcome.kept[name] += 1
            outcome.first_kept = outcome.first_kept or self._document
            return True
        outcome.pages += missing
        if missing:
            outcome.first_missing = outcome.first_missing or self._document
        return False
