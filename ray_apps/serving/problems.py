"""Errors as RFC 9457 problem details (`application/problem+json`)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from common.storage import StorageUnavailable
from pipelines.documents import DocumentError
from pipelines.records import PageError
from ray_apps.serving.metrics import RequestMetrics

MEDIA_TYPE = "application/problem+json"

# Class names of what reading a document raises; a page's error record carries no more than the name.
_DOCUMENT_STATUS = {
    "EmptyDocument": 400,
    "PageTooLarge": 413,
    "UnknownFormat": 415,
    "EncryptedDocument": 422,
    "UnreadableDocument": 422,
    "PageTooSlow": 422,
    "PageNotFound": 422,
    "InaccessibleDocument": 422,
    "StorageUnavailable": 503,
}


class ProblemAnswer(BaseModel):
    """The body of every error answer."""

    model_config = ConfigDict(extra="allow")
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str


class Problem(Exception):
    """An error answer: `status`, what is wrong and what to do (`detail`), headers and further members of the body."""

    reason: str | None = None  # a refusal's, as it is counted

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any):
        super().__init__(detail)
        self.status, self.detail, self.headers, self.members = status, detail, headers, members


def refused(reason: str, detail: str, retry_after_s: int, status: int = 503) -> Problem:
    """Too much at the moment: the same request can succeed after `retry_after_s`. `reason`: one word of a fixed set."""
    problem = Problem(status, detail, {"Retry-After": str(retry_after_s)})
    problem.reason = reason
    return problem


def page_problem(error: PageError) -> Problem:
    """Return the problem of a one-page document that could not be read; `page_error` is the record's error."""
    status = _DOCUMENT_STATUS.get(error.type, 500)
    headers = {"Retry-After": "10"} if status == 503 else None
    return Problem(status, error.message, headers, page_error=error.model_dump())


def request_id(request: Request) -> str:
    """Return the request's id: the client's `X-Request-ID`, or the one assigned by Serve's proxy."""
    return request.headers.get("x-request-id", "")


def install(app: FastAPI, metrics: RequestMetrics) -> None:
    """Make all errors of `app` problem details, and count refusals."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        if error.reason is not None:
            metrics.refused(error.reason)
        return problem_answer(request, error)

    @app.exception_handler(DocumentError)
    @app.exception_handler(StorageUnavailable)
    async def document(request: Request, error: DocumentError | StorageUnavailable) -> JSONResponse:
        # As the error of a page that cannot be decoded: the same trouble, found before there were pages.
        failure = PageError(stage="decode", type=type(error).__name__, message=str(error))
        return await problem(request, page_problem(failure))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return _answer(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"where": ".".join(map(str, e["loc"])), "problem": e["msg"]} for e in error.errors()]
        detail = "; ".join(f"{e['where']}: {e['problem']}" for e in errors)
        return _answer(request, 422, detail, None, errors=errors)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again after this answer, and Serve logs it.
        return _answer(request, 500, "an unexpected error; the server's log has it under this request id", None)


def problem_answer(request: Request, error: Problem) -> JSONResponse:
    """Return the response of a problem."""
    return _answer(request, error.status, error.detail, error.headers, **error.members)


def _answer(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None, **members: Any
) -> JSONResponse:
    body = ProblemAnswer(
        title=HTTPStatus(status).phrase, status=status, detail=detail, request_id=request_id(request), **members
    )
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for error answers."""
    # Written out: FastAPI would put its own model under application/json.
    schema = {MEDIA_TYPE: {"schema": ProblemAnswer.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": schema} for status in statuses}
