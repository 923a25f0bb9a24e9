"""Whether an app is alive and ready, and which models read."""

import asyncio
import logging
import time

from fastapi import APIRouter, Depends
from pydantic import Field
from ray.serve.handle import DeploymentHandle

from models.bundle import Bundle
from models.text_recognition.languages import bundle_languages
from ray_apps.serving.answers import Answer, ModelAnswer
from ray_apps.serving.keys import KeyCheck
from ray_apps.serving.problems import refused, responses

_BETWEEN_LOOKS = 10.0  # s
# A look waits its turn behind pages, so a busy deployment must not count as a dead one.
_PATIENCE = 60.0  # s
logger = logging.getLogger("ray.serve")


class HealthAnswer(Answer):
    status: str
    seconds_up: float


class ReadyAnswer(Answer):
    status: str
    deployments: dict[str, dict[str, dict[str, str]]]
    troubles: list[str] = Field(default=[], description="what does not work at the moment, beside what does")


class Readiness:
    """Asks the deployments in the background what they run, so that a probe is answered at once."""

    def __init__(self, handles: dict[str, DeploymentHandle]):
        self.handles = handles
        self.started = time.monotonic()
        self.ends = False
        self.deployments: dict[str, dict[str, dict[str, str]] | None] = dict.fromkeys(handles)
        self._watches: list[asyncio.Task] = []

    def watch(self) -> None:
        """Start looking; called from a running event loop."""
        self._watches = self._watches or [asyncio.create_task(self._watch(name)) for name in self.handles]

    async def _watch(self, name: str) -> None:
        while True:
            try:
                self.deployments[name] = await asyncio.wait_for(self.handles[name].describe.remote(), _PATIENCE)
            except Exception as error:
                logger.warning("deployment %s does not answer: %r", name, error)
                self.deployments[name] = None
            # Quickly at first: whoever waits for a start polls /readyz.
            await asyncio.sleep(_BETWEEN_LOOKS if self.deployments[name] else 0.5)

    def missing(self) -> list[str]:
        """Deployments that did not answer last time."""
        return [name for name, found in self.deployments.items() if found is None]

    def troubles(self) -> list[str]:
        """What deployments said last time that does not work, though they do."""
        parts = [part for found in self.deployments.values() for part in (found or {}).values()]
        return [part["trouble"] for part in parts if "trouble" in part]

    def device(self, stage: str) -> str:
        """Device and precision a stage's network runs on; empty while unknown."""
        found = {name: model for models in self.deployments.values() for name, model in (models or {}).items()}
        return f"{found[stage]['device']} {found[stage]['precision']}" if stage in found else ""


def health_routes(readiness: Readiness, bundles: list[tuple[str, Bundle]], key: KeyCheck) -> APIRouter:
    """`/healthz`, `/readyz` and `/v1/models`; `bundles` are (stage, bundle) of everything that reads."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Whether the HTTP side is alive")
    async def healthz() -> HealthAnswer:
        return HealthAnswer(status="alive", seconds_up=round(time.monotonic() - readiness.started, 1))

    @router.get("/readyz", summary="Whether all deployments answer", responses=responses(503))
    async def readyz() -> ReadyAnswer:
        if readiness.ends:
            raise refused("ending", "not ready: the server is shutting down", retry_after_s=5)
        missing = readiness.missing()
        if missing:
            raise refused("starting", f"not ready: {', '.join(missing)} does not answer yet", retry_after_s=2)
        return ReadyAnswer(status="ready", deployments=readiness.deployments, troubles=readiness.troubles())

    @router.get("/v1/models", summary="The models that read", dependencies=[Depends(key)], responses=responses(401))
    async def models() -> list[ModelAnswer]:
        return [_model(stage, bundle, readiness.device(stage)) for stage, bundle in bundles]

    return router


def _model(stage: str, bundle: Bundle, device: str) -> ModelAnswer:
    card = bundle.card
    return ModelAnswer(
        stage=stage,
        name=bundle.name,
        task=card.task,
        architecture=card.architecture,
        languages=list(bundle_languages(bundle)),
        licence=card.licence,
        training_data=card.training.data,
        metrics=[metric.model_dump() for metric in card.metrics],
        device=device,
    )
