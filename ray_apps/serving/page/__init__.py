"""The page at `/`: one HTML, one CSS, ES modules, no build step and no request to another host. It is a client of the
HTTP API like any other, by relative URLs, so that it works under a prefix. Nothing here reads documents.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_ASSETS = ("style.css", "app.js", "browser.js", "reader.js", "picture.js", "panels.js", "strings.js")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again each time, answered 304 by the ETag: an update is seen at once
}


@dataclass(frozen=True)
class _Asset:
    content: bytes
    headers: dict[str, str]

    @classmethod
    def load(cls, name: str) -> "_Asset":
        content = files(__package__).joinpath(name).read_bytes()
        media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
        etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        return cls(content, {**HEADERS, "Content-Type": f"{media_type}; charset=utf-8", "ETag": etag})

    def answer(self, request: Request) -> Response:
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.headers["ETag"] in known:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def page_routes() -> APIRouter:
    """Routes of the page: `/` and `/page/<asset>`. The assets are a fixed list, read once, here."""
    router = APIRouter(include_in_schema=False)
    index, assets = _Asset.load("index.html"), {name: _Asset.load(name) for name in _ASSETS}

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return index.answer(request)

    @router.api_route("/page/{name}", methods=["GET", "HEAD"])
    async def asset(request: Request, name: str) -> Response:
        if name not in assets:
            raise HTTPException(404, "no such file of the page")
        return assets[name].answer(request)

    return router
