"""Query parameters of requests, and the document that they apply to."""

import asyncio
import re
from collections.abc import Awaitable
from typing import Annotated, Literal, TypeVar

from fastapi import Query, Request

from common.config import ConfigError
from pipelines.documents.formats import HEAD_BYTES, MULTI_PAGE, sniff
from ray_apps.serving.chain import Chain, DocumentsChain, Unavailable
from ray_apps.serving.metrics import RequestMetrics
from ray_apps.serving.problems import Problem, refused
from ray_apps.serving.requests import Document, ReadOptions
from ray_apps.serving.settings import AppSettings
from ray_apps.serving.uploads import JsonDocument, receive

_Form = TypeVar("_Form", bound=JsonDocument)
_Result = TypeVar("_Result")

Pages = Annotated[
    str | None,
    Query(
        pattern=r"^\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*$",
        max_length=200,
        description="page numbers and ranges; all pages when left out",
        examples=["1-3,7"],
    ),
]
Languages = Annotated[
    str | None,
    Query(
        pattern="^[a-z]{2}(,[a-z]{2})*$",
        max_length=100,
        description="languages to read as ISO 639-1 codes, most frequent first; the server's own when left out",
        examples=["en"],
    ),
]
UprightFormat = Annotated[
    Literal["none", "jpeg", "png"], Query(description="also return each page turned upright, in this format")
]
UprightSide = Annotated[int, Query(ge=64, le=10_000, description="px of that image's longer side, at most")]


async def receive_document(
    request: Request,
    settings: AppSettings,
    chain: Chain,
    metrics: RequestMetrics,
    form: type[_Form] = JsonDocument,
) -> tuple[Document, _Form]:
    """Return the document of a request, its pages counted, and the form that came with it.

    Raises:
        Problem: see `uploads.receive`; 503 (readers full or gone).
        DocumentError: it cannot be opened.
    """
    upload = await receive(request, settings, form)
    name, content = upload.name or "document", upload.content
    metrics.received(request.scope["route"].path, len(content))
    try:
        pages = 1
        if sniff(content[:HEAD_BYTES], name) in MULTI_PAGE:
            pages = await chain.count_pages(name, content)
    except Unavailable as error:
        raise refused("readers", f"{error}; try again later", settings.flow.retry_after_s) from error
    return Document(name, content, pages), upload.form


def read_options(
    document: Document,
    chain: DocumentsChain,
    max_pages: int,
    pages: str | None = None,
    languages: str | None = None,
    upright: Literal["none", "jpeg", "png"] = "none",
    upright_max_side: int = 1600,
) -> ReadOptions:
    """Return the options of a request, checked against its document and the recognisers.

    Raises:
        Problem: 413 (more than `max_pages` pages), 422 (pages that the document does not have, languages
            that no recogniser reads).
    """
    requested = tuple(languages.split(",")) if languages else chain.languages
    try:
        chain.recognition.recognizers_for(requested)
    except ConfigError as error:
        raise Problem(422, str(error)) from error
    selected = select_pages(document, pages, max_pages, ", or send the document as a job (POST /v1/jobs)")
    return ReadOptions(pages=selected, languages=requested, upright=upright, upright_max_side=upright_max_side)


def select_pages(document: Document, pages: str | None, max_pages: int, otherwise: str = "") -> tuple[int, ...]:
    """Return the numbers of the requested pages; `otherwise` adds a remedy to the message about too many.

    Raises:
        Problem: 413 (more than `max_pages`), 422 (pages that the document does not have).
    """
    chosen = _page_numbers(pages, document.page_count) if pages else range(1, document.page_count + 1)
    if len(chosen) > max_pages:
        detail = f"{len(chosen)} pages are over the limit of {max_pages} in one request; choose some with `pages`"
        raise Problem(413, detail + otherwise)
    return tuple(chosen)


def _page_numbers(text: str, page_count: int) -> list[int]:
    numbers: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= page_count:
            raise Problem(422, f"pages {text}: the document has the pages 1 to {page_count}")
        numbers.update(range(low, high + 1))
    return sorted(numbers)


async def with_timeout(seconds: float, work: Awaitable[_Result], pages: int = 1) -> _Result:
    """Await `work` on a number of `pages` for at most `seconds`.

    Raises:
        Problem: 503 when it takes longer.
    """
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        remedy = "ask for fewer pages at once" if pages > 1 else "try again later"
        raise refused("slow", f"the answer took longer than {seconds:g} s; {remedy}", retry_after_s=30) from None
