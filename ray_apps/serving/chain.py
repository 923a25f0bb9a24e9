"""A reader's deployments called in order, as the ingress and the jobs see them."""

import asyncio
import weakref
from collections.abc import Sequence

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from pipelines.attempts import ATTEMPTS_ALONE, WorkerDied
from pipelines.config import DocumentsConfig, ReaderConfig
from pipelines.page import Page, Upright
from pipelines.records import page_id
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.stages import RECOGNITION


class Unavailable(Exception):
    """The readers take no more at the moment, or none of them runs; the same request can succeed later."""


class Chain:
    """Reads pages through the deployments of a reader.

    Args:
        handles: handle of each deployment, in reading order.
        groups: names of the stages each deployment runs.
        config: the reader.
    """

    def __init__(
        self,
        handles: dict[str, DeploymentHandle],
        groups: dict[str, list[str]],
        config: ReaderConfig,
    ):
        self.handles = handles
        self.groups = groups
        self.record_type = config.record_type
        self.stages = tuple(stage for stages in groups.values() for stage in stages)
        # Pages that were in a replica when it died are sent again one at a time: a second death is then theirs alone.
        self._suspects = asyncio.Lock()
        self._contents: weakref.WeakKeyDictionary[Document, ray.ObjectRef] = weakref.WeakKeyDictionary()

    async def count_pages(self, name: str, content: bytes) -> int:
        """Pages of an encoded document of several pages.

        Raises:
            DocumentError: it cannot be opened. Unavailable.
        """
        first = next(iter(self.handles.values()))
        for _ in range(ATTEMPTS_ALONE):
            try:
                return await first.count_pages.remote(name, content)
            except RayTaskError as error:  # raised by the call itself, not by a dying replica
                raise error.cause from None
            except BackPressureError as error:
                raise Unavailable("all readers are busy") from error
            except (RayError, ReplicaUnavailableError, DeploymentUnavailableError):
                continue  # the replica died, perhaps over this document
        raise Unavailable("the readers are restarting")

    async def read(self, document: Document, number: int, options: ReadOptions, stages: Sequence[str]) -> Page:
        """One page through those of `stages` that the deployments hold; a failed page is an error record.

        A page whose replica dies is sent again, alone, so that it cannot take others with it twice; the record of one
        that was alone in a replica when that died, `pipelines.attempts.ATTEMPTS_ALONE` times, says `WorkerDied`.

        Raises:
            Unavailable: the readers are full, or do not run.
        """
        wanted = tuple(stage for stage in stages if stage != "upright" or options.upright != "none")
        for attempt in range(1 + ATTEMPTS_ALONE):
            try:
                if attempt == 0:
                    return await self._send(document, number, options, wanted, alone=False)
                async with self._suspects:
                    return await self._send(document, number, options, wanted, alone=True)
            except BackPressureError as error:
                raise Unavailable("all readers are busy") from error
            except (DeploymentUnavailableError, ReplicaUnavailableError) as error:
                raise Unavailable("the readers are restarting") from error
            except TaskCancelledError:
                raise
            except RayTaskError as error:  # a bug of ours: stages turn what they raise into error records
                return self._failed(document, number, options, error.cause)
            except RayError as error:
                death = error
        times = 1 + ATTEMPTS_ALONE
        died = WorkerDied(f"the reader's process died {times} times over this page ({type(death).__name__})")
        return self._failed(document, number, options, died)

    def _send(
        self, document: Document, number: int, options: ReadOptions, stages: tuple[str, ...], alone: bool
    ) -> DeploymentResponse:
        page: Page | DeploymentResponse = self._page(document, number, options)
        content = self._shared_content(document)
        for name, handle in self.handles.items():
            if not set(stages) & set(self.groups[name]):
                continue
            # What a deployment returns goes to the next one without passing through here.
            handle = self._routed(handle, name, options, stages)
            method = handle.run_alone if alone else handle.run
            asked = (stages, options.languages)
            page = method.remote(page, *asked, content) if content is not None else method.remote(page, *asked)
            content = None
        return page

    def _routed(
        self, handle: DeploymentHandle, name: str, options: ReadOptions, stages: tuple[str, ...]
    ) -> DeploymentHandle:
        """The handle of the deployment `name`, so that it goes to a replica that is prepared for what is asked."""
        return handle

    def _shared_content(self, document: Document) -> "ray.ObjectRef | None":
        """The content of a document of several pages, put into the object store once."""
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
            upright = Upright(f"image/{options.upright}", options.upright_max_side)
        return Page(record, content=document.content if document.page_count == 1 else None, upright=upright)


class DocumentsChain(Chain):
    """The chain of a reader of documents, whose replicas have recognisers of different languages open.

    Attributes:
        languages: what is read unless others are asked for.
        recognition: which recognisers there are.
    """

    def __init__(self, handles: dict[str, DeploymentHandle], groups: dict[str, list[str]], config: DocumentsConfig):
        super().__init__(handles, groups, config)
        self.languages = tuple(config.languages)
        self.recognition = config.text_recognition

    def _routed(
        self, handle: DeploymentHandle, name: str, options: ReadOptions, stages: tuple[str, ...]
    ) -> DeploymentHandle:
        if RECOGNITION not in self.groups[name] or RECOGNITION not in stages:
            return handle
        # Every replica has the recognisers of the reader's own languages open; others are looked for where they are.
        open_everywhere = self.recognition.chosen(self.languages)
        others = [bundle for bundle in self.recognition.chosen(options.languages) if bundle not in open_everywhere]
        return handle.options(multiplexed_model_id=others[0]) if others else handle
