"""Calls a reader's deployments in order, for the ingress and the jobs."""

import asyncio
import random
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from pipelines.attempts import ATTEMPTS_ALONE, WorkerDied
from pipelines.documents.decoders import DecodersBusy
from pipelines.page import Page, Upright
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.records import BaseRecord, page_id
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.stages import BEGUN, RECOGNITION, ReaderEnds

# Seconds before each attempt: no shorter than a health check's period, after which Serve knows that a replica is dead.
_WAITS = (0.0, 2.5, 2.5, 5.0, 5.0, 10.0, 10.0, 10.0)
_REFUSALS = (BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError)
_DEATHS = (RayError, RayServeException)  # the latter if an earlier deployment died
_RETRY_ELSEWHERE = (DecodersBusy, ReaderEnds)  # this replica could not, another one may


class Unavailable(Exception):
    """The readers are full, or none of them runs. The same request can succeed later."""


class _DiedAlone(Exception):
    """A replica died while it was reading one page alone; the message says why."""


def _cause(error: RayTaskError) -> BaseException:
    return error.cause or error


def _refusal(error: Exception) -> Unavailable:
    return Unavailable("all readers are busy" if isinstance(error, BackPressureError) else "the readers are restarting")


async def _wait(seconds: float) -> None:
    """Wait about `seconds`, at random, so that waiting requests do not all return at once."""
    await asyncio.sleep(seconds * random.uniform(1.0, 1.3))


