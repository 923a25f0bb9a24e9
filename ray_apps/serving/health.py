"""Routes for probes: whether an app is alive and ready, and which models it runs."""

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

_PERIOD_SECONDS = 10.0
# A check waits behind pages: a busy deployment must not count as dead.
_TIMEOUT_SECONDS = 60.0
logger = logging.getLogger("ray.serve")


class HealthAnswer(Answer):
    status: str
    seconds_up: float


class ReadyAnswer(Answer):
    status: str
    deployments: dict[str, dict[str, dict[str, str]]]
    troubles: list[str] = Field(default=[], description="what does not work at the moment, though the app is ready")


class Readiness:
    """Checks in the background what the deployments run, so that probes are answered at once."""

    def __init__(self, handles: dict[str, DeploymentHandle]):
        self.handles = handles
        self.started = time.monotonic()
        self.ends = False
        self.deployments: dict[str, dict[str, dict[str, str]] | None] = dict.fromkeys(handles)
        self._watches: list[asyncio.Task] = []

    def watch(self) -> None:
        """Start the checks; call this from a running event loop."""
        self._watches = self._watches or [asyncio.create_task(self._watch(name)) for name in self.handles]

    async def _watch(self, name: str) -> None:
        while True:
            try:
                self.deployments[name] = await asyncio.wait_for(self.handles[name].describe.remote(), _TIMEOUT_SECONDS)
            except Exception as error:
                logger.warning("deployment %s does not answer: %r", name, error)
                self.deployments[name] = None
            # Often at first: clients that wait for a start poll /readyz.
            await asyncio.sleep(_PERIOD_SECONDS if self.deployments[name] else 0.5)

    def missing(self) -> list[str]:
        """Return the deployments that did not answer the last check."""
        return [name for name, found in self.deployments.items() if found is None]

    def troubles(self) -> list[str]:
        """Return what running deployments reported as not working."""
        parts = [part for found in self.deployments.values() for part in (found or {}).values()]
        return [part["trouble"] for part in parts if "trouble" in part]

    def device(self, stage: str) -> str:
        """Return the device and precision of a stage's network; empty while unknown."""
        networks = {name: part for parts in self.deployments.values() for name, part in (parts or {}).items()}
        return f"{networks[stage]['device']} {networks[stage]['precision']}" if stage in networks else ""


def health_routes(readiness: Readiness, bundles: list[tuple[str, Bundle]], key: KeyCheck) -> APIRouter:
    """Return the routes `/healthz`, `/readyz` and `/v1/models`; `bundles` are the (stage, bundle) pairs of the app."""
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
        return ReadyAnswer(
            status="ready",
            deployments={name: parts or {} for name, parts in readiness.deployments.items()},
            troubles=readiness.troubles(),
        )

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
