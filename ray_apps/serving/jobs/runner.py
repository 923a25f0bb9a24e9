"""Reads the pages of jobs, a bounded number at once, and keeps each as it is read.

One runner works on a store at a time. Two may overlap for a while, when a server is replaced by the next: each then
reads the pages that it found missing, a page written twice has the same content, and what one of them ended stays ended
(`JobStore.save`). Pages read twice are the only loss.
"""

import asyncio
import itertools
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine

from pipelines.records import PageError, page_id
from ray_apps.serving.answers import ReadPage
from ray_apps.serving.jobs.active import ActiveJob
from ray_apps.serving.jobs.record import JobNotFound, JobPages, JobRecord, State
from ray_apps.serving.jobs.store import JobStore
from ray_apps.serving.jobs.store_calls import StoreCalls, pause
from ray_apps.serving.requests import Document, ReadOptions

ReadOnePage = Callable[[Document, int, ReadOptions], Awaitable[ReadPage]]

_SAVE_SECONDS = 2.0  # how old the counts in the store may be
_SWEEP_SECONDS = 600.0
_DOCUMENT_BYTES = 512 << 20  # documents in memory; one is always let in

logger = logging.getLogger("ray.serve")  # Serve gives its lines the replica and the request


class TryAgain(Exception):
    """A page was not read because the readers are busy or restarting. It is not at fault.

    Args:
        retry_after_s: wait at least so long, in seconds.
    """

    def __init__(self, retry_after_s: float = 1.0):
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class JobsFull(Exception):
    """No more jobs are accepted at the moment."""


class KeyReused(ValueError):
    """An idempotency key came with another document or other options than the first time."""


