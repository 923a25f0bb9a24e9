"""A client of the HTTP API, for programs that have documents and meters read.

    from ray_apps.client.client import Client

    with Client("http://localhost:8000") as client:
        answer = client.read("letter.pdf", pages="1-3")
        print(answer.pages[0].text)

It waits and retries when the server is busy, restarts, or drops the connection. A response that refuses is an
ApiError. Importing it loads neither Ray nor any part that reads.
"""

import base64
import os
import random
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader, ReadTimeoutError
from urllib3.util.retry import Retry

from ray_apps.client.answers import ApiError, ClientError, TransportError, api_error, cause, parse
from ray_apps.serving.answers import (
    DeskewAnswer,
    DocumentAnswer,
    JobAnswer,
    JobResultAnswer,
    MeterAnswer,
    ModelAnswer,
    ReadPage,
)

__all__ = ["ApiError", "Client", "ClientError", "TransportError"]

Source = str | os.PathLike[str] | bytes | BinaryIO
Upright = Literal["none", "jpeg", "png"]
Value = TypeVar("Value")

_CONNECT_SECONDS = 10.0
_LONGEST_PAUSE = 60.0  # seconds between two attempts, whatever the server requests
_REDIRECTS = range(300, 400)
_ENDED = ("finished", "failed", "cancelled")


