"""Jobs in a folder or bucket. Everything about a job is there, so a restarted server, or another one, finds it again.

    <id>/document             encoded bytes, deleted when the job has ended
    <id>/job.json             JobRecord
    <id>/pages/000001.json    ReadPage, written once as the page is read: the unit of resume
    <id>/failed/000001        empty; the page is an error page (counts without opening pages)
    <id>/cancelled            empty; holds against a `job.json` that another runner wrote in the same moment
    keys/<sha256>             id of the job that was created with an idempotency key, of whose owner and which key

Files appear whole or not at all and are never appended to or renamed, so object stores will do. All calls block; in a
server they belong in threads (`asyncio.to_thread`).
"""

import contextlib
import hashlib
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from pydantic import ValidationError

from common.storage import Storage
from ray_apps.serving.answers import ReadPage
from ray_apps.serving.jobs.record import JobNotFound, JobPages, JobRecord, is_id, new_id, now, time_in
from ray_apps.serving.requests import Document, ReadOptions

_AT_ONCE = 8  # files read side by side: an object store answers each in tens of milliseconds
_RESULT_BYTES = 32 << 20  # pages with upright images are megabytes each, and an answer is held in memory

logger = logging.getLogger("ray.serve")


class JobStore:
    """Jobs below `storage`. Every method that takes an id raises JobNotFound when it is none of a job here."""

    def __init__(self, storage: Storage):
        self.storage = storage

    def create(
        self, document: Document, options: ReadOptions, key: str | None = None, owner: str | None = None
    ) -> JobRecord:
        """Create a job, queued, or return the one that `owner` created with the same idempotency `key` before.

        Two calls with one key must come after each other: JobRunner sees to that. A key leads to its job for as long
        as the job is kept. It is the caller's to see that the job is for this document (`JobRecord.is_for`).
        """
        job_id = new_id()
        if key is not None:
            key = _key_file(key, owner)
            earlier = self._id_of(key)
            if earlier is not None:
                try:
                    return self.load(earlier)
                except JobNotFound:
                    pass  # the server stopped before the job was there
            self.storage.write(key, job_id.encode())
        time = now()
        record = JobRecord(
            id=job_id, document=document.info(), options=options, created=time, updated=time, owner=owner, key=key
        )
        # The record last: a job without its document must not be seen.
        try:
            self.storage.write(f"{job_id}/document", document.content)
            self._write(record)
        except Exception:  # a full store must not be filled by what it could not take
            with contextlib.suppress(Exception):
                self.storage.delete(job_id)
            raise
        return record

    def find(self, key: str, owner: str | None = None) -> JobRecord | None:
        """Return the job that `owner` created with an idempotency key."""
        job_id = self._id_of(_key_file(key, owner))
        try:
            return None if job_id is None else self.load(job_id)
        except JobNotFound:
            return None

    def load(self, job_id: str) -> JobRecord:
        """Return a job's record."""
        if not is_id(job_id):
            raise JobNotFound(job_id)
        try:
            record = JobRecord.model_validate_json(self.storage.read(f"{job_id}/job.json"))
        except FileNotFoundError:
            raise JobNotFound(job_id) from None
        if not record.ended and self.storage.exists(f"{job_id}/cancelled"):
            record = record.moved("cancelled")
        return record

    def save(self, record: JobRecord) -> JobRecord:
        """Write a record, unless another runner has ended the job; return the record in the store afterwards."""
        stored = self.load(record.id)
        if stored.ended:
            return stored
        if record.state == "cancelled":
            self.storage.write(f"{record.id}/cancelled", b"")
        self._write(record)
        if record.ended:
            self.storage.delete(f"{record.id}/document")
        return record

    def document(self, record: JobRecord) -> Document:
        """Return the document of a job that has not ended.

        Raises:
            FileNotFoundError: it is not there. ValueError: it is not what was sent.
        """
        content = self.storage.read(f"{record.id}/document")
        document = Document(record.document.name, content, record.document.page_count)
        if document.sha256 != record.document.sha256:
            raise ValueError("the document in the job store is not the one that was sent")
        return document

    def write_page(self, job_id: str, page: ReadPage) -> None:
        """Keep a page. Writing it again replaces it: a page is read twice when two servers overlap."""
        if page.status == "error":
            self.storage.write(f"{job_id}/failed/{page.page_number:06}", b"")
        self.storage.write(_page_file(job_id, page.page_number), page.model_dump_json().encode())

    def done_pages(self, job_id: str) -> tuple[set[int], set[int]]:
        """Return the numbers of the pages that are written, and of the error pages among them. Lists two folders."""
        done = {int(name.removesuffix(".json")) for name in self.storage.list(f"{job_id}/pages", ".json")}
        failed = {int(name) for name in self.storage.list(f"{job_id}/failed", "")}
        return done, failed & done

    def result(self, job_id: str, offset: int = 0, limit: int = 100) -> JobPages:
        """Return up to `limit` of the requested pages, from the `offset`-th (0-based) on; fewer if they are large.

        Of a job that has not ended: the pages before the first one that is not done yet, so that a client that follows
        `next_offset` sees each page once; it may well be `offset` itself. Of a cancelled or failed job: those there
        are.
        """
        record = self.load(job_id)  # before the pages: when it says finished, they are all there
        numbers = record.options.pages
        pages: list[ReadPage] = []
        size, end = 0, min(offset + limit, len(numbers))
        while offset < end and size < _RESULT_BYTES:
            chunk = numbers[offset : min(offset + _AT_ONCE, end)]
            for content in self._read_all(_page_file(job_id, number) for number in chunk):
                if content is None and not record.ended:
                    return JobPages(record, pages, offset)
                if content is not None:
                    pages.append(ReadPage.model_validate_json(content))
                    size += len(content)
                offset += 1
        return JobPages(record, pages, offset if offset < len(numbers) else None)

    def delete(self, job_id: str) -> None:
        """Delete a job with its result."""
        record = self.load(job_id)
        if record.key is not None:
            self.storage.delete(record.key)
        self.storage.delete(f"{job_id}/job.json")  # first: the job is gone before its parts are
        try:
            self.storage.delete(job_id)
        except OSError as error:
            # Another runner writes a page there still; what it leaves is deleted when it would have expired.
            logger.warning("job %s is deleted, but some of its pages remain for now: %s", job_id, error)

    def unfinished(self) -> list[JobRecord]:
        """Jobs that are queued or running, oldest first. Opens the record of every job: for a server's start."""
        records = []
        for job_id, content in self._records(self._ids()):
            record = _readable(job_id, content) if content is not None else None
            if record is not None and not record.ended:
                records.append(self.load(record.id))
        return sorted((record for record in records if not record.ended), key=lambda record: record.created)

    def delete_expired(self, hours: float) -> list[str]:
        """Delete jobs that ended more than `hours` ago, and what jobs that were never complete left; returns their ids.

        Opens the records of jobs created before that time only.
        """
        before = datetime.now(timezone.utc) - timedelta(hours=hours)
        old = [job_id for job_id in self._ids() if time_in(job_id) <= before]
        deleted = []
        for job_id, content in self._records(old):
            if content is None:
                # Remains of a deletion, or of a server killed while it took the job; not one being taken now.
                if time_in(job_id) <= before - timedelta(hours=1):
                    self.storage.delete(job_id)
                    deleted.append(job_id)
                continue
            record = _readable(job_id, content)
            if record is not None and record.ended and datetime.fromisoformat(record.updated) <= before:
                self.delete(job_id)
                deleted.append(job_id)
        return deleted

    def _write(self, record: JobRecord) -> None:
        self.storage.write(f"{record.id}/job.json", record.model_dump_json().encode())

    def _id_of(self, key_file: str) -> str | None:
        return next((content.decode() for content in self._read_all([key_file]) if content is not None), None)

    def _ids(self) -> list[str]:
        return [name for name in self.storage.list("", "") if is_id(name)]

    def _records(self, ids: list[str]) -> Iterable[tuple[str, bytes | None]]:
        return zip(ids, self._read_all(f"{job_id}/job.json" for job_id in ids), strict=True)

    def _read_all(self, names: Iterable[str]) -> list[bytes | None]:
        """Contents of files, side by side; None for one that is not there."""

        def read(name: str) -> bytes | None:
            try:
                return self.storage.read(name)
            except FileNotFoundError:
                return None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(read, names))


def _readable(job_id: str, content: bytes) -> JobRecord | None:
    """Return a record, None if it cannot be read: that is logged, and the job left alone."""
    try:
        return JobRecord.model_validate_json(content)
    except ValidationError as error:
        logger.error("job %s is left alone, its record cannot be read: %s", job_id, error)
        return None


def _page_file(job_id: str, number: int) -> str:
    return f"{job_id}/pages/{number:06}.json"


def _key_file(key: str, owner: str | None) -> str:
    # The owner in front: what one client calls its order-1 must lead nobody else to its job.
    named = key if owner is None else f"{owner}\0{key}"
    return f"keys/{hashlib.sha256(named.encode()).hexdigest()}"