class Chain:
    """Reads pages through the deployments of a reader.

    Args:
        handles: handle of each deployment, in reading order.
        groups: names of the stages that each deployment runs.
        record_type: of the reader.
    """

    def __init__(
        self,
        handles: dict[str, DeploymentHandle],
        groups: dict[str, list[str]],
        record_type: type[BaseRecord],
    ):
        self.handles = handles
        self.groups = groups
        self.record_type = record_type
        self.stages = tuple(stage for stages in groups.values() for stage in stages)
        # Pages that a replica held when it died are sent again one at a time: a second death has one cause.
        self._suspects = asyncio.Lock()
        self._contents: weakref.WeakKeyDictionary[Document, ray.ObjectRef] = weakref.WeakKeyDictionary()

    async def count_pages(self, name: str, content: bytes) -> int:
        """Count the pages of an encoded document of several pages.

        Raises:
            DocumentError: it cannot be opened.
            Unavailable: the readers are full or do not run.
        """
        first = next(iter(self.handles.values()))
        for wait in _WAITS:
            await _wait(wait)
            try:
                return await first.count_pages.remote(name, content)
            except _REFUSALS as error:
                raise _refusal(error) from error
            except RayTaskError as error:  # raised by the call itself, not by a dying replica
                if not isinstance(error.cause, _RETRY_ELSEWHERE):
                    raise _cause(error) from None
            except _DEATHS:
                pass  # documents are opened in separate processes: the replica died of something else
        raise Unavailable("the readers are busy or restarting")

    async def read(self, document: Document, number: int, options: ReadOptions, stages: Sequence[str]) -> Page:
        """Read one page through those of `stages` that the deployments hold; a failed page has an error record.

        If a replica dies, its pages are sent again, each alone. Only a death while a page alone was being read counts
        against that page: after `pipelines.attempts.ATTEMPTS_ALONE` of them its record says `WorkerDied`. Between two
        attempts Serve has time to notice a death.

        Raises:
            Unavailable: the readers are full, do not run, or keep dying of other causes.
        """
        wanted = tuple(stage for stage in stages if stage != "upright" or options.upright != "none")
        suspected, deaths = False, 0
        for wait in _WAITS:
            await _wait(wait)
            try:
                if not suspected:
                    return await self._send(document, number, options, wanted)
                async with self._suspects:
                    return await self._send_alone(document, number, options, wanted)
            except _REFUSALS as error:
                raise _refusal(error) from error
            except TaskCancelledError:
                raise
            except RayTaskError as error:
                if not isinstance(error.cause, _RETRY_ELSEWHERE):
                    # A bug in ocray: stages turn exceptions into error records.
                    return self._failed(document, number, options, _cause(error))
                suspected = suspected or isinstance(error.cause, ReaderEnds)
            except _DEATHS:
                suspected = True
            except _DiedAlone as error:
                deaths += 1
                if deaths == ATTEMPTS_ALONE:
                    died = WorkerDied(
                        f"the reader's process died {deaths} times while reading only this page ({error})"
                    )
                    return self._failed(document, number, options, died)
        raise Unavailable("the readers are busy or restarting")

    async def _send_alone(self, document: Document, number: int, options: ReadOptions, stages: tuple[str, ...]) -> Page:
        """Read the page through one deployment after the other, each time in a batch of one.

        Raises:
            _DiedAlone: a replica died while it was reading this page.
            RayError: a replica died, but not because of this page.
        """
        page = self._page(document, number, options)
        content = self._shared_content(document)
        for handle, arguments in self._calls(options, stages):
            begun = False
            extra = () if content is None else (content,)
            try:
                responses: Any = handle.options(stream=True).run_alone.remote(page, *arguments, *extra)
                async for response in responses:
                    if response == BEGUN:
                        begun = True
                    else:
                        page = response
            except (RayTaskError, TaskCancelledError, *_REFUSALS):
                raise
            except _DEATHS as error:
                if begun:
                    raise _DiedAlone(type(error).__name__) from error
                raise
            content = None
        return page

    def _send(
        self, document: Document, number: int, options: ReadOptions, stages: tuple[str, ...]
    ) -> DeploymentResponse[Page[Any]]:
        page: Any = self._page(document, number, options)
        content = self._shared_content(document)
        for handle, arguments in self._calls(options, stages):
            # The response of a deployment goes to the next one without passing through this process.
            extra = () if content is None else (content,)
            page = handle.run.remote(page, *arguments, *extra)
            content = None
        return cast(DeploymentResponse[Page[Any]], page)

    def _calls(self, options: ReadOptions, stages: tuple[str, ...]) -> Iterator[tuple[DeploymentHandle, tuple]]:
        """Yield the handles of the deployments that hold some of `stages`, and the arguments of each call."""
        for name, handle in self.handles.items():
            if set(stages) & set(self.groups[name]):
                yield self._routed(handle, name, options, stages), (stages, options.languages)

    def _routed(
        self, handle: DeploymentHandle, name: str, options: ReadOptions, stages: tuple[str, ...]
    ) -> DeploymentHandle:
        """Return the handle of the deployment `name`, routed to a replica that is prepared for `options`."""
        return handle

    def _shared_content(self, document: Document) -> "ray.ObjectRef | None":
        """Put the content of a document of several pages into the object store, once, and return its reference."""
        if document.page_count == 1:
            return None
        if document not in self._contents:
            self._contents[document] = ray.put(document.content)
        return self._contents[document]

    def _failed(self, document: Document, number: int, options: ReadOptions, error: BaseException) -> Page:
        page = self._page(document, number, options)
        page.fail("serve", error)
        return page

    def _page(self, document: Document, number: int, options: ReadOptions) -> Page:
        record = self.record_type(
            page_id=page_id(document.name, document.sha256, number),
            document_uri=document.name,
            page_number=number,
            page_count=document.page_count,
        )
        upright = None
        if options.upright != "none":
            upright = Upright("image/png" if options.upright == "png" else "image/jpeg", options.upright_max_side)
        return Page(record, content=document.content if document.page_count == 1 else None, upright=upright)


class DocumentsChain(Chain):
    """The chain of a documents reader, whose replicas have recognisers of different languages open.

    Attributes:
        languages: read unless a request names others.
        recognition: the recognisers and their languages.
    """

    def __init__(self, handles: dict[str, DeploymentHandle], groups: dict[str, list[str]], reader: DocumentsReader):
        super().__init__(handles, groups, reader.record_type)
        self.languages = tuple(reader.settings.languages)
        self.recognition = reader.settings.text_recognition

    def _routed(
        self, handle: DeploymentHandle, name: str, options: ReadOptions, stages: tuple[str, ...]
    ) -> DeploymentHandle:
        if RECOGNITION not in self.groups[name] or RECOGNITION not in stages:
            return handle
        # Every replica has the recognisers of the reader's own languages open; others are open in some.
        open_everywhere = self.recognition.recognizers_for(self.languages)
        others = [
            bundle for bundle in self.recognition.recognizers_for(options.languages) if bundle not in open_everywhere
        ]
        return handle.options(multiplexed_model_id=others[0]) if others else handle
