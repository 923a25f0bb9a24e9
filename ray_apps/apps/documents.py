"""The documents app: an ingress, and the reader's stages behind it in one deployment or several, as the YAML says.

ocray serve documents                        on this machine
serve deploy configs/serve/documents.yaml    on a cluster
"""

from typing import Any

from fastapi import Depends, FastAPI, Request
from ray import serve
from ray.serve.handle import DeploymentHandle

from models.bundle import Bundle
from pipelines.config import DocumentsConfig, load_config
from pipelines.stages.base import StageSpec
from pipelines.stages.straighten import UprightStage
from ray_apps.serving import openapi, problems
from ray_apps.serving.answers import DeskewAnswer, DocumentAnswer, ReadPage, StraightenedPage
from ray_apps.serving.asked import Languages, Pages, UprightFormat, UprightSide, choose
from ray_apps.serving.chain import DocumentsChain
from ray_apps.serving.ingress import Ingress
from ray_apps.serving.jobs.replica import JobsReplica
from ray_apps.serving.jobs.routes import job_routes
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import DocumentsSettings, served_reader
from ray_apps.serving.stages import RECOGNITION, stage_deployments

# What /v1/deskew runs.
STRAIGHTEN = ("decode", "deskew", "orientation", "upright")


def build(args: DocumentsSettings) -> serve.Application:
    """The app, for `import_path` in `configs/serve/*.yaml`.

    Raises:
        ConfigError, BundleError.
    """
    config = served_reader(load_config(args.reader), DocumentsConfig, args)
    if args.languages is not None:
        config = config.for_languages(",".join(args.languages))
    specs = {spec.stage.name: spec for spec in config.stages(args.device, args.threads)}
    # The image of the page turned upright is made where its orientation becomes known.
    specs["upright"] = StageSpec(UprightStage)
    groups = {
        name: [s for stage in stages for s in ([stage, "upright"] if stage == "orientation" else [stage])]
        for name, stages in args.stages.items()
    }
    recognition = config.text_recognition
    bundles = [(stage, bundle) for stage, (bundle, *_) in config.open_bundles().items() if stage != RECOGNITION]
    bundles += [(RECOGNITION, bundle) for bundle in recognition.open_bundles(recognition.languages)]
    readers = stage_deployments(groups, specs, recognition)
    jobs = serve.deployment(JobsReplica).options(name="jobs").bind(args, readers, groups, config)
    return DocumentsIngress.bind(args, readers, groups, config, bundles, jobs)


@serve.deployment(name="ingress")
@serve.ingress()
class DocumentsIngress(Ingress):
    """The HTTP side of the app: takes requests in, sends pages through the readers, answers."""

    def __init__(
        self,
        settings: DocumentsSettings,
        readers: dict[str, DeploymentHandle],
        groups: dict[str, list[str]],
        config: DocumentsConfig,
        bundles: list[tuple[str, Bundle]],
        jobs: DeploymentHandle,
    ):
        chain = DocumentsChain(readers, groups, config)
        super().__init__(settings, chain, {**readers, "jobs": jobs}, bundles)
        self.jobs = jobs

    def __serve_build_asgi_app__(self) -> FastAPI:
        return api(self)


def api(service: "DocumentsIngress") -> FastAPI:
    """The HTTP API over a service."""
    settings, chain = service.settings, service.chain
    described = openapi.documents(chain.languages, chain.recognition.languages)
    app = service.app("documents", described, beside={"meters": settings.meters_prefix})
    app.include_router(job_routes(service.jobs, chain, settings, service.key, service.admission, service.metrics))

    takes_document: dict[str, Any] = {
        "dependencies": [Depends(service.key)],
        "openapi_extra": openapi.DOCUMENT_BODY,
        "responses": problems.responses(400, 401, 408, 413, 415, 422, 503),
    }

    def chosen(document: Document, **asked: Any) -> ReadOptions:
        return choose(document, chain, settings.limits.pages, **asked)

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
        read = await service.through(chain.stages, request, lambda document: chosen(document, **asked))
        return DocumentAnswer(**read.envelope, pages=[ReadPage.of(page) for page in read.pages])

    @app.post("/v1/deskew", summary="Find how a document's pages are turned", **takes_document)
    async def deskew_document(
        request: Request,
        pages: Pages = None,
        upright: UprightFormat = "none",
        upright_max_side: UprightSide = 1600,
    ) -> DeskewAnswer:
        """Skew and orientation of every page, without reading it; with `upright`, the straightened page itself."""
        asked = {"pages": pages, "upright": upright, "upright_max_side": upright_max_side}
        read = await service.through(STRAIGHTEN, request, lambda document: chosen(document, **asked))
        return DeskewAnswer(**read.envelope, pages=[StraightenedPage.of(page) for page in read.pages])

    return app
