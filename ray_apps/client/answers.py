"""Answers of the HTTP API as objects, and the errors of its client. Nothing here loads Ray or any part that reads."""

from functools import cache
from typing import Any, TypeVar

import requests
from pydantic import TypeAdapter, ValidationError

Value = TypeVar("Value")

_adapter = cache(TypeAdapter)


class ClientError(Exception):
    """There is no answer to work with."""


class ApiError(ClientError):
    """The server, or a proxy in front of it, refused the request.

    Attributes:
        status: HTTP status.
        title, detail: what is wrong, and what to do.
        request_id: the server's log knows the request by it.
        problem: the whole problem details object (RFC 9457); empty when the answer was none.
    """

    def __init__(self, status: int, title: str, detail: str, request_id: str, problem: dict[str, Any]):
        super().__init__(status, title, detail, request_id, problem)
        self.status, self.title, self.detail = status, title, detail
        self.request_id, self.problem = request_id, problem

    def __str__(self) -> str:
        return f"{self.status} {self.title}: {self.detail} (request {self.request_id})"


class TransportError(ClientError):
    """The server could not be reached, or did not answer in time."""


def parse(kind: type[Value], answer: requests.Response) -> Value:
    """Return the parsed body of a response. Fields of a newer server that the client does not know are left out."""
    try:
        return _adapter(kind).validate_json(answer.content, extra="ignore")
    except ValidationError as error:
        request_id = answer.headers.get("X-Request-ID", "")
        raise ApiError(
            answer.status_code, "Unexpected answer", f"{answer.url} is not this API? {_start(answer)}", request_id, {}
        ) from error


def api_error(answer: requests.Response, request_id: str) -> ApiError:
    try:
        problem = answer.json()
    except requests.JSONDecodeError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    if 300 <= answer.status_code < 400:
        target = answer.headers.get("Location", "nowhere")
        problem = {"title": "Redirected", "detail": f"the address points to {target}; make the client with that one"}
    return ApiError(
        answer.status_code,
        str(problem.get("title") or answer.reason or "Error"),
        str(problem.get("detail") or _start(answer)),
        str(problem.get("request_id") or answer.headers.get("X-Request-ID") or request_id),
        problem,
    )


def _start(answer: requests.Response) -> str:
    """Return the first words of an unexpected body, such as a proxy's page."""
    return " ".join(answer.text[:500].split())[:200] or "empty body"


def cause(error: BaseException) -> str:
    """Return the innermost cause of a chain of transport exceptions."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}"
