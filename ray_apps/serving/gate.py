"""The first check of every request: whether the server still accepts requests, and whether it is addressed."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_apps.serving.metrics import RequestMetrics
from ray_apps.serving.problems import Problem, problem_answer, refused

# Requested by monitoring, under any address.
_PROBES = ("/healthz", "/readyz")
_RETRY_AFTER_S = 5


class Gate:
    """ASGI middleware: counts the requests inside, refuses them once the server ends, and refuses a foreign `Host`.

    Args:
        app: the app behind it.
        hosts: host names of this server (`ocr.example.org`, `*.example.org`); none: any.
        state: shared with the code that ends the server.
        metrics: counts refusals.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], state: "GateState", metrics: RequestMetrics):
        self.app, self.state, self.metrics = app, state, metrics
        self.hosts = [host.lower() for host in hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        problem = None if path in _PROBES else self._problem(Request(scope))
        if problem is not None:
            if problem.reason is not None:
                self.metrics.refused(problem.reason)
            answer = problem_answer(Request(scope), problem)
            await answer(scope, receive, send)
            return
        self.state.inside += 1
        try:
            await self.app(scope, receive, _with_own_location(send))
        finally:
            self.state.inside -= 1

    def _problem(self, request: Request) -> Problem | None:
        if self.state.ends:
            return refused("ending", "the server is shutting down; send the request again", _RETRY_AFTER_S)
        if self.hosts and not any(_matches(request.headers.get("host", ""), host) for host in self.hosts):
            return Problem(421, "this server does not have the name in the Host header")
        return None


class GateState:
    """How many requests are inside, and whether the server is ending."""

    def __init__(self):
        self.inside = 0
        self.ends = False


def _matches(host: str, pattern: str) -> bool:
    """Return whether a Host header, a name with or without a port, matches `pattern`."""
    name = re.sub(r":\d*$", "", host.lower())
    return name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _with_own_location(send: Send) -> Send:
    """Return `send` with redirects reduced to a path: the framework would prepend the request's Host, which anyone can
    forge."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (301, 302, 307, 308):
            headers = MutableHeaders(scope=message)
            if "location" in headers:
                headers["location"] = urlunsplit(("", "", *urlsplit(headers["location"])[2:]))
        await send(message)

    return sending
