"""A group of a reader's stages as one Serve deployment: all of them on a CPU machine, one or a few where stages need
different resources. The stages are the bulk job's own (`pipelines.stages`), so their records are too.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
from pydantic import Field
from ray import serve

from common.config import Settings
from common.ray_private import replica_listens_on_node_address
from models.text_recognition.predictor import TextRecognizer
from pipelines.documents import DocumentError, PageTooLarge, PageTooSlow
from pipelines.documents.decoders import Decoders, needs_a_process
from pipelines.page import Page
from pipelines.readers.documents.settings import TextRecognitionSettings
from pipelines.stages.base import Stage, StageSpec, run_stages
from pipelines.watchdog import Overrun, PageLimits, Watchdog
from ray_apps.serving.metrics import StageMetrics

RECOGNITION = "text_recognition"
BEGUN = "begun"  # what `run_alone` gives first
_NICENESS = 19
_DECODING_THREADS = 32  # pages that wait for a decoder; what Serve lets in is less
# From when a page has been given up to the end of the process: its answer, and those of the others, get away meanwhile.
_SECONDS_TO_ANSWER = 1.0
_SECONDS_A_MEGAPIXEL = 0.3
_SECONDS_TO_SAY_SO = 0.05
_MOST_HELD = 256 << 20
_RECORD_ERRORS = {error.__name__: error for error in (PageTooSlow, PageTooLarge)}
_Result = TypeVar("_Result")
logger = logging.getLogger("ray.serve")


class BatchSettings(Settings):
    """The `user_config` of a stage deployment; it can be changed without a restart."""

    max_batch_size: int = Field(default=4, ge=1, description="pages read together")
    batch_wait_timeout_s: float = Field(default=0, ge=0, description="how long an idle replica waits for company")
    decode_seconds: float = Field(
        default=20, gt=0, description="computing time of decoding a page; three times by the clock"
    )
    decode_mib: int = Field(default=1536, ge=64, description="memory of decoding a page")
    stuck_after_s: float = Field(
        default=60, gt=0, description="time of a page in one stage; then the replica is replaced"
    )
    stuck_after_mib: int = Field(default=4096, ge=64, description="growth over a page in one stage; then it is, too")


class ReaderEnds(Exception):
    """The replica is about to end over another page; this one is not at fault, and is to be sent again."""


@dataclass
class _Asked:
    """A page, which of the replica's stages it goes through, and what is read where it is read."""

    page: Page
    wanted: tuple[str, ...]
    languages: tuple[str, ...]
    decoded_ms: float = 0.0  # what decoding took before, in a process of its own


