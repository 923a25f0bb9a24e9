"""A group of a reader's stages as one Serve deployment: all stages on a CPU machine, one or a few where stages need
different resources. They are the bulk job's stages (`pipelines.stages`), so they make the same records.
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
from typing import Any, TypeVar, cast

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
from pipelines.stages.decode import DecodeStage, take
from pipelines.stages.text import TextRecognitionStage
from pipelines.watchdog import Overrun, PageLimits, Watchdog
from ray_apps.serving.metrics import StageMetrics

RECOGNITION = "text_recognition"
BEGUN = "begun"  # what `run_alone` yields first
_NICENESS = 19
_DECODING_THREADS = 32  # pages that wait for a decoder; Serve admits fewer
# Between giving up a page and the end of the process: time for the responses of this page and the others to leave.
_SECONDS_TO_ANSWER = 1.0
_SECONDS_PER_MEGAPIXEL = 0.3
_SECONDS_TO_SEND_BEGUN = 0.05
_MAX_DECODED_BYTES = 256 << 20
_ENDS = "the reader ends because of another page"
_RECORD_ERRORS = {error.__name__: error for error in (PageTooSlow, PageTooLarge)}
_Result = TypeVar("_Result")
logger = logging.getLogger("ray.serve")


class BatchSettings(Settings):
    """The `user_config` of a stage deployment; it can be changed without a restart."""

    max_batch_size: int = Field(default=4, ge=1, description="pages read together")
    batch_wait_timeout_s: float = Field(default=0, ge=0, description="how long an idle replica waits for more pages")
    decode_seconds: float = Field(
        default=20, gt=0, description="computing time of decoding a page; three times by the clock"
    )
    decode_mib: int = Field(default=1536, ge=64, description="memory of decoding a page")
    stuck_after_s: float = Field(
        default=60, gt=0, description="time of a page in one stage; then the replica is replaced"
    )
    stuck_after_mib: int = Field(
        default=4096, ge=64, description="growth of memory over a page in one stage; then the replica is replaced"
    )


class ReaderEnds(Exception):
    """The replica is about to end because of another page. This one is not at fault; send it again."""


@dataclass
class _Item:
    """A page, the stages of this replica to run over it, and the languages to read if one of them reads text."""

    page: Page[Any]
    stages: tuple[str, ...]
    languages: tuple[str, ...]
    decode_ms: float = 0.0  # what decoding in a separate process took


class StageReplica:
    """Runs its stages over pages, all that wait in one batch.

    A batch is formed when the previous one is done, not when its first page arrives: pages that arrive while the stages
    are busy wait outside `serve.batch`, whose queue would cut them into batches of one.

    Recognisers of the reader's own languages are always open. Others are opened on request, and closed once four others
    have been used since. `recognition` lists them; it is None for a reader without languages.

    Documents whose decoding may never end are decoded in processes that can be killed, before pages are batched. If a
    page takes too long or too much memory in any stage, the page fails and the replica ends itself, since native code
    cannot be interrupted. Other pages of the batch are read by another replica.
    """

    def __init__(self, specs: list[StageSpec[Any]], recognition: TextRecognitionSettings | None = None):
        replica_listens_on_node_address()
        # The HTTP side must respond at once, even while every core reads. Threads inherit the niceness.
        os.nice(_NICENESS)
        cv2.setNumThreads(1)
        self.specs = {spec.stage.name: spec for spec in specs}
        self.stages = {name: spec.build() for name, spec in self.specs.items()}
        self.recognition = recognition
        self.metrics = StageMetrics()
        self.idle = asyncio.Event()
        self.idle.set()
        self.thread_lock = asyncio.Lock()
        self.decoded_bytes = 0  # of pages that wait to be read
        self.page_done = asyncio.Event()  # set and cleared at once
        # One thread: OpenVINO and OpenCV use the replica's CPUs themselves.
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="stages")
        self.decoders = Decoders()
        self.decoding = ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="decoding")
        self.watchdog = Watchdog(PageLimits(), self._before_exit)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.overrun: Overrun | None = None
        self.ending = asyncio.Event()  # set with `overrun`

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Apply the deployment's `user_config`. Serve calls this at the start and when it changes."""
        settings = BatchSettings.model_validate(config)
        run_batch = cast(Any, self._run_batch)  # `serve.batch` adds these methods
        run_batch.set_max_batch_size(settings.max_batch_size)
        run_batch.set_batch_wait_timeout_s(settings.batch_wait_timeout_s)
        self.decoders.seconds, self.decoders.memory_mib = settings.decode_seconds, settings.decode_mib
        # Large pages take longer, but a page must time out before its request does.
        self.watchdog.limits = PageLimits(settings.stuck_after_s, _SECONDS_PER_MEGAPIXEL, settings.stuck_after_mib)

    async def run(
        self, page: Page[Any], stages: tuple[str, ...], languages: tuple[str, ...], content: bytes | None = None
    ) -> Page[Any]:
        """Run those of `stages` that this replica holds over a page, in one batch with other waiting pages.

        Args:
            page: carries its content if its document has one page.
            stages: stage names of the whole chain.
            languages: ISO 639-1 codes to read; empty for a reader without languages.
            content: the encoded document, if `page` does not carry it.

        Raises:
            ReaderEnds: the replica ends because of another page.
        """
        item = self._item(page, stages, languages, content)
        async with self._decoded(item):
            await self._unless_ending(self.idle.wait())
            # `serve.batch` makes a function of one item from one of a list.
            read = await cast(Any, self._run_batch)(item)
        if read is None:
            raise ReaderEnds(_ENDS)
        return self._logged(read)

    async def run_alone(
        self, page: Page[Any], stages: tuple[str, ...], languages: tuple[str, ...], content: bytes | None = None
    ) -> AsyncIterator[Page[Any] | str]:
        """Do as `run` in a batch of one, for a page that a replica held when it died. Yield BEGUN, then the page. If
        the replica dies after BEGUN, this page is the cause; before, it is not."""
        item = self._item(page, stages, languages, content)
        async with self._decoded(item), self.thread_lock:
            if self.overrun is None:
                yield BEGUN
                await asyncio.sleep(_SECONDS_TO_SEND_BEGUN)
            (read,) = await self._in_thread([item])
        if read is None:
            raise ReaderEnds(_ENDS)
        yield self._logged(read)

    def _item(
        self, page: Page[Any], stages: tuple[str, ...], languages: tuple[str, ...], content: bytes | None
    ) -> _Item:
        self.loop = asyncio.get_running_loop()
        if content is not None:
            page.content = content
        own = tuple(name for name in self.stages if name in stages)
        # Pages whose text is not read here share a batch whatever their languages.
        return _Item(page, own, languages if RECOGNITION in own else ())

    def _logged(self, page: Page[Any]) -> Page[Any]:
        # Here, where Serve adds the request's id to log lines: inside a batch it does not.
        error = page.record.error
        if error is not None and error.stage in self.specs:
            logger.warning("page failed in %s: %s", error.stage, error.type)
        return page

    @contextlib.asynccontextmanager
    async def _decoded(self, item: _Item) -> AsyncIterator[None]:
        """Decode a page before it is read if that may take for ever; otherwise leave it to its stage."""
        page, record = item.page, item.page.record
        size = 0
        try:
            if (
                "decode" in item.stages
                and page.content is not None
                and needs_a_process(page.content, record.document_uri)
            ):
                while self.decoded_bytes > _MAX_DECODED_BYTES:  # decoding is faster than reading
                    await self._unless_ending(self.page_done.wait())
                stage = cast(DecodeStage, self.stages["decode"])
                document = (page.content, record.document_uri, record.page_number, stage.limits)
                how = (stage.text_layer, page.upright is not None)
                decoded = await self._in_decoder(self.decoders.read_page, *document, *how)
                take(page, decoded.page)
                page.content = None
                item.decode_ms = decoded.seconds * 1000
                size = 0 if page.image is None else page.image.nbytes
        except DocumentError as error:
            page.fail("decode", error)
        self.decoded_bytes += size
        try:
            yield
        finally:
            self.decoded_bytes -= size
            self.page_done.set()
            self.page_done.clear()

    async def count_pages(self, name: str, content: bytes) -> int:
        """Count the pages of an encoded document. Raises DocumentError. Not in the ingress: a parser may crash."""
        self.loop = asyncio.get_running_loop()
        decode = self.stages.get("decode")
        passwords = decode.limits.passwords if isinstance(decode, DecodeStage) else ()
        return await self._in_decoder(self.decoders.count_pages, content, name, passwords)

    async def _in_decoder(self, function: Callable[..., _Result], *args: Any) -> _Result:
        cancelled = threading.Event()
        try:
            return await self._unless_ending(
                asyncio.get_running_loop().run_in_executor(self.decoding, function, *args, cancelled.is_set)
            )
        finally:
            cancelled.set()

    async def describe(self) -> dict[str, dict[str, str]]:
        """Return {stage: {"name", "device", "precision"}} of the networks that are open."""
        networks = {name: network for stage in self.stages.values() for name, network in _networks(stage).items()}
        return {
            name: {"name": network.name, "device": network.device, "precision": network.precision}
            for name, network in networks.items()
        }

    async def check_health(self) -> None:
        """Raise RuntimeError when this replica must be replaced. Serve calls this."""
        if self.overrun is not None:
            raise RuntimeError(f"{self.overrun.message}; the replica is replaced")

    def _before_exit(self, overrun: Overrun) -> None:
        """Let requests know. The watchdog calls this in its thread before it ends the process."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._end, overrun)
            time.sleep(_SECONDS_TO_ANSWER)
        self.decoders.close()

    def _end(self, overrun: Overrun) -> None:
        self.overrun = overrun
        self.ending.set()

    async def _unless_ending(self, work: Coroutine[Any, Any, _Result] | asyncio.Future[_Result]) -> _Result:
        """Return the result of `work`.

        Raises:
            ReaderEnds: the replica ends first.
        """
        task, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.ending.wait())
        try:
            await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ReaderEnds(_ENDS)
            return task.result()
        finally:
            ending.cancel()
            task.cancel()

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0, max_concurrent_batches=1)
    async def _run_batch(self, items: list[_Item]) -> list[Page[Any] | None]:
        self.idle.clear()
        try:
            async with self.thread_lock:
                return await self._in_thread(items)
        finally:
            self.idle.set()

    async def _in_thread(self, items: list[_Item]) -> list[Page[Any] | None]:
        """Return the pages, read. If the replica ends because of one, return that one with its error, else None."""
        recognition = {item.languages: await self._recognition(item.languages) for item in items if item.languages}
        work = asyncio.get_running_loop().run_in_executor(self.thread, self._run, items, recognition)
        try:
            return [*await self._unless_ending(work)]
        except ReaderEnds:
            overrun = self.overrun
            if overrun is None or len(overrun.page_ids) > 1:  # in one call of a stage: each is read again, alone
                return [None] * len(items)
            return [
                _failed(item.page, overrun) if item.page.record.page_id in overrun.page_ids else None for item in items
            ]

    async def _recognition(self, languages: tuple[str, ...]) -> TextRecognitionStage:
        """Return the recognition stage for `languages`."""
        own = cast(TextRecognitionStage, self.stages[RECOGNITION])
        if languages == own.languages:
            return own
        if self.recognition is None:
            raise ValueError(f"{RECOGNITION} was deployed without its settings: only {own.languages} can be read")
        chosen = self.recognition.recognizers_for(languages)
        opened = {bundle: own.opened.get(bundle) or await cast(Any, self._recognizer)(bundle) for bundle in chosen}
        return own.for_languages(opened, chosen, languages)

    # Opens only what the configuration names: the model id that Serve takes from a request's header is ignored.
    @serve.multiplexed(max_num_models_per_replica=4)
    async def _recognizer(self, bundle: str) -> TextRecognizer:
        settings = self.specs[RECOGNITION].kwargs
        arguments = (bundle, settings["device"], settings["threads"], settings["precision"], 0.0)
        return await asyncio.to_thread(TextRecognizer, *arguments)

    def _run(self, items: list[_Item], recognition: dict[tuple[str, ...], TextRecognitionStage]) -> list[Page[Any]]:
        for names, languages in dict.fromkeys((item.stages, item.languages) for item in items):
            stages = self.stages | ({RECOGNITION: recognition[languages]} if languages else {})
            alike = [item for item in items if (item.stages, item.languages) == (names, languages)]
            pages = [item.page for item in alike]
            started = time.perf_counter()
            chain = [(stages[name], self.specs[name].batch_size) for name in names]
            for _ in run_stages(chain, pages, self.watchdog.watching):
                pass
            for item in alike:
                # The stage has recorded only its own time.
                if "decode" in item.page.record.timings_ms:
                    item.page.record.timings_ms["decode"] += round(item.decode_ms, 3)
            self.metrics.observe(pages, list(names), len(items), time.perf_counter() - started)
        return [item.page for item in items]


def _failed(page: Page[Any], overrun: Overrun) -> Page[Any]:
    page.fail(overrun.stage, _RECORD_ERRORS[overrun.error](overrun.message))
    return page


def _networks(stage: Stage[Any]) -> dict[str, Any]:
    """Return a stage's networks by their tasks, its one predictor by the stage's name, or nothing."""
    predictor = getattr(stage, "predictor", None)
    one = {} if predictor is None else {stage.name: getattr(predictor, "network", predictor)}
    return getattr(stage, "networks", one)


def stage_deployments(
    groups: Mapping[str, Sequence[str]],
    specs: Mapping[str, StageSpec[Any]],
    recognition: TextRecognitionSettings | None = None,
) -> dict[str, serve.Application]:
    """Return a deployment for each of `groups` of stage names, in the same order."""
    return {
        name: serve.deployment(name=name)(StageReplica).bind([specs[stage] for stage in stages], recognition)
        for name, stages in groups.items()
    }
