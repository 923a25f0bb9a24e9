"""The meters app: an ingress, and behind it the stages that read photos of meters.

ocray serve meters                        on this machine
serve deploy configs/serve/meters.yaml    on a cluster
"""

import asyncio
from typing import Annotated

from fastapi import FastAPI, Query, Request
from ray import serve

from pipelines.page import Page
from pipelines.readers.meters.reader import MetersReader
from pipelines.readers.meters.record import MeterRecord
from ray_apps.serving import openapi
from ray_apps.serving.answers import MeterAnswer, MeterPage, RecognizeAnswer
from ray_apps.serving.app import ServedReader, reader_app
from ray_apps.serving.parameters import Pages
from ray_apps.serving.photos import MaxRate, MeterId, PhotoForm, PixelForm, Time, judge_record
from ray_apps.serving.problems import Problem
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import MetersSettings


def build(args: MetersSettings) -> serve.Application:
    """Return the app, for `import_path` in `configs/serve/*.yaml`.

    Raises:
        ConfigError, BundleError.
    """
    return reader_app(args, MetersReader, api)


def api(service: ServedReader[MetersReader]) -> FastAPI:
    """Return the HTTP API over a service."""
    app = service.app("meters", openapi.METERS, beside={})

    @app.post(
        "/v1/meters",
        summary="Read photos of meters",
        **service.document_route(openapi.body(PhotoForm, "the photo; of a document of several pages, each is one")),
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
        but `history` may be in the query instead. With `time` and `history` each reading has a `judgement`."""
        handled = await service.handle(request, service.select(pages), PhotoForm)
        query = {"meter_id": meter_id, "time": time, "max_rate": max_rate}
        form = handled.form.model_copy(
            update={name: value for name, value in query.items() if getattr(handled.form, name) is None}
        )
        if form.history is not None and form.time is None:
            raise Problem(422, "a history needs the `time` of the photo: say when it was taken")
        max_rate = form.max_rate or service.reader.settings.max_rate
        answered = [_meter_page(page, form, max_rate) for page in handled.pages]
        return MeterAnswer(**handled.envelope, pages=await asyncio.gather(*answered))

    @app.post(
        "/recognize",
        summary="Read one photo, in the fields of the counter recognition server",
        **service.document_route(
            openapi.body(PixelForm, "the photo, or its pixels: [height][width][3] of 0 to 255, RGB")
        ),
    )
    async def recognize(request: Request) -> RecognizeAnswer:
        """For clients of that server: the body may be the RGB image itself as nested JSON lists. A reading that may not
        be used is answered with 200, `success` false, an empty `text` and a `reason`."""

        def one(document: Document) -> ReadOptions:
            if document.page_count != 1:
                raise Problem(422, f"the document has {document.page_count} pages; send one photo, or ask /v1/meters")
            return service.select(None)(document)

        handled = await service.handle(request, one, PixelForm)
        record = handled.pages[0].record
        return RecognizeAnswer(
            original_image_shape=[record.height, record.width, 3],
            success=record.success,
            text=record.reading if record.success else "",
            counter_class=record.meter_class,
            counter_score=record.class_confidence or 0.0,
            time=handled.envelope["total_ms"] / 1000,
            reason=record.reason,
        )

    return app


async def _meter_page(page: Page[MeterRecord], form: PhotoForm, max_rate: float | None) -> MeterPage:
    record = page.record
    record.meter_id, record.time = form.meter_id, form.time
    judgement = None
    if form.history is not None and record.error is None:
        # Long histories take their time, and others wait for this process.
        judgement = await asyncio.to_thread(judge_record, record, form.history, max_rate)
    return MeterPage.model_construct(**dict(record), judgement=judgement)
