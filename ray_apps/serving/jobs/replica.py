"""The deployment that reads jobs: one replica, which resumes what the store holds when it starts."""

import contextlib

from ray.serve.handle import DeploymentHandle

from common.ray_private import replica_listens_on_node_address
from common.storage import Storage, StorageUnavailable
from pipelines.readers.documents.reader import DocumentsReader
from ray_apps.serving.answers import ReadPage
from ray_apps.serving.chain import DocumentsChain, Unavailable
from ray_apps.serving.jobs.record import JobPages, JobRecord
from ray_apps.serving.jobs.runner import JobRunner, TryAgain
from ray_apps.serving.jobs.store import JobStore
from ray_apps.serving.jobs.store_calls import StoreFails
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import DocumentsSettings


class JobsReplica:
    """`JobRunner` behind handles. `readers`, `groups` and `reader` are what `DocumentsChain` takes."""

    def __init__(
        self,
        settings: DocumentsSettings,
        readers: dict[str, DeploymentHandle],
        groups: dict[str, list[str]],
        reader: DocumentsReader,
    ):
        replica_listens_on_node_address()
        self.chain = DocumentsChain(readers, groups, reader)
        self.retry_after_s = settings.flow.retry_after_s
        self.runner = JobRunner(
            JobStore(Storage(settings.jobs.store, patience=0)),
            self._read_page,
            pages_in_flight=settings.jobs.pages_in_flight,
            max_waiting=settings.jobs.waiting,
            keep_hours=settings.jobs.keep_hours,
            owner_share=settings.jobs.client_share,
        )

    async def _start(self) -> JobRunner:
        # Not in the constructor, which Serve does not run in the loop that requests run in. Later calls cost nothing.
        await self.runner.start()
        return self.runner

    async def describe(self) -> dict[str, dict[str, str]]:
        """Return no networks, since none run here; `trouble` says why jobs are not accepted, if they are not."""
        with contextlib.suppress(StoreFails):  # documents are read without it
            await self._start()
        trouble = self.runner.calls.trouble
        return {"jobs": {"trouble": trouble} if trouble else {}}

    async def submit(
        self, document: Document, options: ReadOptions, key: str | None, owner: str | None = None
    ) -> JobRecord:
        return await (await self._start()).submit(document, options, key, owner)

    async def job(self, job_id: str, owner: str | None = None) -> JobRecord:
        return await (await self._start()).job(job_id, owner)

    async def result(self, job_id: str, offset: int, limit: int, owner: str | None = None) -> JobPages:
        return await (await self._start()).result(job_id, offset, limit, owner)

    async def cancel(self, job_id: str, owner: str | None = None) -> JobRecord:
        return await (await self._start()).cancel(job_id, owner)

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        await (await self._start()).delete(job_id, owner)

    async def __del__(self) -> None:
        """Shut down gracefully, when Serve asks: finish pages in flight, leave jobs to be resumed."""
        await self.runner.stop()

    async def _read_page(self, document: Document, number: int, options: ReadOptions) -> ReadPage:
        try:
            page = await self.chain.read(document, number, options, self.chain.stages)
        except Unavailable as error:
            raise TryAgain(self.retry_after_s) from error
        error = page.record.error
        if error is not None and error.type == StorageUnavailable.__name__:  # it will pass, an error page would stay
            raise TryAgain(self.retry_after_s)
        return ReadPage.of(page)
