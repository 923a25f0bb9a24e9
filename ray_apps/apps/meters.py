"""The meters app: an ingress, and behind it the stages that read photos of meters.

ocray serve meters                        on this machine
serve deploy configs/serve/meters.yaml    on a cluster
"""

import asyncio
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from ray import serve
from ray.serve.handle import DeploymentHandle

from models.bundle import Bundle
from pipelines.config import load_config
from pipelines.meters import MetersConfig
from pipelines.page import Page
from ray_apps.serving import openapi, problems
from ray_apps.serving.answers import MeterAnswer, MeterPage, RecognizeAnswer
from ray_apps.serving.asked import Pages, choose_pages
from ray_apps.serving.chain import Chain
from ray_apps.serving.ingress import Ingress
from ray_apps.serving.photos import MaxRate, MeterId, PhotoForm, PixelForm, Time, judge_record
from ray_apps.serving.problems import Problem
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import MetersSettings, served_reader
from ray_apps.serving.stages import stage_deployments


def build(args: MetersSettings) -> serve.Application:
    """The app, for `import_path` in `configs/serve/*.yaml`.

    Raises:
        ConfigError, BundleError.
    """
    config = served_reader(load_config(args.reader), MetersConfig, args)
    specs = {spec.stage.name: spec for spec in config.stages(args.device, args.threads)}
    bundles = [(stage, bundle) for stage, (bundle,) in config.open_bundles().items()]
    return MetersIngress.bind(args, stage_deployments(args.stages, specs), args.stages, config, bundles)


@serve.deployment(name="ingress")
@serve.ingress()
class MetersIngress(Ingress):
    """The HTTP side of the app: takes photos in, sends them through the readers, answers."""

    def __init__(
        self,
        settings: MetersSettings,
        readers: dict[str, DeploymentHandle],
        groups: dict[str, list[str]],
        config: MetersConfig,
        bundles: list[tuple[str, Bundle]],
    ):
        super().__init__(settings, Chain(readers, groups, config), readers, bundles)
        self.max_rate = config.max_rate

    def __serve_build_asgi_app__(self) -> FastAPI:
        return api(self)


def api(service: "MetersIngress") -> FastAPI:
    """The HTTP API over a service."""
    app = service.app("meters", openapi.METERS, beside={})
    takes_photo: dict[str, Any] = {
        "dependencies": [Depends(service.key)],
        "responses": problems.responses(400, 401, 408, 413, 415, 422, 503),
    }

    def chosen(document: Document, pages: str | None) -> ReadOptions:
        return ReadOptions(pages=choose_pages(document, pages, service.settings.limits.pages))

    @app.post(
        "/v1/meters",
        summary="Read photos of meters",
        openapi_extra=openapi.body(PhotoForm, "the photo; of a document of several pages, each is one"),
        **takes_photo,
    )
    async def read_meters(
        request: Request,
        pages: Pages = None,
        meter_id: Annotated[MeterId | None, Query()] = None,
        time: Annotated[Time | None, Query()] = None,
        max_rate: Annotated[MaxRate | None, Query()] = None,
    ) -> MeterAnswer:
        """Every photo as the record the bulk job writes. A reading that may not be used is answered with 200, `success`
        false and a `reason`; a photo that cannot be opened is a problem.

        `meter_id`, `time`, `max_rate` and `history` may be further parts of the form or members of the JSON body; all
        but `history` may stand in the query instead. With `time` and `history` each reading has a `judgement`."""
        read = await service.through(service.chain.stages, request, lambda photo: chosen(photo, pages), PhotoForm)
        asked = {"meter_id": meter_id, "time": time, "max_rate": max_rate}
        said = read.form.model_copy(
            update={name: value for name, value in asked.items() if getattr(read.form, name) is None}
        )
        if said.history is not None and said.time is None:
            raise Problem(422, "a history needs the `time` of the photo: say when it was taken")
        answered = [_meter_page(page, said, service.max_rate) for page in read.pages]
        return MeterAnswer(**read.envelope, pages=await asyncio.gather(*answered))

    @app.post(
        "/recognize",
        summary="Read one photo, in the fields of the counter recognition server",
        openapi_extra=openapi.body(PixelForm, "the photo, or its pixels: [height][width][3] of 0 to 255, RGB"),
        **takes_photo,
    )
    async def recognize(request: Request) -> RecognizeAnswer:
        """For clients of that server: the body may be the RGB image itself as nested JSON lists. A reading that may not
        be used is answered with 200, `success` false, an empty `text` and a `reason`."""

        def one(document: Document) -> ReadOptions:
            if document.page_count != 1:
                raise Problem(422, f"the document has {document.page_count} pages; send one photo, or ask /v1/meters")
            return chosen(document, None)

        read = await service.through(service.chain.stages, request, one, PixelForm)
        record = read.pages[0].record
        return RecognizeAnswer(
            original_image_shape=[record.height, record.width, 3],
            success=record.success,
            text=record.reading if record.success else "",
            counter_class=record.meter_class,
            counter_score=record.class_confidence or 0.0,
            time=read.envelope["total_ms"] / 1000,
            reason=record.reason,
        )

    return app


async def _meter_page(page: Page, said: PhotoForm, max_rate: float | None) -> MeterPage:
    record = page.record
    record.meter_id, record.time = said.meter_id, said.time
    judgement = None
    if said.history is not None and record.error is None:
        # Long histories take their time, and others wait for this process.
        judgement = await asyncio.to_thread(judge_record, record, said.history, said.max_rate or max_rate)
    return MeterPage.model_construct(**dict(record), judgement=judgement)
