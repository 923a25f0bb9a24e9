"""A group of a reader's stages as one Serve deployment: all of them on a CPU machine, one or a few where stages need
different resources. The stages are the bulk job's own (`pipelines.stages`), so their records are too.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, NamedTuple

import cv2
from pydantic import Field
from ray import serve

from models.text_recognition.predictor import TextRecognizer
from pipelines.config import Settings, TextRecognitionSettings
from pipelines.documents import count_pages
from pipelines.page import Page
from pipelines.stages.base import Stage, StageSpec, run_stages
from ray_apps.serving.metrics import StageMetrics

RECOGNITION = "text_recognition"
_NICENESS = 19
logger = logging.getLogger("ray.serve")


class BatchSettings(Settings):
    """The `user_config` of a stage deployment; it can be changed without a restart."""

    max_batch_size: int = Field(default=4, ge=1, description="pages read together")
    batch_wait_timeout_s: float = Field(default=0, ge=0, description="how long an idle replica waits for company")
    stuck_after_s: float = Field(default=300, gt=0, description="a batch that takes longer makes the replica unhealthy")


class _Asked(NamedTuple):
    """A page, which of the replica's stages it goes through, and what is read where it is read."""

    page: Page
    wanted: tuple[str, ...]
    languages: tuple[str, ...]


class StageReplica:
    """Runs its stages over pages, those that wait together in one batch.

    A batch is formed when the one before is done, not when its first page arrives: pages that come while the stages are
    busy wait outside `serve.batch`, whose own queue would cut them into batches of one.

    The recognisers of the reader's own languages are always open, those of others from when they are asked for until
    four others were used since. `recognition` says which there are; a reader that knows no languages has none.
    """

    def __init__(self, specs: list[StageSpec], recognition: TextRecognitionSettings | None = None):
        # The HTTP side must answer at once also when every core reads. Threads started from here inherit it.
        os.nice(_NICENESS)
        cv2.setNumThreads(1)
        self.specs = {spec.stage.name: spec for spec in specs}
        self.stages = {name: spec.build() for name, spec in self.specs.items()}
        self.recognition = recognition
        self.metrics = StageMetrics()
        self.idle = asyncio.Event()
        self.idle.set()
        self.busy_since: float | None = None
        # One thread: OpenVINO's and OpenCV's are bounded by the replica's CPUs, and PDFium takes one at a time.
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="stages")

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Called by Serve with the deployment's `user_config`, at the start and when it changes."""
        settings = BatchSettings.model_validate(config)
        self._together.set_max_batch_size(settings.max_batch_size)
        self._together.set_batch_wait_timeout_s(settings.batch_wait_timeout_s)
        self.stuck_after_s = settings.stuck_after_s

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
        if content is not None:
            page.content = content
        await self.idle.wait()
        return self._logged(await self._together(self._asked(page, wanted, languages)))

    async def run_alone(
        self, page: Page, wanted: tuple[str, ...], languages: tuple[str, ...], content: bytes | None = None
    ) -> Page:
        """`run` in a batch of one: for a page that was in a replica's hands when it died."""
        if content is not None:
            page.content = content
        (page,) = await self._in_thread([self._asked(page, wanted, languages)])
        return self._logged(page)

    def _asked(self, page: Page, wanted: tuple[str, ...], languages: tuple[str, ...]) -> _Asked:
        mine = tuple(name for name in self.stages if name in wanted)
        # Pages that are not read here go together whatever their languages.
        return _Asked(page, mine, languages if RECOGNITION in mine else ())

    def _logged(self, page: Page) -> Page:
        # Here, where Serve's log lines carry the request's id: inside a batch they do not.
        error = page.record.error
        if error is not None and error.stage in self.specs:
            logger.warning("page failed in %s: %s", error.stage, error.type)
        return page

    async def count_pages(self, name: str, content: bytes) -> int:
        """Pages of an encoded document; raises DocumentError. Here and not in the ingress: a parser may crash."""
        return await asyncio.to_thread(count_pages, BytesIO(content), name)

    async def describe(self) -> dict[str, dict[str, str]]:
        """{stage: {"name", "device", "precision"}} of the networks that are open."""
        networks = {name: network for stage in self.stages.values() for name, network in _networks(stage).items()}
        return {
            name: {"name": network.name, "device": network.device, "precision": network.precision}
            for name, network in networks.items()
        }

    async def check_health(self) -> None:
        """Called by Serve, which replaces a replica whose check fails."""
        if self.busy_since is not None and time.monotonic() - self.busy_since > self.stuck_after_s:
            raise RuntimeError(f"a batch takes longer than {self.stuck_after_s:g} s; the replica is replaced")

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0, max_concurrent_batches=1)
    async def _together(self, items: list[_Asked]) -> list[Page]:
        self.idle.clear()
        try:
            return await self._in_thread(items)
        finally:
            self.idle.set()

    async def _in_thread(self, items: list[_Asked]) -> list[Page]:
        reading = {asked.languages: await self._reading(asked.languages) for asked in items if asked.languages}
        return await asyncio.get_running_loop().run_in_executor(self.thread, self._timed, items, reading)

    async def _reading(self, languages: tuple[str, ...]) -> Stage:
        """The recognition stage for `languages`."""
        own = self.stages[RECOGNITION]
        if languages == own.languages:
            return own
        chosen = self.recognition.chosen(languages)
        opened = {bundle: own.opened.get(bundle) or await self._recognizer(bundle) for bundle in chosen}
        return own.for_languages(opened, chosen, languages)

    # Only opens what the configuration names: the id that Serve reads from a request's header is not looked at.
    @serve.multiplexed(max_num_models_per_replica=4)
    async def _recognizer(self, bundle: str) -> TextRecognizer:
        settings = self.specs[RECOGNITION].kwargs
        opening = (bundle, settings["device"], settings["threads"], settings["precision"], 0.0)
        return await asyncio.to_thread(TextRecognizer, *opening)

    def _timed(self, items: list[_Asked], reading: dict[tuple[str, ...], Stage]) -> list[Page]:
        self.busy_since = time.monotonic()
        try:
            return self._run(items, reading)
        finally:
            self.busy_since = None

    def _run(self, items: list[_Asked], reading: dict[tuple[str, ...], Stage]) -> list[Page]:
        for wanted, languages in dict.fromkeys((asked.wanted, asked.languages) for asked in items):
            stages = self.stages | ({RECOGNITION: reading[languages]} if languages else {})
            pages = [asked.page for asked in items if (asked.wanted, asked.languages) == (wanted, languages)]
            started = time.perf_counter()
            for _ in run_stages([(stages[name], self.specs[name].batch_size) for name in wanted], pages):
                pass
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
