"""The HTTP side of every served reader: receives documents, sends their pages through the reader's deployments, and
has the routes that all apps share.
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
from ray_apps.serving.chain import Chain, Unavailable
from ray_apps.serving.gate import Gate, GateState
from ray_apps.serving.health import Readiness, health_routes
from ray_apps.serving.keys import KeyCheck, client
from ray_apps.serving.metrics import RequestMetrics
from ray_apps.serving.page import page_routes
from ray_apps.serving.parameters import receive_document, select_pages, with_timeout
from ray_apps.serving.problems import refused, request_id
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import AppSettings
from ray_apps.serving.uploads import JsonDocument

_Form = TypeVar("_Form", bound=JsonDocument)
_Settings = TypeVar("_Settings", bound=AppSettings)
_Chain = TypeVar("_Chain", bound=Chain)


@dataclass(frozen=True)
class Handled(Generic[_Form]):
    """A request whose pages were read: the first fields of its response, the form that came with it, and its pages."""

    envelope: dict[str, Any]
    form: _Form
    pages: list[Page[Any]]


class Ingress(Generic[_Settings, _Chain]):
    """Receives requests and sends pages through the reader. Created in a replica of the ingress deployment.

    Args:
        settings: of the app.
        chain: the reader's deployments.
        deployments: handles of all deployments that must run before the app is ready.
        bundles: (stage, bundle) pairs of the app's models.
    """

    def __init__(
        self,
        settings: _Settings,
        chain: _Chain,
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
        """Accept no more requests, and return how many are still being answered. The server calls this in every replica
        until none is left."""
        self.gate.ends = self.readiness.ends = True
        return self.gate.inside

    def app(self, reads: str, description: str, beside: Mapping[str, str | None] | None = None) -> FastAPI:
        """Return an app with the routes that all apps share. `reads` and `beside` are those of `page_routes`; without
        `beside` the app has no page for browsers, which shows only documents and meters."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            self.readiness.watch()
            ingresses = asyncio.create_task(self.admission.watch_ingresses())
            yield
            ingresses.cancel()

        # Not FastAPI itself, whose /docs loads scripts from other hosts.
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
        """Return FastAPI's arguments of a route that receives a document: its key, its body, its errors."""
        return {
            "dependencies": [Depends(self.key)],
            "openapi_extra": dict(body),
            "responses": problems.responses(400, 401, 408, 413, 415, 422, 503),
        }

    def select(self, pages: str | None) -> Callable[[Document], ReadOptions]:
        """Return a function that selects the requested pages of a document: `1-3,7`, or all. It raises what
        `select_pages` raises."""
        return lambda document: ReadOptions(pages=select_pages(document, pages, self.settings.limits.pages))

    async def handle(
        self,
        request: Request,
        choose: Callable[[Document], ReadOptions],
        form: type[_Form] = JsonDocument,
        stages: Sequence[str] | None = None,
    ) -> Handled[_Form]:
        """Receive a request's document, and send the pages that `choose` selects through `stages` (None: all).

        Raises:
            Problem: what `receive_document`, `choose` and `read` raise; 503 (too many requests).
        """
        with self.admission.receiving(client(request)) as request.state.arriving:
            document, completed = await receive_document(request, self.settings, self.chain, self.metrics, form)
        with self.admission.reading(client(request)):
            started = time.perf_counter()
            pages = await self.read(document, choose(document), stages or self.chain.stages)
        total_ms = round((time.perf_counter() - started) * 1000, 3)
        envelope = {"request_id": request_id(request), "document": document.info(), "total_ms": total_ms}
        return Handled(envelope, completed, pages)

    async def read(self, document: Document, options: ReadOptions, stages: Sequence[str]) -> list[Page[Any]]:
        """Read the requested pages through `stages`, a few at a time.

        Raises:
            Problem: 503 (readers full, gone or too slow); the page's error, if the document has one page.
        """
        flow = self.settings.flow
        slots = asyncio.Semaphore(flow.pages_per_request)

        async def one(number: int) -> Page[Any]:
            async with slots:
                return await self.chain.read(document, number, options, stages)

        try:
            pages = await with_timeout(
                flow.request_seconds, asyncio.gather(*map(one, options.pages)), len(options.pages)
            )
        except Unavailable as error:
            raise refused("readers", f"{error}; try again later", flow.retry_after_s) from error
        if document.page_count == 1 and pages[0].record.error is not None:
            raise problems.page_problem(pages[0].record.error)
        return pages
