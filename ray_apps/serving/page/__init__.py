"""The page at `/`: one HTML, one CSS, ES modules, no build step and no request to another host. It is a client of the
HTTP API like any other, by relative URLs, so that it works under a prefix. Nothing here reads documents.
"""

import hashlib
import html
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_ASSETS = (
    "style.css", "app.js", "browser.js", "controls.js", "document.js", "meter.js", "panels.js", "picture.js", "post.js",
    "reader.js", "strings.js",
)  # fmt: skip

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # revalidated by the ETag each time, so an update shows at once
}


@dataclass(frozen=True)
class _Asset:
    content: bytes
    headers: dict[str, str]

    @classmethod
    def load(cls, name: str) -> "_Asset":
        return cls.of(name, files("ray_apps.serving.page").joinpath(name).read_bytes())

    @classmethod
    def of(cls, name: str, content: bytes) -> "_Asset":
        media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
        etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        return cls(content, {**HEADERS, "Content-Type": f"{media_type}; charset=utf-8", "ETag": etag})

    def answer(self, request: Request) -> Response:
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.headers["ETag"] in known:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def page_routes(reads: str, beside: Mapping[str, str | None] | None = None) -> APIRouter:
    """Return the routes of the page: `/` and `/page/<asset>`. The assets are a fixed list, read once.

    Args:
        reads: what this app reads, `documents` or `meters`: the page has a tab for it.
        beside: route prefixes (`/meters`) of other apps that get a tab, by what they read; None without such an app.
    """
    router = APIRouter(include_in_schema=False)
    index = files("ray_apps.serving.page").joinpath("index.html").read_bytes()
    assets = {name: _Asset.load(name) for name in _ASSETS}
    prefixes = {name: prefix for name, prefix in (beside or {}).items() if prefix is not None}

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        # Relative, since a proxy may serve both apps below another path.
        here = request.scope.get("root_path") or "/"
        apps = {reads: ""} | {name: f"{posixpath.relpath(prefix, here)}/" for name, prefix in prefixes.items()}
        attributes = "".join(f' data-{name}="{html.escape(address)}"' for name, address in apps.items())
        return _Asset.of("index.html", index.replace(b"<body>", f"<body{attributes}>".encode(), 1)).answer(request)

    @router.api_route("/page/{name}", methods=["GET", "HEAD"])
    async def asset(request: Request, name: str) -> Response:
        if name not in assets:
            raise HTTPException(404, "no such file of the page")
        return assets[name].answer(request)

    return router
