"""What stands in Serve's HTTP proxy, before any app: Serve calls `middlewares` where it starts the proxy, named by
RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH (`ocray serve` sets it; docs/serving.md).
"""

import asyncio
import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from common.ray_private import set_proxy_protocol

HEADER_SECONDS = 10.0
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def middlewares() -> list[Middleware]:
    """For Serve's proxy; from now on it also drops connections whose headers do not arrive."""
    set_proxy_protocol(f"{__name__}:{ImpatientProtocol.__name__}")
    return [Middleware(PlainHeaders)]


class PlainHeaders:
    """Takes out what Serve's proxy cannot read, and would answer with 500: header values that are not UTF-8. An
    `X-Request-ID` that is not a printable word of 128 characters at most is left out too; Serve then gives one."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "headers": [header for header in scope["headers"] if _is_plain(*header)]}
        await self.app(scope, receive, send)


def _is_plain(name: bytes, value: bytes) -> bool:
    if name == b"x-request-id":
        return _REQUEST_ID.fullmatch(value) is not None
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class ImpatientProtocol(AutoHTTPProtocol):
    """uvicorn's protocol, which waits for ever for the rest of a request's headers; this one for HEADER_SECONDS."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Between two requests of a connection uvicorn's own time-out runs, until the next one begins.
        if self.timeout_keep_alive_task is not None or self._has_request:
            self._done_waiting()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._done_waiting()
        super().connection_lost(exc)

    @property
    def _has_request(self) -> bool:
        """The headers of a request are there, and it is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().call_later(HEADER_SECONDS, self._give_up)

    def _done_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if not self._has_request and self.transport is not None:
            self.transport.close()
