"""`/v1/jobs`: documents that take longer than a request should."""

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle

from ray_apps.serving import openapi
from ray_apps.serving.admission import Admission
from ray_apps.serving.answers import JobAnswer, JobResultAnswer
from ray_apps.serving.chain import DocumentsChain
from ray_apps.serving.jobs.record import JobNotFound
from ray_apps.serving.jobs.runner import JobsFull, KeyReused
from ray_apps.serving.jobs.store_calls import StoreFails
from ray_apps.serving.keys import KeyCheck, client, owner
from ray_apps.serving.metrics import RequestMetrics
from ray_apps.serving.parameters import (
    Languages,
    Pages,
    UprightFormat,
    UprightSide,
    read_options,
    receive_document,
    with_timeout,
)
from ray_apps.serving.problems import Problem, refused, responses
from ray_apps.serving.settings import DocumentsSettings

JobId = Annotated[str, Path(max_length=200, description="as POST /v1/jobs answered it")]
_Result = TypeVar("_Result")


def job_routes(
    jobs: DeploymentHandle,
    chain: DocumentsChain,
    settings: DocumentsSettings,
    key: KeyCheck,
    admission: Admission,
    metrics: RequestMetrics,
) -> APIRouter:
    """Routes over a deployment of `JobsReplica`."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(key)], responses=responses(401, 503))

    async def ask(work: Awaitable[_Result]) -> _Result:
        """Return the answer of the jobs deployment; turn its exceptions into problems."""
        try:
            return await with_timeout(settings.flow.request_seconds, work)
        except RayTaskError as error:
            raise _problem(error.cause, settings.flow.retry_after_s) from error
        except (RayError, BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError) as error:
            raise refused("readers", "jobs are restarting; try again later", settings.flow.retry_after_s) from error

    def base(request: Request) -> str:
        return f"{request.scope.get('root_path', '')}/v1/jobs"

    @router.post(
        "",
        status_code=202,
        summary="Read a long document in the background",
        openapi_extra=openapi.DOCUMENT_BODY,
        responses=responses(400, 408, 409, 413, 415, 422, 429, 507),
    )
    async def submit(
        request: Request,
        response: Response,
        pages: Pages = None,
        languages: Languages = None,
        upright: UprightFormat = "none",
        upright_max_side: UprightSide = 1600,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> JobAnswer:
        """Accept the document and return where to ask for it. A known `Idempotency-Key` returns its job again, so that
        a request whose response was lost can be repeated."""
        with admission.receiving(client(request)) as request.state.arriving:
            document, _ = await receive_document(request, settings, chain, metrics)
            options = read_options(
                document, chain, settings.limits.job_pages, pages, languages, upright, upright_max_side
            )
            record = await ask(jobs.submit.remote(document, options, idempotency_key, owner(request)))
        answer = record.answer(base(request))
        response.headers["Location"] = answer.status_url
        return answer

    @router.get("/{job_id}", summary="How far a job is", responses=responses(404, 422))
    async def status(request: Request, job_id: JobId) -> JobAnswer:
        return (await ask(jobs.job.remote(job_id, owner(request)))).answer(base(request))

    @router.get("/{job_id}/result", summary="The pages a job has read", responses=responses(404, 422))
    async def result(
        request: Request,
        job_id: JobId,
        offset: Annotated[int, Query(ge=0, le=10**9, description="pages to pass over")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000, description="pages at most")] = 100,
    ) -> JobResultAnswer:
        """Pages in order, also while the job runs: `next_offset` says where the next ones begin, null when there will
        be none."""
        return (await ask(jobs.result.remote(job_id, offset, limit, owner(request)))).answer(base(request))

    @router.post("/{job_id}/cancel", summary="Stop a job; what it has read stays", responses=responses(404, 422))
    async def cancel(request: Request, job_id: JobId) -> JobAnswer:
        return (await ask(jobs.cancel.remote(job_id, owner(request)))).answer(base(request))

    @router.delete(
        "/{job_id}", status_code=204, summary="Delete a job, document and result", responses=responses(404, 422)
    )
    async def delete(request: Request, job_id: JobId) -> None:
        await ask(jobs.delete.remote(job_id, owner(request)))

    return router


def _problem(error: BaseException, retry_after_s: int) -> BaseException:
    if isinstance(error, JobNotFound):
        return Problem(404, str(error))
    if isinstance(error, JobsFull):
        return refused("jobs", str(error), max(retry_after_s, 30), status=429)
    if isinstance(error, StoreFails):
        return refused("store", str(error), max(retry_after_s, 30), status=507 if error.is_full else 503)
    if isinstance(error, KeyReused):
        return Problem(409, str(error))
    return error
