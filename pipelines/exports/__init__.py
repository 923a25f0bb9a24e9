"""Exports: text, hOCR, ALTO, searchable PDF and JSON Lines, written from the committed records through one tree.

Nothing here reads pages or knows where their pixels come from: `load_page` is handed in.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from common.storage import Storage, atomic_file
from pipelines.exports.alto import AltoWriter
from pipelines.exports.hocr import HocrWriter
from pipelines.exports.jsonl import FILE_NAME, JsonlWriter
from pipelines.exports.pdf import LoadOriginal, LoadPage, PdfWriter
from pipelines.exports.store import RecordStore, reader_of
from pipelines.exports.text import TextWriter
from pipelines.exports.tree import Document, build_page
from pipelines.job import EXPORTS

__all__ = ["FORMATS", "ExportError", "check_formats", "export"]

log = logging.getLogger(__name__)

FORMATS = ("jsonl", "text", "hocr", "alto", "pdf")
# What the records of each reader can be written as.
FORMATS_OF = {"documents": FORMATS, "meters": ("jsonl",)}


class ExportError(ValueError):
    """An export that cannot be made as asked; the message names what is wrong."""


def check_formats(formats: Sequence[str], reader: str = "documents") -> tuple[str, ...]:
    """`formats` without repetitions.

    Raises:
        ExportError: one of them is not known, or cannot hold what `reader` finds; the message lists those that can.
    """
    known = FORMATS_OF[reader]
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ExportError(f"unknown export format {', '.join(unknown)}; known: {', '.join(known)}")
    unfit = [name for name in formats if name not in known]
    if unfit:
        raise ExportError(f"{', '.join(unfit)} cannot hold what the {reader} reader finds; known: {', '.join(known)}")
    return tuple(dict.fromkeys(formats))


def export(
    output_uri: str, formats: Sequence[str], *, load_page: LoadPage, load_original: LoadOriginal | None = None
) -> dict[str, int]:
    """Write `OUT/exports/<format>/…` from the records committed under `output_uri`; returns how many files of each.

    Documents are written one after the other, each file appears whole; files of an earlier export are replaced, unless
    the document cannot be read or opened any more and the new one would say less.

    Args:
        output_uri: the job's output, local folder or fsspec URI.
        formats: of FORMATS.
        load_page: original pixels of a record, (H, W, 3) uint8 RGB; called for `pdf` only, never for failed pages.
        load_original: the file's own bytes for pages that are JPEG files, None for others; saves encoding anew.

    Raises:
        ExportError: a format that is not known or not for this job's records, before anything is read.
        FileNotFoundError: the output holds no committed pages. OSError: the output cannot be written.
    """
    output = Storage(output_uri)
    formats = check_formats(formats, reader_of(output))
    store = RecordStore(output_uri)
    dpi = store.job().get("config", {}).get("limits", {}).get("pdf_dpi", 200)
    writers = {
        "text": TextWriter,
        "hocr": HocrWriter,
        "alto": AltoWriter,
        "pdf": partial(PdfWriter, load_page=load_page, load_original=load_original, dpi=dpi),
    }
    counts = dict.fromkeys(formats, 0)
    with ExitStack() as job_files:
        job_writers = []
        if "jsonl" in formats:
            stream = job_files.enter_context(atomic_file(output, f"{EXPORTS}/jsonl/{FILE_NAME}"))
            job_writers.append(JsonlWriter(stream))
            counts["jsonl"] = 1
        names = [name for name in formats if name in writers]
        poor = _Poor(output)
        documents = 0
        for stored in store.documents():
            documents += 1
            document = Document(stored.uri, len(stored))
            failed = 0
            open_writers = {}
            with ExitStack() as document_files:
                for name in names:
                    suffix = getattr(writers[name], "func", writers[name]).suffix
                    file_name = f"{EXPORTS}/{name}/{document.stem}{suffix}"
                    keep = partial(poor.keeps_earlier, name, file_name)
                    stream = document_files.enter_context(atomic_file(output, file_name, keep))
                    writer = open_writers[name] = writers[name](stream, document)
                    if hasattr(writer, "close"):
                        document_files.callback(writer.close)
                for record in store.records(stored):
                    failed += record.status != "ok"
                    for writer in job_writers:
                        writer.add(record)
                    page = build_page(record) if open_writers else None
                    for writer in open_writers.values():
                        writer.add(page)
                for writer in open_writers.values():
                    writer.finish()
                missing = open_writers["pdf"].missing if "pdf" in open_writers else 0
                poor.judge(stored.uri, failed == len(stored), missing)
    poor.tell()
    return counts | {name: documents - poor.kept[name] for name in names}


class _Poor:
    """Exports that say less than an earlier one of the same document may: the earlier one stays.

    That is so when no page of the document could be read, and for `pdf` when a picture cannot be opened any more.
    """

    def __init__(self, output: Storage):
        self.output = output
        self.kept: Counter[str] = Counter()
        self.pages = 0
        self.first_kept = self.first_missing = ""
        self._document, self._failed, self._missing = "", False, 0

    def judge(self, uri: str, failed: bool, missing: int) -> None:
        """The document that is written now: whether all its pages failed, and how many pictures are missing."""
        self._document, self._failed, self._missing = uri, failed, missing

    def keeps_earlier(self, name: str, file_name: str) -> bool:
        """Whether the earlier export of format `name` is to stay."""
        missing = self._missing if name == "pdf" else 0
        if (self._failed or missing) and self.output.exists(file_name):
            self.kept[name] += 1
            self.first_kept = self.first_kept or self._document
            return True
        self.pages += missing
        if missing:
            self.first_missing = self.first_missing or self._document
        return False

    def tell(self) -> None:
        """Log what was kept and what is missing."""
        for name, count in self.kept.items():
            log.warning(
                "%d earlier %s exports stay: their documents cannot be read or opened any more; the first: %s",
                count,
                name,
                self.first_kept,
            )
        if self.pages:
            log.warning("%d pages were exported without their picture; the first: %s", self.pages, self.first_missing)
