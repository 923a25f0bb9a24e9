"""What runs in Serve's HTTP proxy, before any app. Serve calls `middlewares`, named by the variable
RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH, when it starts the proxy (`ocray serve` sets it; docs/serving.md).
"""

import asyncio
import re
from typing import Any

from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from common.ray_private import set_proxy_protocol

HEADER_SECONDS = 10.0
RETRY_AFTER_SECONDS = 2  # Serve has noticed by then
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def middlewares() -> list[Middleware]:
    """Return the middlewares of Serve's proxy, and make it drop connections whose headers do not arrive."""
    set_proxy_protocol(f"{__name__}:{ImpatientProtocol.__name__}")
    return [Middleware(PlainHeaders), Middleware(RetryLater)]


class PlainHeaders:
    """Removes headers that Serve's proxy cannot read and would answer with 500: those whose values are not UTF-8. Also
    removes an `X-Request-ID` that is not a printable word of at most 128 characters; Serve then assigns one."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "headers": [header for header in scope["headers"] if _is_plain(*header)]}
        await self.app(scope, receive, send)


class RetryLater:
    """Answers with 503 where Serve's proxy has no answer: the process died, or its node was lost, that the request was
    in. It may be sent again; the 500 that the proxy would give says that the request is at fault."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def noticed(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await self.app(scope, receive, noticed)
        if scope["type"] != "http" or answered:
            return
        request_id = dict(scope["headers"]).get(b"x-request-id", b"").decode()
        # As in ray_apps.serving.problems, which imports too much for the proxy.
        body = {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "the server lost the process that had this request; send it again",
            "request_id": request_id,
        }
        headers = {"Content-Type": "application/problem+json", "Retry-After": str(RETRY_AFTER_SECONDS)}
        await JSONResponse(body, 503, headers)(scope, receive, send)


def _is_plain(name: bytes, value: bytes) -> bool:
    if name == b"x-request-id":
        return _REQUEST_ID.fullmatch(value) is not None
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


# uvicorn declares its two protocols as a plain `asyncio.Protocol`, without what both have.
_Protocol: Any = AutoHTTPProtocol


class ImpatientProtocol(_Protocol):
    """uvicorn's protocol, with a time limit of HEADER_SECONDS for the headers of a request; uvicorn has none."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Between two requests of a connection uvicorn's keep-alive time-out runs.
        if self.timeout_keep_alive_task is not None or self._has_request:
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    @property
    def _has_request(self) -> bool:
        """Whether the headers of a request have arrived and its response is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(HEADER_SECONDS, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self._has_request and self.transport is not None:
            self.transport.close()