class JobRunner:
    """Accepts jobs, reads them, and reports their state.

    Jobs are opened in order of arrival, as long as the open documents fit into memory (512 MiB). Open jobs are read in
    turn, one page each, so that a small job does not wait for a large one.

    Args:
        store: where jobs are.
        read_page: reads a page of a document (1-based number). A page that cannot be read is an error page. After
            `TryAgain` it is called again later, without limit; other exceptions become the page's error. All pages of a
            job get the same Document object while the job is open.
        pages_in_flight: pages being read at once, over all jobs.
        max_waiting: unfinished jobs, running ones included.
        keep_hours: a job and its result are deleted this long after it ended.
        owner_share: of `max_waiting`, what one owner may have.

    Methods that take an `owner` (see `JobRecord.owner`) know no jobs of others: JobNotFound.
    """

    def __init__(
        self,
        store: JobStore,
        read_page: ReadOnePage,
        *,
        pages_in_flight: int,
        max_waiting: int,
        keep_hours: float,
        owner_share: float = 1.0,
    ):
        self.store = store
        self.read_page = read_page
        self.pages_in_flight = pages_in_flight
        self.max_waiting = max_waiting
        self.keep_hours = keep_hours
        self.owner_share = owner_share
        self.calls = StoreCalls(2 * pages_in_flight + 4)
        self._jobs: dict[str, ActiveJob] = {}  # all unfinished ones
        self._waiting: asyncio.Queue[ActiveJob] = asyncio.Queue()
        self._rotation: deque[ActiveJob] = deque()  # open ones that have pages to hand out
        self._changed = asyncio.Condition()  # of `_turns`, of open documents, of `_stopping`
        self._submitting: dict[object, asyncio.Task[JobRecord]] = {}
        self._creating = 0
        self._starting = asyncio.Lock()
        self._workers: list[asyncio.Task] = []
        self._others: set[asyncio.Task] = set()
        self._stopping = False

    @property
    def unfinished(self) -> int:
        """Jobs that are queued or running."""
        return len(self._jobs)

    async def start(self) -> None:
        """Take up the store's unfinished jobs, and begin to read. It may be called any number of times.

        Raises:
            StoreFails; the next call tries again.
        """
        async with self._starting:
            if self._workers or self._stopping:
                return
            for record in await self.calls.ask(self.store.unfinished):
                self._enqueue(record)
            self._workers = [asyncio.create_task(self._work()) for _ in range(self.pages_in_flight)]
            for loop in (self._open_jobs(), self._save_counts(), self._sweep()):
                self._spawn(loop)

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take on nothing more, let pages in flight end for `grace_s`, save the counts. Jobs stay to be resumed."""
        self._stopping = True
        for job in self._jobs.values():
            job.wake.set()
        async with self._changed:
            self._changed.notify_all()
        reading = [*self._workers, *self._submitting.values()]
        if reading:
            await asyncio.wait(reading, timeout=grace_s)
        tasks = [*self._workers, *self._others, *self._submitting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(self._save(job) for job in self._jobs.values()), return_exceptions=True)

    async def submit(
        self, document: Document, options: ReadOptions, key: str | None = None, owner: str | None = None
    ) -> JobRecord:
        """Accept a job; with an idempotency `key` that came before from the same `owner`, return the job that was
        accepted then. A caller that gives up waiting does not undo it.

        Raises:
            JobsFull: as many jobs as may be are unfinished, or the runner stops. KeyReused. StoreFails.
        """
        slot = (owner, key) if key else object()
        task = self._submitting.get(slot)
        if task is None:
            task = self._submitting[slot] = asyncio.create_task(self._submit(document, options, key or None, owner))
            task.add_done_callback(lambda _: self._submitting.pop(slot))
        record = await asyncio.shield(task)
        if not record.is_for(document, options):
            raise KeyReused("this idempotency key belongs to a job for another document or with other options")
        return record

    async def job(self, job_id: str, owner: str | None = None) -> JobRecord:
        """Return the state of a job. Raises: JobNotFound, StoreFails."""
        job = self._jobs.get(job_id)
        record = _owned(job.record if job else await self.calls.ask(self.store.load, job_id), owner)
        return record.model_copy(update={"trouble": self.calls.trouble}) if job else record

    async def result(self, job_id: str, offset: int = 0, limit: int = 100, owner: str | None = None) -> JobPages:
        """Return finished pages of a job, as `JobStore.result` does. Raises: JobNotFound, StoreFails."""
        await self.job(job_id, owner)
        result = await self.calls.ask(self.store.result, job_id, offset, limit)
        job = self._jobs.get(job_id)  # its counts are newer than those in the store
        return result._replace(record=job.record) if job else result

    async def cancel(self, job_id: str, owner: str | None = None) -> JobRecord:
        """End a job. Afterwards no page of it is written; one that has ended already stays as it is.

        Raises: JobNotFound, StoreFails.
        """
        record = await self.job(job_id, owner)
        job = self._jobs.get(job_id)
        if job is not None:
            await asyncio.shield(self._spawn(self._end(job, "cancelled")))
            return job.record
        return record if record.ended else await self.calls.ask(self.store.save, record.moved("cancelled"))

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        """Delete a job and its result; a running one is ended first. Raises: JobNotFound, StoreFails."""
        await self.cancel(job_id, owner)
        await self.calls.ask(self.store.delete, job_id)

    async def _submit(self, document: Document, options: ReadOptions, key: str | None, owner: str | None) -> JobRecord:
        if key is not None:
            earlier = await self.calls.ask(self.store.find, key, owner)
            if earlier is not None:
                return earlier
        if self._stopping:
            raise JobsFull("the server is shutting down; submit the job again in a moment")
        if len(self._jobs) + self._creating >= self.max_waiting:
            raise JobsFull(f"{self.max_waiting} jobs are unfinished, and no more are accepted; submit it again later")
        share = math.ceil(self.max_waiting * self.owner_share)
        if owner is not None and sum(job.record.owner == owner for job in self._jobs.values()) >= share:
            raise JobsFull(f"{share} jobs of yours are unfinished, a client's share; submit it again later")
        self._creating += 1
        try:
            record = await self.calls.ask(self.store.create, document, options, key, owner)
        finally:
            self._creating -= 1
        self._enqueue(record)
        return record

    def _enqueue(self, record: JobRecord) -> None:
        if record.id not in self._jobs:
            self._jobs[record.id] = job = ActiveJob(record)
            self._waiting.put_nowait(job)

    async def _open_jobs(self) -> None:
        while True:
            job = await self._waiting.get()
            async with self._changed:
                await self._changed.wait_for(lambda job=job: job.over or self._fits(job))
            if job.over:
                continue
            try:
                await self._open(job)
            except JobNotFound:
                await self._forget(job)
            except Exception as error:
                logger.exception("job %s cannot be opened", job.id)
                self._spawn(self._end(job, "failed", _error(error)))

    def _fits(self, job: ActiveJob) -> bool:
        taken = sum(other.record.document.bytes for other in self._jobs.values() if other.document is not None)
        return taken == 0 or taken + job.record.document.bytes <= _DOCUMENT_BYTES

    async def _open(self, job: ActiveJob) -> None:
        """Fetch the document, find out which pages are missing, and let the job take turns."""
        document = await self.calls.insist(self.store.document, job.record)
        done, failed = await self.calls.insist(self.store.done_pages, job.id)
        async with job.lock:
            if job.over:
                return
            job.record = await self.calls.insist(
                self.store.save, job.record.moved("running").counted(len(done), len(failed))
            )
        if job.record.ended:
            await self._forget(job)
        elif job.record.is_complete:
            await self._end(job, "finished")
        else:
            job.document = document
            job.todo = deque(number for number in job.record.options.pages if number not in done)
            async with self._changed:
                if not job.over:
                    self._rotation.append(job)
                self._changed.notify_all()

    async def _work(self) -> None:
        """Read a page, keep it, take the next one. As many of these run as pages may be in flight."""
        while (turn := await self._next_page()) is not None:
            job, number = turn
            try:
                page = await self._read(job, number)
                if page is not None and not job.over:
                    await job.write(self._write(job, page))
                if job.record.is_complete and not job.over:
                    await self._end(job, "finished")
            except Exception as error:  # a fault of ocray, not of the page: other jobs continue
                logger.exception("job %s fails at page %d", job.id, number)
                await self._end(job, "failed", _error(error))

    async def _next_page(self) -> tuple[ActiveJob, int] | None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._rotation or self._stopping)
            if self._stopping:
                return None
            job = self._rotation.popleft()
            number = job.todo.popleft()
            if job.todo:
                self._rotation.append(job)
            return job, number

    async def _read(self, job: ActiveJob, number: int) -> ReadPage | None:
        """Return the page, read or failed; None if the job or the runner ends first."""
        for attempt in itertools.count():
            if job.document is None or job.over or self._stopping:
                return None
            try:
                return await self._read_once(job.document, number, job.record.options)
            except TryAgain as error:
                await job.rest(pause(attempt, error.retry_after_s))
            except Exception as error:
                logger.exception("job %s: page %d", job.id, number)
                return _error_page(job.document, number, error)

    async def _read_once(self, document: Document, number: int, options: ReadOptions) -> ReadPage:
        # A separate task distinguishes a read that was cancelled from a worker that is cancelled.
        read = asyncio.ensure_future(self.read_page(document, number, options))
        try:
            await asyncio.wait([read])
        except asyncio.CancelledError:
            read.cancel()
            raise
        if read.cancelled():
            raise TryAgain
        return read.result()

    async def _write(self, job: ActiveJob, page: ReadPage) -> None:
        await self.calls.insist(self.store.write_page, job.id, page)
        failed = job.record.pages_failed + (page.status == "error")
        job.record = job.record.counted(job.record.pages_done + 1, failed)

    async def _end(self, job: ActiveJob, state: State, error: PageError | None = None) -> None:
        job.stop()
        async with job.lock:
            await job.written()
            if not job.record.ended:
                try:
                    job.record = await self.calls.insist(self.store.save, job.record.moved(state, error))
                except JobNotFound:
                    pass  # deleted by another runner
                except Exception:
                    logger.exception("job %s is %s, but its record cannot be written", job.id, state)
        await self._forget(job)

    async def _forget(self, job: ActiveJob) -> None:
        job.stop()
        job.document = None
        self._jobs.pop(job.id, None)
        async with self._changed:
            if job in self._rotation:
                self._rotation.remove(job)
            self._changed.notify_all()

    async def _save_counts(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            # Shielded: a writing thread continues when its task is cancelled, and must hold the job's lock meanwhile.
            await asyncio.shield(asyncio.gather(*(self._save(job) for job in list(self._jobs.values()))))

    async def _save(self, job: ActiveJob) -> None:
        """Write the counts, and see whether the job was ended by another hand."""
        async with job.lock:
            record = job.record
            if job.over or record is job.saved:
                return
            try:
                stored = await self.calls.work(self.store.save, record)
                job.saved = record
            except JobNotFound:
                stored = None
            except Exception as error:
                logger.warning("job %s: its counts are not saved: %s: %s", job.id, type(error).__name__, error)
                return
            if stored is None or stored.ended:
                job.record = stored or job.record
                job.stop()
        if job.over:
            await self._forget(job)

    async def _sweep(self) -> None:
        while True:
            try:
                for job_id in await self.calls.work(self.store.delete_expired, self.keep_hours):
                    logger.info("job %s is deleted, it ended %g hours ago", job_id, self.keep_hours)
            except Exception:
                logger.exception("old jobs are not deleted")
            await asyncio.sleep(_SWEEP_SECONDS)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task:
        task = asyncio.ensure_future(coroutine)
        self._others.add(task)
        task.add_done_callback(self._others.discard)
        return task


def _owned(record: JobRecord, owner: str | None) -> JobRecord:
    if not record.is_of(owner):
        raise JobNotFound(record.id)
    return record


def _error(error: BaseException) -> PageError:
    return PageError(stage="serve", type=type(error).__name__, message=(str(error) or "no message")[:2000])


def _error_page(document: Document, number: int, error: BaseException) -> ReadPage:
    return ReadPage(
        page_id=page_id(document.name, document.sha256, number),
        document_uri=document.name,
        page_number=number,
        page_count=document.page_count,
        status="error",
        error=_error(error),
    )
