"""From an HTTP request to a document's bytes, within limits: multipart, raw body, base64 in JSON, or a URI."""

import asyncio
import base64
import binascii
import os
import re
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from fastapi import Request
from fsspec import AbstractFileSystem
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, wait_random_exponential
from typing_extensions import Self

from common.storage.causes import is_passing
from common.storage.locations import open_filesystem
from ray_apps.serving.problems import Problem
from ray_apps.serving.settings import AppSettings

_RAW = re.compile(r"^(image/[\w.+-]+|application/(pdf|octet-stream))$")
_LONGEST_NAME = 255
# A client waits for its answer: storage that fails is asked again for so long, not for the minutes of a bulk job.
_STORAGE_PATIENCE_SECONDS = 5.0
_LOCAL_FILES = ThreadPoolExecutor(16, thread_name_prefix="local_files")  # a mount may hang, and hold its thread
_GRACE_SECONDS = 5.0  # before a body is too slow


class JsonDocument(BaseModel):
    """A document in a JSON body: either `content` (base64), or the `uri` of one the server may fetch.

    Subclasses have what may be said with a document; `parts` names those of its fields that a multipart form may have
    beside `file`, as text.
    """

    model_config = ConfigDict(extra="forbid")
    parts: ClassVar[tuple[str, ...]] = ()
    content: str | None = None
    name: str = ""
    uri: str | None = None

    @classmethod
    async def parse(cls, body: bytes, settings: AppSettings) -> Self:
        """Of a JSON body. Raises ValidationError, Problem."""
        return cls.model_validate_json(body)

    def encoded(self) -> bytes | None:
        """The document, None where `uri` names it. Raises Problem 422."""
        if (self.content is None) == (self.uri is None):
            raise Problem(422, "the JSON body must have either `content` (base64) or `uri`")
        if self.content is None:
            return None
        try:
            return base64.b64decode(self.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Problem(422, f"`content` is not base64: {error}") from error


_Form = TypeVar("_Form", bound=JsonDocument)


@dataclass(frozen=True)
class Upload(Generic[_Form]):
    """A document as it came: the name the client gave, encoded bytes, and what was said with it."""

    name: str
    content: bytes
    form: _Form


async def receive(request: Request, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    """The document a request brings or names.

    Raises:
        Problem: 400 (malformed), 408 (too slow), 413 (too large), 415 (of another kind), 422 (a URI that may not or
            cannot be read).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Problem(415, f"Content-Encoding {encoding} is not taken; send the document as it is")
    seconds = settings.limits.upload_seconds
    try:
        upload = await asyncio.wait_for(_take(request, kind, settings, form), seconds)
    except asyncio.TimeoutError:
        raise Problem(408, f"the request body did not arrive within {seconds:g} s") from None
    except ClientDisconnect:
        raise Problem(400, "the connection was closed before the whole request had arrived") from None
    if not upload.content:
        raise Problem(400, "the document is empty (0 bytes)")
    _check_size(len(upload.content), settings)
    return upload


async def _take(request: Request, kind: str, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    if kind == "multipart/form-data":
        return await _multipart(request, settings, form)
    if kind == "application/json":
        return await _json(request, settings, form)
    if _RAW.match(kind):
        return Upload(_file_name(request.query_params.get("name", "")), await _body(request, settings), form())
    raise Problem(
        415,
        f"Content-Type {kind or '(none)'} is not taken; send multipart/form-data with a part `file`, image/*, "
        "application/pdf, application/octet-stream or application/json",
    )


async def _stream(request: Request, settings: AppSettings) -> AsyncIterator[bytes]:
    """The body as it arrives, up to what a document of the largest size takes as base64, with its wrapping."""
    limit = int(settings.limits.upload_mib * 2**20 * 4 / 3) + 64 * 1024
    length = request.headers.get("content-length", "")
    arrived = int(length) if length.isdigit() else 0
    _check_size(arrived, settings, limit)
    arrived, started = 0, time.monotonic()
    chunks = aiter(request.stream())
    while True:
        # Bytes that have come give time for more, so that a body may pause, but not stand.
        left = started + _GRACE_SECONDS + arrived / (settings.limits.upload_kib_s * 1024) - time.monotonic()
        try:
            chunk = await asyncio.wait_for(anext(chunks, None), left)
        except asyncio.TimeoutError:
            slowest = f"{settings.limits.upload_kib_s:g} KiB/s"
            raise Problem(408, f"the request body arrives at less than {slowest}; check the connection") from None
        if chunk is None:
            return
        arrived += len(chunk)
        request.state.arriving.add(len(chunk))
        _check_size(arrived, settings, limit)
        yield chunk


async def _body(request: Request, settings: AppSettings) -> bytes:
    return b"".join([chunk async for chunk in _stream(request, settings)])


class _InMemory(MultiPartParser):
    spool_max_size = 2**40  # the body is bounded already; the disk would only slow it down


async def _multipart(request: Request, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    parser = _InMemory(request.headers, _stream(request, settings), max_files=1, max_fields=len(form.parts))
    expected = f"send one part, `file`{''.join(f', and perhaps `{part}`' for part in form.parts)}"
    try:
        parts = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, f"malformed multipart body: {error.message}; {expected}") from error
    except KeyError as error:  # no boundary in the Content-Type
        raise Problem(400, "malformed multipart body: its Content-Type has no boundary") from error
    file = parts.get("file")
    if file is None or isinstance(file, str):
        raise Problem(400, "the multipart body has no file part called `file`")
    said = {name: value for name, value in parts.items() if name != "file"}
    unknown = said.keys() - form.parts
    if unknown:
        raise Problem(400, f"the multipart body has a part `{unknown.pop()}`; {expected}")
    try:
        return Upload(_file_name(file.filename or ""), await file.read(), form.model_validate(said))
    except ValidationError as error:
        raise _not_understood("form", error) from error


async def _json(request: Request, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    try:
        document = await form.parse(await _body(request, settings), settings)
    except ValidationError as error:
        raise _not_understood("JSON body", error) from error
    content = document.encoded()
    if content is None:
        return Upload(document.uri, await _fetch(document.uri, settings), document)
    return Upload(_file_name(document.name), content, document)


def _not_understood(what: str, error: ValidationError) -> Problem:
    """At most the first few of its errors: an image of a million strings has a million."""
    errors = error.errors(include_input=False, include_url=False)[:5]
    told = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in errors)
    return Problem(422, f"the {what} is not understood: {told}")


def _check_size(size: int, settings: AppSettings, limit: int | None = None) -> None:
    """Refuse more than `limit` bytes (default: those of the largest document)."""
    mib = settings.limits.upload_mib
    if size > (limit or mib * 2**20):
        raise Problem(413, f"the document is over the limit of {mib:g} MiB; split it or scale it down")


def _file_name(name: str) -> str:
    """The last part of a client's file name, without control characters."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable())[-_LONGEST_NAME:]


async def _fetch(uri: str, settings: AppSettings) -> bytes:
    _check_uri(uri, settings.uri_prefixes)
    try:
        filesystem, path = await asyncio.to_thread(open_filesystem, uri)
        patiently = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Exception) and is_passing(error)),
            wait=wait_random_exponential(multiplier=0.25, max=2),
            stop=stop_before_delay(_STORAGE_PATIENCE_SECONDS),
            reraise=True,
        )
        info = await patiently(_asked, filesystem, "info", path)
        _check_size(info.get("size") or 0, settings)
        return await patiently(_asked, filesystem, "cat_file", path)
    except Problem:
        raise
    except Exception as error:  # storage back ends raise anything
        # Storage's own words could name buckets, hosts or paths of the server.
        if is_passing(error):
            raise Problem(503, f"{uri} cannot be read now; try again later", {"Retry-After": "10"}) from error
        raise Problem(422, f"{uri} cannot be read ({type(error).__name__}); check that it exists") from error