class StageReplica:
    """Runs its stages over pages, those that wait together in one batch.

    A batch is formed when the one before is done, not when its first page arrives: pages that come while the stages are
    busy wait outside `serve.batch`, whose own queue would cut them into batches of one.

    The recognisers of the reader's own languages are always open, those of others from when they are asked for until
    four others were used since. `recognition` says which there are; a reader that knows no languages has none.

    What may take for ever is decoded in processes that can be killed, before pages come together. A page that takes too
    long or too much memory in any stage is given up and the replica ends itself, since native code cannot be
    interrupted; the pages beside it are read elsewhere.
    """

    def __init__(self, specs: list[StageSpec], recognition: TextRecognitionSettings | None = None):
        replica_listens_on_node_address()
        # The HTTP side must answer at once also when every core reads. Threads started from here inherit it.
        os.nice(_NICENESS)
        cv2.setNumThreads(1)
        self.specs = {spec.stage.name: spec for spec in specs}
        self.stages = {name: spec.build() for name, spec in self.specs.items()}
        self.recognition = recognition
        self.metrics = StageMetrics()
        self.idle = asyncio.Event()
        self.idle.set()
        self.turn = asyncio.Lock()  # of the thread
        self.held = 0  # bytes of decoded pages that wait to be read
        self.read_one = asyncio.Event()  # set for a moment
        # One thread: OpenVINO's and OpenCV's are bounded by the replica's CPUs.
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="stages")
        self.decoders = Decoders()
        self.decoding = ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="decoding")
        self.watchdog = Watchdog(PageLimits(), self._tell)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.overrun: Overrun | None = None
        self.ending = asyncio.Event()  # set with `overrun`

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Called by Serve with the deployment's `user_config`, at the start and when it changes."""
        settings = BatchSettings.model_validate(config)
        self._together.set_max_batch_size(settings.max_batch_size)
        self._together.set_batch_wait_timeout_s(settings.batch_wait_timeout_s)
        self.decoders.seconds, self.decoders.memory_mib = settings.decode_seconds, settings.decode_mib
        # Large pages hold more, but a page must be given up before its request is.
        self.watchdog.limits = PageLimits(settings.stuck_after_s, _SECONDS_A_MEGAPIXEL, settings.stuck_after_mib)

    async def run(
        self, page: Page, wanted: tuple[str, ...], languages: tuple[str, ...], content: bytes | None = None
    ) -> Page:
        """Run those of the replica's stages that are `wanted` over a page, together with what else waits.

        Args:
            page: a page of a one-page document brings its content with it.
            wanted: stage names of the whole chain.
            languages: what is read, in ISO 639-1 codes; none where the reader knows no languages.
            content: the encoded document of a page that does not.
        """
        asked = self._asked(page, wanted, languages, content)
        async with self._decoded(asked):
            await self._unless_ending(self.idle.wait())
            read = await self._together(asked)
        if read is None:
            raise ReaderEnds("the reader ends over another page")
        return self._logged(read)

    async def run_alone(
        self, page: Page, wanted: tuple[str, ...], languages: tuple[str, ...], content: bytes | None = None
    ) -> AsyncIterator[Page | str]:
        """`run` in a batch of one, for a page that was in a replica's hands when it died: BEGUN, then the page. A death
        after BEGUN is this page's, one before is not."""
        asked = self._asked(page, wanted, languages, content)
        async with self._decoded(asked), self.turn:
            if self.overrun is None:
                yield BEGUN
                await asyncio.sleep(_SECONDS_TO_SAY_SO)
            (read,) = await self._in_thread([asked])
        if read is None:
            raise ReaderEnds("the reader ends over another page")
        yield self._logged(read)

    def _asked(self, page: Page, wanted: tuple[str, ...], languages: tuple[str, ...], content: bytes | None) -> _Asked:
        self.loop = asyncio.get_running_loop()
        if content is not None:
            page.content = content
        mine = tuple(name for name in self.stages if name in wanted)
        # Pages that are not read here go together whatever their languages.
        return _Asked(page, mine, languages if RECOGNITION in mine else ())

    def _logged(self, page: Page) -> Page:
        # Here, where Serve's log lines carry the request's id: inside a batch they do not.
        error = page.record.error
        if error is not None and error.stage in self.specs:
            logger.warning("page failed in %s: %s", error.stage, error.type)
        return page

    @contextlib.asynccontextmanager
    async def _decoded(self, asked: _Asked) -> AsyncIterator[None]:
        """Around the reading of a page: it is decoded, if that might take for ever; else that is left to its stage."""
        page, record = asked.page, asked.page.record
        held = 0
        try:
            if (
                "decode" in asked.wanted
                and page.content is not None
                and needs_a_process(page.content, record.document_uri)
            ):
                while self.held > _MOST_HELD:  # pages are decoded faster than they are read
                    await self._unless_ending(self.read_one.wait())
                of_page = (page.content, record.document_uri, record.page_number, self.stages["decode"].limits)
                decoded = await self._in_decoder(self.decoders.decode_page, *of_page)
                page.image, page.content = decoded.image, None
                asked.decoded_ms = decoded.seconds * 1000
                held = page.image.nbytes
        except DocumentError as error:
            page.fail("decode", error)
        self.held += held
        try:
            yield
        finally:
            self.held -= held
            self.read_one.set()
            self.read_one.clear()

    async def count_pages(self, name: str, content: bytes) -> int:
        """Pages of an encoded document; raises DocumentError. Here and not in the ingress: a parser may crash."""
        self.loop = asyncio.get_running_loop()
        return await self._in_decoder(self.decoders.count_pages, content, name)

    async def _in_decoder(self, function: Callable[..., _Result], *args: Any) -> _Result:
        given_up = threading.Event()
        try:
            return await self._unless_ending(
                asyncio.get_running_loop().run_in_executor(self.decoding, function, *args, given_up.is_set)
            )
        finally:
            given_up.set()

    async def describe(self) -> dict[str, dict[str, str]]:
        """{stage: {"name", "device", "precision"}} of the networks that are open."""
        networks = {name: network for stage in self.stages.values() for name, network in _networks(stage).items()}
        return {
            name: {"name": network.name, "device": network.device, "precision": network.precision}
            for name, network in networks.items()
        }

    async def check_health(self) -> None:
        """Called by Serve, which replaces a replica whose check fails."""
        if self.overrun is not None:
            raise RuntimeError(f"{self.overrun.message}; the replica is replaced")

    def _tell(self, overrun: Overrun) -> None:
        """Called by the watchdog, in a thread of its own, before it ends the process."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._end, overrun)
            time.sleep(_SECONDS_TO_ANSWER)
        self.decoders.close()

    def _end(self, overrun: Overrun) -> None:
        self.overrun = overrun
        self.ending.set()

    async def _unless_ending(self, work: Coroutine[Any, Any, _Result] | asyncio.Future[_Result]) -> _Result:
        """What `work` gives.

        Raises:
            ReaderEnds: the replica ends before.
        """
        task, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.ending.wait())
        try:
            await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ReaderEnds("the reader ends over another page")
            return task.result()
        finally:
            ending.cancel()
            task.cancel()

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0, max_concurrent_batches=1)
    async def _together(self, items: list[_Asked]) -> list[Page | None]:
        self.idle.clear()
        try:
            async with self.turn:
                return await self._in_thread(items)
        finally:
            self.idle.set()

    async def _in_thread(self, items: list[_Asked]) -> list[Page | None]:
        """The pages, read; when the replica ends over one of them, that one with its error, and None for the others."""
        reading = {asked.languages: await self._reading(asked.languages) for asked in items if asked.languages}
        work = asyncio.get_running_loop().run_in_executor(self.thread, self._run, items, reading)
        try:
            return await self._unless_ending(work)
        except ReaderEnds:
            if len(self.overrun.page_ids) > 1:  # in one call of a stage: each is read again, alone
                return [None] * len(items)
            return [self._at_fault(asked.page) for asked in items]

    def _at_fault(self, page: Page) -> Page | None:
        if page.record.page_id != self.overrun.page_ids[0]:
            return None
        page.fail(self.overrun.stage, _RECORD_ERRORS[self.overrun.error](self.overrun.message))
        return page

    async def _reading(self, languages: tuple[str, ...]) -> Stage:
        """The recognition stage for `languages`."""
        own = self.stages[RECOGNITION]
        if languages == own.languages:
            return own
        chosen = self.recognition.recognizers_for(languages)
        opened = {bundle: own.opened.get(bundle) or await self._recognizer(bundle) for bundle in chosen}
        return own.for_languages(opened, chosen, languages)

    # Only opens what the configuration names: the id that Serve reads from a request's header is not looked at.
    @serve.multiplexed(max_num_models_per_replica=4)
    async def _recognizer(self, bundle: str) -> TextRecognizer:
        settings = self.specs[RECOGNITION].kwargs
        opening = (bundle, settings["device"], settings["threads"], settings["precision"], 0.0)
        return await asyncio.to_thread(TextRecognizer, *opening)

    def _run(self, items: list[_Asked], reading: dict[tuple[str, ...], Stage]) -> list[Page]:
        for wanted, languages in dict.fromkeys((asked.wanted, asked.languages) for asked in items):
            stages = self.stages | ({RECOGNITION: reading[languages]} if languages else {})
            pages = [asked.page for asked in items if (asked.wanted, asked.languages) == (wanted, languages)]
            started = time.perf_counter()
            chain = [(stages[name], self.specs[name].batch_size) for name in wanted]
            for _ in run_stages(chain, pages, self.watchdog.watching):
                pass
            for asked in items:
                # The stage counts what it does itself.
                if (asked.wanted, asked.languages) == (wanted, languages) and "decode" in asked.page.record.timings_ms:
                    asked.page.record.timings_ms["decode"] += round(asked.decoded_ms, 3)
            self.metrics.observe(pages, list(wanted), len(items), time.perf_counter() - started)
        return [asked.page for asked in items]


def _networks(stage: Stage) -> dict[str, Any]:
    """What a stage reads with: its networks by their tasks, or its one predictor by its own name; or nothing."""
    if hasattr(stage, "networks"):
        return stage.networks
    if hasattr(stage, "predictor"):
        return {stage.name: getattr(stage.predictor, "network", stage.predictor)}
    return {}


def stage_deployments(
    groups: Mapping[str, Sequence[str]],
    specs: Mapping[str, StageSpec],
    recognition: TextRecognitionSettings | None = None,
) -> dict[str, serve.Application]:
    """A deployment for each of `groups` of stage names, in the same order."""
    return {
        name: serve.deployment(StageReplica).options(name=name).bind([specs[stage] for stage in stages], recognition)
        for name, stages in groups.items()
    }
