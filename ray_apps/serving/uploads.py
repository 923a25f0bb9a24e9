"""From an HTTP request to a document's bytes, within limits: multipart, raw body, base64 in JSON, or a URI."""

import asyncio
import base64
import binascii
import os
import re
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from fastapi import Request
from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem
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
# A client waits: retries end after seconds, not after the minutes of a bulk job.
_STORAGE_RETRY_SECONDS = 5.0
_LOCAL_FILES = ThreadPoolExecutor(16, thread_name_prefix="local_files")  # a mount that hangs blocks its thread
_GRACE_SECONDS = 5.0  # before the rate of a body is checked


class JsonDocument(BaseModel):
    """A document in a JSON body: either `content` (base64), or the `uri` of one that the server may fetch.

    Subclasses add fields that may accompany a document. `parts` names those that a multipart form may have besides
    `file`, as text.
    """

    model_config = ConfigDict(extra="forbid")
    parts: ClassVar[tuple[str, ...]] = ()
    content: str | None = None
    name: str = ""
    uri: str | None = None

    @classmethod
    async def parse(cls, body: bytes, settings: AppSettings) -> Self:
        """Parse a JSON body. Raises ValidationError, Problem."""
        return cls.model_validate_json(body)

    def encoded(self) -> bytes | None:
        """Return the encoded document, None if `uri` names it. Raises Problem 422."""
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
    """A document as received: the name that the client gave, encoded bytes, and the form that came with it."""

    name: str
    content: bytes
    form: _Form


async def receive(request: Request, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    """Return the document that a request contains or names.

    Raises:
        Problem: 400 (malformed), 408 (too slow), 413 (too large), 415 (unsupported media type), 422 (a URI that is not
            allowed or cannot be read).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Problem(415, f"Content-Encoding {encoding} is not supported; send the document without it")
    seconds = settings.limits.upload_seconds
    try:
        upload = await asyncio.wait_for(_parse_upload(request, kind, settings, form), seconds)
    except asyncio.TimeoutError:
        raise Problem(408, f"the request body did not arrive within {seconds:g} s") from None
    except ClientDisconnect:
        raise Problem(400, "the connection was closed before the whole request had arrived") from None
    if not upload.content:
        raise Problem(400, "the document is empty (0 bytes)")
    _check_size(len(upload.content), settings)
    return upload


async def _parse_upload(request: Request, kind: str, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    if kind == "multipart/form-data":
        return await _multipart(request, settings, form)
    if kind == "application/json":
        return await _json(request, settings, form)
    if _RAW.match(kind):
        return Upload(_file_name(request.query_params.get("name", "")), await _body(request, settings), form())
    raise Problem(
        415,
        f"Content-Type {kind or '(none)'} is not supported; send multipart/form-data with a part `file`, image/*, "
        "application/pdf, application/octet-stream or application/json",
    )


async def _stream(request: Request, settings: AppSettings) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives, up to the size of the largest document as base64 in JSON."""
    limit = int(settings.limits.upload_mib * 2**20 * 4 / 3) + 64 * 1024
    length = request.headers.get("content-length", "")
    arrived = int(length) if length.isdigit() else 0
    _check_size(arrived, settings, limit)
    arrived, started = 0, time.monotonic()
    chunks = aiter(request.stream())
    while True:
        # Each byte received extends the time for the next ones: a body may pause, but not stall.
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


class _InMemoryParser(MultiPartParser):
    spool_max_size = 2**40  # the body is bounded already; the disk would only slow it down


async def _multipart(request: Request, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    parser = _InMemoryParser(request.headers, _stream(request, settings), max_files=1, max_fields=len(form.parts))
    others = f", and optionally {', '.join(f'`{part}`' for part in form.parts)}" if form.parts else ""
    expected = f"send one part, `file`{others}"
    try:
        parts = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, f"malformed multipart body: {error.message}; {expected}") from error
    except KeyError as error:  # no boundary in the Content-Type
        raise Problem(400, "malformed multipart body: its Content-Type has no boundary") from error
    file = parts.get("file")
    if file is None or isinstance(file, str):
        raise Problem(400, "the multipart body has no file part called `file`")
    fields = {name: value for name, value in parts.items() if name != "file"}
    unknown = fields.keys() - form.parts
    if unknown:
        raise Problem(400, f"the multipart body has a part `{unknown.pop()}`; {expected}")
    try:
        return Upload(_file_name(file.filename or ""), await file.read(), form.model_validate(fields))
    except ValidationError as error:
        raise _not_understood("form", error) from error


async def _json(request: Request, settings: AppSettings, form: type[_Form]) -> Upload[_Form]:
    try:
        document = await form.parse(await _body(request, settings), settings)
    except ValidationError as error:
        raise _not_understood("JSON body", error) from error
    content = document.encoded()
    if content is not None:
        return Upload(_file_name(document.name), content, document)
    uri = document.uri or ""  # `encoded` has checked that it is there
    return Upload(uri, await _fetch(uri, settings), document)


def _not_understood(what: str, error: ValidationError) -> Problem:
    """Report the first few of its errors: an image of a million strings has a million."""
    errors = error.errors(include_input=False, include_url=False)[:5]
    messages = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in errors)
    return Problem(422, f"the {what} is not understood: {messages}")


def _check_size(size: int, settings: AppSettings, limit: int | None = None) -> None:
    """Refuse more than `limit` bytes (default: those of the largest document)."""
    mib = settings.limits.upload_mib
    if size > (limit or mib * 2**20):
        raise Problem(413, f"the document is over the limit of {mib:g} MiB; split it or scale it down")


def _file_name(name: str) -> str:
    """Return the last part of a client's file name, without control characters."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable())[-_LONGEST_NAME:]


async def _fetch(uri: str, settings: AppSettings) -> bytes:
    _check_uri(uri, settings.uri_prefixes)
    try:
        filesystem, path = await asyncio.to_thread(open_filesystem, uri)
        retry = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Exception) and is_passing(error)),
            wait=wait_random_exponential(multiplier=0.25, max=2),
            stop=stop_before_delay(_STORAGE_RETRY_SECONDS),
            reraise=True,
        )
        info = await retry(_call_filesystem, filesystem, "info", path)
        _check_size(info.get("size") or 0, settings)
        return await retry(_call_filesystem, filesystem, "cat_file", path)
    except Problem:
        raise
    except Exception as error:  # storage back ends raise anything
        # Storage's own messages could name buckets, hosts or paths of the server.
        if is_passing(error):
            raise Problem(503, f"{uri} cannot be read now; try again later", {"Retry-After": "10"}) from error
        raise Problem(422, f"{uri} cannot be read ({type(error).__name__}); check that it exists") from error


async def _call_filesystem(filesystem: AbstractFileSystem, method: str, path: str) -> Any:
    """Return the result of a file system's method. A call that is cancelled leaves no thread behind: object stores are
    called in fsspec's event loop, where a request ends when it is cancelled."""
    if isinstance(filesystem, AsyncFileSystem) and filesystem.async_impl and filesystem.loop is not None:
        request = getattr(filesystem, f"_{method}")(path)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(request, filesystem.loop))
    return await asyncio.get_running_loop().run_in_executor(_LOCAL_FILES, getattr(filesystem, method), path)


def _check_uri(uri: str, prefixes: list[str]) -> None:
    """Refuse a URI that is not below an allowed prefix, however it is written."""
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
        raise Problem(422, f"{uri} is not below a prefix that this server reads from")