async def _asked(filesystem: AbstractFileSystem, method: str, path: str) -> Any:
    """What a file system answers. One that does not, and is given up, holds no thread: object stores are asked within
    fsspec's own event loop, where a request ends when it is cancelled."""
    if filesystem.async_impl:
        request = getattr(filesystem, f"_{method}")(path)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(request, filesystem.loop))
    return await asyncio.get_running_loop().run_in_executor(_LOCAL_FILES, getattr(filesystem, method), path)


def _check_uri(uri: str, prefixes: list[str]) -> None:
    """Refuse what is not below an allowed prefix, whatever way it is written."""
    if not prefixes:
        raise Problem(422, "this server fetches no URIs; send the document itself")
    plain = not re.search(r"(^|/)\.\.?(/|$)|::|[\\%?#\x00-\x1f]", uri.partition("://")[2])
    allowed = [prefix for prefix in prefixes if uri.startswith(prefix)] if plain else []
    if uri.startswith("file://"):  # a link below the prefix must not lead out of it
        real = os.path.realpath(uri.removeprefix("file://"))
        allowed = [
            prefix for prefix in allowed if real.startswith(os.path.realpath(prefix.removeprefix("file://")) + os.sep)
        ]
    if not allowed:
        raise Problem(422, f"{uri} is not below a prefix this server reads from")
