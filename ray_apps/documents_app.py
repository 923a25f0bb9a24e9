"""The documents app: an ingress, and the reader's stages behind it in one deployment or several, as the YAML says.

ocray serve documents                        on this machine
serve deploy configs/serve/documents.yaml    on a cluster
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi_offline import FastAPIOffline
from ray import serve
from ray.serve.handle import DeploymentHandle

from models.bundle import Bundle
from pipelines.config import ConfigError, DocumentsConfig, load_config, validate
from pipelines.page import Page
from pipelines.stages.base import StageSpec
from pipelines.stages.straighten import UprightStage
from ray_apps.serving import openapi, problems
from ray_apps.serving.admission import Admission
from ray_apps.serving.answers import DeskewAnswer, DocumentAnswer, ReadPage, StraightenedPage
from ray_apps.serving.asked import Languages, Pages, UprightFormat, UprightSide, choose, take_document, within
from ray_apps.serving.chain import Chain, Unavailable
from ray_apps.serving.health import Readiness, health_routes
from ray_apps.serving.jobs.replica import JobsReplica
from ray_apps.serving.jobs.routes import job_routes
from ray_apps.serving.keys import KeyCheck
from ray_apps.serving.metrics import RequestMetrics
from ray_apps.serving.page import page_routes
from ray_apps.serving.problems import refused, request_id
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import AppSettings, check_groups
from ray_apps.serving.stages import RECOGNITION, StageReplica

# What /v1/deskew runs.
STRAIGHTEN = ("decode", "deskew", "orientation", "upright")


def build(args: dict[str, Any]) -> serve.Application:
    """The app, for `import_path` in `configs/serve/*.yaml`; `args` are `AppSettings`.

    Raises:
        ConfigError, BundleError.
    """
    settings = validate(AppSettings, args, "args")
    config = load_config(settings.reader)
    if not isinstance(config, DocumentsConfig):
        raise ConfigError(f"args.reader: {settings.reader} is of the {config.reader} reader; this app reads documents")
    if settings.languages is not None:
        config = config.for_languages(",".join(settings.languages))
    config.limits.max_megapixels = settings.limits.megapixels
    specs = {spec.stage.name: spec for spec in config.stages(settings.device, settings.threads)}
    check_groups(settings.stages, list(specs))
    # The image of the page turned upright is made where its orientation becomes known.
    specs["upright"] = StageSpec(UprightStage)
    groups = {
        name: [s for stage in stages for s in ([stage, "upright"] if stage == "orientation" else [stage])]
        for name, stages in settings.stages.items()
    }
    recognition = config.text_recognition
    bundles = [(stage, bundle) for stage, (bundle, *_) in config.open_bundles().items() if stage != RECOGNITION]
    bundles += [(RECOGNITION, bundle) for bundle in recognition.open_bundles(recognition.languages)]
    readers = {
        name: serve.deployment(StageReplica).options(name=name).bind([specs[stage] for stage in stages], recognition)
        for name, stages in groups.items()
    }
    jobs = serve.deployment(JobsReplica).options(name="jobs").bind(settings, readers, groups, config)
    return DocumentsIngress.bind(settings, readers, groups, config, bundles, jobs)


@serve.deployment(name="ingress")
@serve.ingress()
class DocumentsIngress:
    """The HTTP side of the app: takes requests in, sends pages through the readers, answers."""

    def __init__(
        self,
        settings: AppSettings,
        readers: dict[str, DeploymentHandle],
        groups: dict[str, list[str]],
        config: DocumentsConfig,
        bundles: list[tuple[str, Bundle]],
        jobs: DeploymentHandle,
    ):
        self.settings = settings
        self.chain = Chain(readers, groups, config)
        self.jobs = jobs
        self.readiness = Readiness({**readers, "jobs": jobs})
        self.bundles = bundles
        self.key = KeyCheck(settings.require_api_key)
        self.metrics = RequestMetrics()
        self.admission = Admission(settings.flow.requests, settings.flow.retry_after_s)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return api(self)


def api(service: "DocumentsIngress") -> FastAPI:
    """The HTTP API over a service."""
    settings, chain = service.settings, service.chain

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.readiness.watch()
        yield

    # Not FastAPI itself, whose /docs loads its scripts from elsewhere.
    app = FastAPIOffline(
        redoc_url=None,
        title="ocray documents",
        version="1",
        description=openapi.description(chain.languages, chain.recognition.languages),
        lifespan=lifespan,
    )
    problems.install(app, service.metrics)
    app.include_router(health_routes(service.readiness, service.bundles, service.key))
    app.include_router(page_routes())
    app.include_router(job_routes(service.jobs, chain, settings, service.key, service.admission, service.metrics))

    takes_document: dict[str, Any] = {
        "dependencies": [Depends(service.key)],
        "openapi_extra": openapi.DOCUMENT_BODY,
        "responses": problems.responses(400, 401, 408, 413, 415, 422, 503),
    }

    async def through(stages: Sequence[str], request: Request, **asked: Any) -> tuple[dict[str, Any], list[Page]]:
        """What both answers begin with, and the pages."""
        with service.admission.enter():
            document = await take_document(request, settings, chain, service.metrics)
            started = time.perf_counter()
            options = choose(document, chain, settings.limits.pages, **asked)
            pages = await read_pages(chain, document, options, stages, settings)
        total_ms = round((time.perf_counter() - started) * 1000, 3)
        return {"request_id": request_id(request), "document": document.info(), "total_ms": total_ms}, pages

    @app.post("/v1/documents", summary="Read a document", **takes_document)
    async def read_document(
        request: Request,
        pages: Pages = None,
        languages: Languages = None,
        upright: UprightFormat = "none",
        upright_max_side: UprightSide = 1600,
    ) -> DocumentAnswer:
        """Every page as the record the bulk job writes. A document of one page that cannot be read is a problem; of
        several pages, those that cannot be read have `status` `error`."""
        asked = {"pages": pages, "languages": languages, "upright": upright, "upright_max_side": upright_max_side}
        envelope, read = await through(chain.stages, request, **asked)
        return DocumentAnswer(**envelope, pages=[ReadPage.of(page) for page in read])

    @app.post("/v1/deskew", summary="Find how a document's pages are turned", **takes_document)
    async def deskew_document(
        request: Request,
        pages: Pages = None,
        upright: UprightFormat = "none",
        upright_max_side: UprightSide = 1600,
    ) -> DeskewAnswer:
        """Skew and orientation of every page, without reading it; with `upright`, the straightened page itself."""
        asked = {"pages": pages, "upright": upright, "upright_max_side": upright_max_side}
        envelope, straightened = await through(STRAIGHTEN, request, **asked)
        return DeskewAnswer(**envelope, pages=[StraightenedPage.of(page) for page in straightened])

    return app


async def read_pages(
    chain: Chain, document: Document, options: ReadOptions, stages: Sequence[str], settings: AppSettings
) -> list[Page]:
    """The pages asked for, through `stages`, a few at a time.

    Raises:
        Problem: 503 (readers full or gone, or too slow), and what is wrong with the document when it has one page.
    """
    turn = asyncio.Semaphore(settings.flow.pages_per_request)

    async def one(number: int) -> Page:
        async with turn:
            return await chain.read(document, number, options, stages)

    try:
        pages = await within(settings.flow.request_seconds, asyncio.gather(*map(one, options.pages)))
    except Unavailable as error:
        raise refused("readers", f"{error}; try again later", settings.flow.retry_after_s) from error
    if document.page_count == 1 and pages[0].record.error is not None:
        raise problems.page_problem(pages[0].record.error)
    return pages
