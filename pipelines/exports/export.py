"""Exports of a job, written from its committed records: JSON Lines, and the formats that its reader names.

Nothing here reads pages or knows where their pixels come from: `load_page` is handed in.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from common.errors import ExpectedError
from common.storage import Storage, atomic_file
from pipelines.exports.jsonl import FILE_NAME, JsonlWriter
from pipelines.exports.publish import Document
from pipelines.exports.store import RecordStore
from pipelines.exports.writer import DocumentWriter, LoadOriginal, LoadPage, Pixels
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
    output_uri: str, formats: Sequence[str], *, load_page: LoadPage, load_original: LoadOriginal | None = None
) -> dict[str, int]:
    """Write `OUT/exports/<format>/…` from the records committed under `output_uri`; return how many files of each.

    Documents are written one after the other, each file appears whole; files of an earlier export are replaced, unless
    the document cannot be read or opened any more and the new one would say less.

    Args:
        output_uri: the job's output, local folder or fsspec URI.
        formats: of `known_formats`.
        load_page, load_original: see `Pixels`.

    Raises:
        ExportError: a format that the job's reader does not have, before anything is read. ConfigError: its reader
            cannot be imported.
        FileNotFoundError: the output holds no committed pages. OSError: the output cannot be written.
    """
    output = Storage(output_uri)
    card = job_card(output)
    reader = job_reader(card)
    formats = check_formats(formats, reader)
    store = RecordStore(output_uri, reader.record_type)
    pixels = Pixels(load_page, load_original, card.get("config", {}).get("limits", {}).get("pdf_dpi", 200))
    counts = dict.fromkeys(formats, 0)
    with ExitStack() as job_files:
        job_writers = []
        if JSONL in formats:
            stream = job_files.enter_context(atomic_file(output, f"{EXPORTS}/{JSONL}/{FILE_NAME}"))
            job_writers.append(JsonlWriter(stream))
            counts[JSONL] = 1
        writer_types = {writer.name: writer for writer in reader.export_formats if writer.name in formats}
        earlier = _EarlierExports(output)
        documents = 0
        for stored in store.documents():
            documents += 1
            document = Document(stored.uri, len(stored))
            failed = 0
            open_writers: dict[str, DocumentWriter] = {}
            with ExitStack() as document_files:
                for name, writer_type in writer_types.items():
                    file_name = f"{EXPORTS}/{name}/{document.stem}{writer_type.suffix}"
                    keep = partial(earlier.keeps_earlier, name, file_name)
                    stream = document_files.enter_context(atomic_file(output, file_name, keep))
                    writer = open_writers[name] = writer_type.open(stream, document, pixels)
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
    earlier.log()
    return counts | {name: documents - earlier.kept[name] for name in writer_types}


class _EarlierExports:
    """Earlier exports that are kept because the new one would say less.

    That is so if no page of the document could be read, or if a picture cannot be opened any more.
    """

    def __init__(self, output: Storage):
        self.output = output
        self.kept: Counter[str] = Counter()
        self.pages = 0
        self.first_kept = self.first_missing = ""
        self._document, self._failed = "", False
        self._missing: dict[str, int] = {}

    def begin(self, uri: str, failed: bool, missing: dict[str, int]) -> None:
        """Note the document that is being written: whether all its pages failed, and how many pictures are missing in
        each format."""
        self._document, self._failed, self._missing = uri, failed, missing

    def keeps_earlier(self, name: str, file_name: str) -> bool:
        """Return whether the earlier export of format `name` is kept."""
        missing = self._missing.get(name, 0)
        if (self._failed or missing) and self.output.exists(file_name):
            self.kept[name] += 1
            self.first_kept = self.first_kept or self._document
            return True
        self.pages += missing
        if missing:
            self.first_missing = self.first_missing or self._document
        return False

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
