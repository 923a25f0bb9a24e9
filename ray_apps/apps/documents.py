"""The documents app: an ingress, and the reader's stages in one or more deployments, as the YAML sets.

ocray serve documents                        on this machine
serve deploy configs/serve/documents.yaml    on a cluster
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from ray import serve
from ray.serve.handle import DeploymentHandle

from models.bundle import Bundle
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.registry import load_reader
from pipelines.stages.base import StageSpec
from pipelines.stages.straighten import UprightStage
from ray_apps.serving import openapi
from ray_apps.serving.answers import DeskewAnswer, DocumentAnswer, ReadPage, StraightenedPage
from ray_apps.serving.chain import DocumentsChain
from ray_apps.serving.ingress import Ingress
from ray_apps.serving.jobs.replica import JobsReplica
from ray_apps.serving.jobs.routes import job_routes
from ray_apps.serving.parameters import Languages, Pages, UprightFormat, UprightSide, read_options
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import DocumentsSettings, served_reader
from ray_apps.serving.stages import RECOGNITION, stage_deployments

# The stages of /v1/deskew.
STRAIGHTEN = ("decode", "deskew", "orientation", "upright")


def build(args: DocumentsSettings) -> serve.Application:
    """Return the app, for `import_path` in `configs/serve/*.yaml`.

    Raises:
        ConfigError, BundleError.
    """
    reader = served_reader(load_reader(args.reader), DocumentsReader, args)
    if args.languages is not None:
        reader = reader.for_languages(",".join(args.languages))
    specs = {spec.stage.name: spec for spec in reader.stages(args.device, args.threads)}
    # The upright image is made in the deployment that finds the orientation.
    specs["upright"] = StageSpec(UprightStage)
    groups = {
        name: [s for stage in stages for s in ([stage, "upright"] if stage == "orientation" else [stage])]
        for name, stages in args.stages.items()
    }
    recognition = reader.settings.text_recognition
    bundles = [(stage, bundle) for stage, (bundle, *_) in reader.bundles().items() if stage != RECOGNITION]
    bundles += [(RECOGNITION, bundle) for bundle in reader.recognizer_bundles(recognition.languages)]
    deployments = stage_deployments(groups, specs, recognition)
    jobs = serve.deployment(name="jobs")(JobsReplica).bind(args, deployments, groups, reader)
    return _INGRESS.bind(args, deployments, groups, reader, bundles, jobs)


class DocumentsIngress(Ingress[DocumentsSettings, DocumentsChain]):
    """The HTTP side of the app, with jobs for long documents."""

    def __init__(
        self,
        settings: DocumentsSettings,
        deployments: dict[str, DeploymentHandle],
        groups: dict[str, list[str]],
        reader: DocumentsReader,
        bundles: list[tuple[str, Bundle]],
        jobs: DeploymentHandle,
    ):
        chain = DocumentsChain(deployments, groups, reader)
        super().__init__(settings, chain, {**deployments, "jobs": jobs}, bundles)
        self.jobs = jobs

    def __serve_build_asgi_app__(self) -> FastAPI:
        return api(self)


_INGRESS = serve.deployment(name="ingress")(serve.ingress()(DocumentsIngress))


def api(service: DocumentsIngress) -> FastAPI:
    """Return the HTTP API over a service."""
    settings, chain = service.settings, service.chain
    described = openapi.documents(chain.languages, chain.recognition.languages)
    app = service.app("documents", described, beside={"meters": settings.meters_prefix})
    app.include_router(job_routes(service.jobs, chain, settings, service.key, service.admission, service.metrics))

    def chosen(**options: Any) -> Callable[[Document], ReadOptions]:
        return lambda document: read_options(document, chain, settings.limits.pages, **options)

    @app.post("/v1/documents", summary="Read a document", **service.document_route())
    async def read_document(
        request: Request,
        pages: Pages = None,
        languages: Languages = None,
        upright: UprightFormat = "none",
        upright_max_side: UprightSide = 1600,
    ) -> DocumentAnswer:
        """Every page as the record the bulk job writes. A document of one page that cannot be read is a problem; of
        several pages, those that cannot be read have `status` `error`."""
        options = {"pages": pages, "languages": languages, "upright": upright, "upright_max_side": upright_max_side}
        handled = await service.handle(request, chosen(**options))
        return DocumentAnswer(**handled.envelope, pages=[ReadPage.of(page) for page in handled.pages])

    @app.post("/v1/deskew", summary="Find how a document's pages are turned", **service.document_route())
    async def deskew_document(
        request: Request,
        pages: Pages = None,
        upright: UprightFormat = "none",
        upright_max_side: UprightSide = 1600,
    ) -> DeskewAnswer:
        """Skew and orientation of every page, without reading it; with `upright`, the straightened page itself."""
        options = {"pages": pages, "upright": upright, "upright_max_side": upright_max_side}
        handled = await service.handle(request, chosen(**options), stages=STRAIGHTEN)
        return DeskewAnswer(**handled.envelope, pages=[StraightenedPage.of(page) for page in handled.pages])

    return app
