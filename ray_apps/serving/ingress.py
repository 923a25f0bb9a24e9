"""What the HTTP sides of served readers have in common: taking documents on, sending their pages through the readers,
and the routes that every app has.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from ray.serve.handle import DeploymentHandle

from common.ray_private import replica_listens_on_node_address
from models.bundle import Bundle
from pipelines.page import Page
from ray_apps.serving import openapi, problems
from ray_apps.serving.admission import Admission
from ray_apps.serving.asked import choose_pages, take_document, within
from ray_apps.serving.chain import Chain, Unavailable
from ray_apps.serving.gate import Gate, GateState
from ray_apps.serving.health import Readiness, health_routes
from ray_apps.serving.keys import KeyCheck, client
from ray_apps.serving.metrics import RequestMetrics
from ray_apps.serving.page import page_routes
from ray_apps.serving.problems import refused, request_id
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import AppSettings
from ray_apps.serving.uploads import JsonDocument

_Form = TypeVar("_Form", bound=JsonDocument)


@dataclass(frozen=True)
class Handled(Generic[_Form]):
    """A request whose pages were read: what its answer begins with, the form that came with its document, its pages."""

    envelope: dict[str, Any]
    form: _Form
    pages: list[Page[Any]]


class Ingress:
    """Takes requests in and sends pages through the readers. Made in a replica of the ingress deployment.

    Args:
        settings: of the app.
        chain: its readers.
        deployments: handles of all that must answer before the app is ready.
        bundles: (stage, bundle) of everything that reads.
    """

    def __init__(
        self,
        settings: AppSettings,
        chain: Chain,
        deployments: dict[str, DeploymentHandle],
        bundles: list[tuple[str, Bundle]],
    ):
        replica_listens_on_node_address()
        self.settings, self.chain, self.bundles = settings, chain, bundles
        self.readiness = Readiness(deployments)
        self.key = KeyCheck(settings.require_api_key)
        self.metrics = RequestMetrics()
        self.admission = Admission(settings.flow)
        self.gate = GateState()

    async def drain(self) -> int:
        """Take no more requests on. Returns how many are being answered still. Called in every replica when the server
        ends, again and again."""
        self.gate.ends = self.readiness.ends = True
        return self.gate.inside

    def app(self, reads: str, description: str, beside: Mapping[str, str | None] | None = None) -> FastAPI:
        """Return an app with the routes that all have; `reads` and `beside` as `page_routes` takes them. Without
        `beside` it has no page for browsers, which shows documents and meters only."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            self.readiness.watch()
            yield

        # Not FastAPI itself, whose /docs loads its scripts from elsewhere.
        app = FastAPIOffline(
            redoc_url=None, title=f"ocray {reads}", version="1", description=description, lifespan=lifespan
        )
        if self.settings.cors_origins:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=self.settings.cors_origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["Location", "Retry-After", "X-Request-ID"],
            )
        app.add_middleware(Gate, hosts=self.settings.allowed_hosts, state=self.gate, metrics=self.metrics)
        problems.install(app, self.metrics)
        app.include_router(health_routes(self.readiness, self.bundles, self.key))
        if beside is not None:
            app.include_router(page_routes(reads, beside))
        return app

    def document_route(self, body: Mapping[str, Any] = openapi.DOCUMENT_BODY) -> dict[str, Any]:
        """Return what FastAPI takes for a route that a document is sent to: its key, its body, its errors."""
        return {
            "dependencies": [Depends(self.key)],
            "openapi_extra": dict(body),
            "responses": problems.responses(400, 401, 408, 413, 415, 422, 503),
        }

    def select(self, pages: str | None) -> Callable[[Document], ReadOptions]:
        """Return what picks the requested pages of a document: `1-3,7`, or all. It raises what `choose_pages` does."""
        return lambda document: ReadOptions(pages=choose_pages(document, pages, self.settings.limits.pages))

    async def handle(
        self,
        request: Request,
        choose: Callable[[Document], ReadOptions],
        form: type[_Form] = JsonDocument,
        stages: Sequence[str] | None = None,
    ) -> Handled[_Form]:
        """Take a request's document on, and send the pages that `choose` picks through `stages` (None: all).

        Raises:
            Problem: what `take_document`, `choose` and `read` raise; 503 (too many requests).
        """
        with self.admission.receiving(client(request)) as request.state.arriving:
            document, filled = await take_document(request, self.settings, self.chain, self.metrics, form)
        with self.admission.reading(client(request)):
            started = time.perf_counter()
            pages = await self.read(document, choose(document), stages or self.chain.stages)
        total_ms = round((time.perf_counter() - started) * 1000, 3)
        envelope = {"request_id": request_id(request), "document": document.info(), "total_ms": total_ms}
        return Handled(envelope, filled, pages)

    async def read(self, document: Document, options: ReadOptions, stages: Sequence[str]) -> list[Page[Any]]:
        """Read the requested pages, through `stages`, a few at a time.

        Raises:
            Problem: 503 (readers full or gone, or too slow), and what is wrong with the document when it has one page.
        """
        flow = self.settings.flow
        turn = asyncio.Semaphore(flow.pages_per_request)

        async def one(number: int) -> Page[Any]:
            async with turn:
                return await self.chain.read(document, number, options, stages)

        try:
            pages = await within(flow.request_seconds, asyncio.gather(*map(one, options.pages)), len(options.pages))
        except Unavailable as error:
            raise refused("readers", f"{error}; try again later", flow.retry_after_s) from error
        if document.page_count == 1 and pages[0].record.error is not None:
            raise problems.page_problem(pages[0].record.error)
        return pages