class Client:
    """Talks to one server; may be used from several threads.

    Args:
        url: where the server is, such as `http://localhost:8000`.
        api_key: sent as `X-API-Key`.
        timeout: seconds the server may be silent while it reads. What takes longer is a job (`submit`).
        retries: further tries when the server is busy (429, 503), not ready (502, 504), unreachable, or drops the
            connection. Pauses double from about half a second, are spread, and are never shorter than `Retry-After`
            requests, up to a minute. A time-out is not retried: the server is still working.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout: float = 120, retries: int = 5):
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the address of a server; it starts with http:// or https://")
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        self._session = requests.Session()
        if api_key is not None:
            self._session.headers["X-API-Key"] = api_key
        # Of the methods POST is among those repeated: reading changes nothing, and jobs carry an idempotency key.
        policy = _Patient(
            total=retries,
            allowed_methods=None,
            status_forcelist=(429, 502, 503, 504),
            other=0,  # a certificate that is wrong stays wrong
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=policy, pool_maxsize=64))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def read(
        self,
        source: Source | None = None,
        *,
        uri: str | None = None,
        pages: str | Iterable[int] | None = None,
        languages: str | Iterable[str] | None = None,
        upright: Upright = "none",
    ) -> DocumentAnswer:
        """Read a document. A page that failed is among the pages, with `status` `error`.

        Args:
            source: a path, the encoded bytes, or a binary file object.
            uri: instead of `source`, an address that the server fetches itself, when it may.
            pages: 1-based numbers, or `"1-3,7"`; all without it.
            languages: ISO 639-1 codes of what is read, the commonest first, or `"ko,en"`; the server's own without it.
            upright: give each page as an image turned upright.

        Raises:
            ApiError, TransportError. OSError: the file cannot be read.
        """
        options = _options(pages, languages, upright)
        return self._post("/v1/documents", DocumentAnswer, source, uri, options)

    def deskew(
        self,
        source: Source | None = None,
        *,
        uri: str | None = None,
        pages: str | Iterable[int] | None = None,
        upright: Upright = "none",
    ) -> DeskewAnswer:
        """Return skew and orientation of a document's pages; arguments and errors as in `read`."""
        return self._post("/v1/deskew", DeskewAnswer, source, uri, _options(pages, None, upright))

    def read_meter(
        self,
        source: Source | None = None,
        *,
        uri: str | None = None,
        meter_id: str | None = None,
        time: datetime | None = None,
        max_rate: float | None = None,
        history: Iterable[tuple[datetime, str]] | None = None,
        pages: str | Iterable[int] | None = None,
    ) -> MeterAnswer:
        """Read a photo of a meter. A reading that may not be used has no `success`, and a `reason`.

        Args:
            source, uri, pages: as in `read`; each page of a document is a photo.
            meter_id: comes back in the record.
            time: when the photo was taken, with a time zone.
            max_rate: the most the meter can turn, in its units a day; the server's own without it.
            history: earlier readings, (time, reading), to judge the new one by; needs `time`.

        Raises:
            ApiError, TransportError. OSError: the file cannot be read.
        """
        _one_of(source, uri)
        fields: dict[str, Any] = {"meter_id": meter_id, "max_rate": max_rate, "time": time and time.isoformat()}
        if history is not None:
            fields["history"] = [{"time": when.isoformat(), "reading": reading} for when, reading in history]
        if source is not None:
            name, content = _content(source)
            fields |= {"name": name, "content": base64.b64encode(content).decode()}
        body = {**fields, "uri": uri}
        return parse(MeterAnswer, self._request("POST", "/v1/meters", _options(pages), json=body))

    def read_many(
        self,
        sources: Iterable[Source],
        *,
        concurrency: int = 8,
        pages: str | Iterable[int] | None = None,
        languages: str | Iterable[str] | None = None,
        upright: Upright = "none",
    ) -> Iterator[tuple[Source, DocumentAnswer | ClientError | OSError]]:
        """Read documents side by side: each source with its answer or its error, in the order of `sources`.

        `sources` is run ahead of by twice `concurrency` at most, so it may be endless.
        """
        options: dict[str, Any] = {
            "pages": pages if pages is None or isinstance(pages, str) else tuple(pages),
            "languages": languages if languages is None or isinstance(languages, str) else tuple(languages),
            "upright": upright,
        }

        def read(source: Source) -> DocumentAnswer | ClientError | OSError:
            try:
                return self.read(source, **options)
            except (ClientError, OSError) as error:
                return error

        pool = ThreadPoolExecutor(concurrency, thread_name_prefix="read_many")
        try:
            ahead: deque = deque()
            for source in sources:
                ahead.append((source, pool.submit(read, source)))
                if len(ahead) >= 2 * concurrency:
                    source, future = ahead.popleft()
                    yield source, future.result()
            for source, future in ahead:
                yield source, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def submit(
        self,
        source: Source | None = None,
        *,
        uri: str | None = None,
        pages: str | Iterable[int] | None = None,
        languages: str | Iterable[str] | None = None,
        upright: Upright = "none",
        idempotency_key: str | None = None,
    ) -> JobAnswer:
        """Hand in a long document to be read as a job; arguments and errors as in `read`.

        The server makes one job of all submissions with one key. Each call has a key of its own, so that its tries
        make one job; give one to have that over several calls, too.
        """
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        options = _options(pages, languages, upright)
        return self._post("/v1/jobs", JobAnswer, source, uri, options, headers)

    def job(self, job_id: str) -> JobAnswer:
        """Return the state of a job."""
        return parse(JobAnswer, self._request("GET", _job_path(job_id)))

    def wait(self, job_id: str, *, poll: float = 2.0, timeout: float | None = None) -> JobAnswer:
        """Wait until a job is finished, failed or cancelled; check every `poll` seconds.

        Raises:
            TimeoutError: it is not done after `timeout` seconds. ApiError, TransportError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (job := self.job(job_id)).state not in _ENDED:
            if deadline is not None and time.monotonic() + poll > deadline:
                raise TimeoutError(
                    f"job {job_id} is {job.state} after {timeout:g} s: {job.pages_done} of {job.pages} pages"
                )
            time.sleep(poll)
        return job

    def result(self, job_id: str, *, poll: float = 2.0, limit: int = 100) -> Iterator[ReadPage]:
        """All pages of a job in order, up to `limit` a request. Those of a running job come as they are read."""
        offset: int | None = 0
        while offset is not None:
            answer = self._request("GET", f"{_job_path(job_id)}/result", {"offset": offset, "limit": limit})
            part = parse(JobResultAnswer, answer)
            yield from part.pages
            if not part.pages and part.next_offset == offset:
                time.sleep(poll)
            offset = part.next_offset

    def cancel(self, job_id: str) -> JobAnswer:
        """Stop a job; its pages so far stay. One that has ended stays as it ended."""
        return parse(JobAnswer, self._request("POST", f"{_job_path(job_id)}/cancel"))

    def delete(self, job_id: str) -> None:
        """Stop a job, and delete it with its result."""
        self._request("DELETE", _job_path(job_id))

    def models(self) -> list[ModelAnswer]:
        """Return the models of the server."""
        return parse(list[ModelAnswer], self._request("GET", "/v1/models"))

    def ready(self) -> bool:
        """Return whether the server answers and can read now. Sends one request and waits at most ten seconds."""
        try:
            address = f"{self.url}/readyz"
            with requests.get(
                address, headers=self._session.headers, timeout=_CONNECT_SECONDS, allow_redirects=False
            ) as answer:
                return answer.status_code == 200
        except requests.RequestException:
            return False

    def _post(
        self,
        path: str,
        kind: type[Value],
        source: Source | None,
        uri: str | None,
        options: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> Value:
        _one_of(source, uri)
        if source is None:
            return parse(kind, self._request("POST", path, options, headers, json={"uri": uri}))
        name, content = _content(source)
        headers = {**(headers or {}), "Content-Type": "application/octet-stream"}
        return parse(kind, self._request("POST", path, {"name": name, **options}, headers, data=content))

    def _request(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> requests.Response:
        url = self.url + path
        request_id = uuid.uuid4().hex
        headers = {"X-Request-ID": request_id, **(headers or {})}
        try:
            answer = self._session.request(
                method,
                url,
                params,
                headers=headers,
                timeout=(_CONNECT_SECONDS, self.timeout),
                allow_redirects=False,  # another host must not see the key
                **body,
            )
        except requests.ReadTimeout as error:
            raise TransportError(f"{url} did not answer within {self.timeout:g} s (request {request_id})") from error
        except requests.ConnectionError as error:
            raise TransportError(
                f"{url} cannot be reached, or drops the connection, in {self.retries + 1} tries"
                f" (request {request_id}): {cause(error)}"
            ) from error
        except requests.RequestException as error:
            raise TransportError(f"{url} (request {request_id}): {cause(error)}") from error
        if not answer.ok or answer.status_code in _REDIRECTS:
            raise api_error(answer, request_id)
        return answer


class _Patient(Retry):
    """Retries with spread pauses. A time-out while reading is raised: the server may still be at work on it."""

    def get_backoff_time(self) -> float:
        return min(_LONGEST_PAUSE, 0.25 * 2 ** len(self.history)) * random.uniform(0.75, 1.25)

    def get_retry_after(self, response: Any) -> float | None:
        try:
            seconds = super().get_retry_after(response)
        except InvalidHeader:
            return None
        # Not exactly what was requested: clients that were refused together would return together.
        return None if seconds is None else min(_LONGEST_PAUSE, seconds) * random.uniform(1.0, 1.5)

    def increment(self, method=None, url=None, response=None, error=None, _pool=None, _stacktrace=None) -> "_Patient":
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _one_of(source: Source | None, uri: str | None) -> None:
    if (source is None) == (uri is None):
        raise ValueError("give a source or a uri")


def _content(source: Source) -> tuple[str, bytes]:
    """Return the file name, if there is one, and all bytes, so that they can be sent again."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "", bytes(source)
    if isinstance(source, (str, os.PathLike)):
        return Path(source).name, Path(source).read_bytes()
    name = getattr(source, "name", "")
    return (Path(name).name if isinstance(name, str) else ""), source.read()


def _options(
    pages: str | Iterable[int] | None,
    languages: str | Iterable[str] | None = None,
    upright: Upright | None = None,
) -> dict[str, Any]:
    if languages is not None and not isinstance(languages, str):
        languages = ",".join(languages)
    if pages is not None and not isinstance(pages, str):
        pages = _ranges(pages)
    return {"pages": pages, "languages": languages, "upright": upright}


def _ranges(numbers: Iterable[int]) -> str:
    """`1-3,7` for 1, 2, 3, 7: in a URL hundreds of numbers would be too long."""
    # In a run of consecutive numbers, number and position grow alike.
    runs = groupby(enumerate(sorted(set(numbers))), key=lambda pair: pair[1] - pair[0])
    bounds = ([number for _, number in run] for _, run in runs)
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in bounds)


def _job_path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
