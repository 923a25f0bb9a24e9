"""What a request asks for in its query, and the documents it is asked of."""

import asyncio
import re
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
        description="languages to read as ISO 639-1 codes, the commonest first; the server's own when left out",
        examples=["en"],
    ),
]
UprightFormat = Annotated[
    Literal["none", "jpeg", "png"], Query(description="also answer each page turned upright, in this format")
]
UprightSide = Annotated[int, Query(ge=64, le=10_000, description="px of that image's longer side, at most")]


async def take_document(
    request: Request,
    settings: AppSettings,
    chain: Chain,
    metrics: RequestMetrics,
    form: type[_Form] = JsonDocument,
) -> tuple[Document, _Form]:
    """The document a request brings, its pages counted, and what was said with it.

    Raises:
        Problem: see `uploads.receive`; 503. DocumentError: it cannot be opened.
    """
    upload = await receive(request, settings, form)
    name, content = upload.name or "document", upload.content
    metrics.taken(request.scope["route"].path, len(content))
    try:
        pages = 1
        if sniff(content[:HEAD_BYTES], name) in MULTI_PAGE:
            pages = await chain.count_pages(name, content)
    except Unavailable as error:
        raise refused("readers", f"{error}; try again later", settings.flow.retry_after_s) from error
    return Document(name, content, pages), upload.form


def choose(
    document: Document,
    chain: DocumentsChain,
    most_pages: int,
    pages: str | None = None,
    languages: str | None = None,
    upright: str = "none",
    upright_max_side: int = 1600,
) -> ReadOptions:
    """The options of a request, checked against its document and the recognisers there are.

    Raises:
        Problem: 413 (more than `most_pages` pages), 422 (pages the document lacks, languages nobody reads).
    """
    requested = tuple(languages.split(",")) if languages else chain.languages
    try:
        chain.recognition.recognizers_for(requested)
    except ConfigError as error:
        raise Problem(422, str(error)) from error
    chosen = choose_pages(document, pages, most_pages, ", or send the document as a job (POST /v1/jobs)")
    return ReadOptions(pages=chosen, languages=requested, upright=upright, upright_max_side=upright_max_side)


def choose_pages(document: Document, pages: str | None, most_pages: int, otherwise: str = "") -> tuple[int, ...]:
    """The numbers of the pages a request asks for; `otherwise` is what to do about too many beside asking for fewer.

    Raises:
        Problem: 413 (more than `most_pages`), 422 (pages the document lacks).
    """
    chosen = _page_numbers(pages, document.page_count) if pages else range(1, document.page_count + 1)
    if len(chosen) > most_pages:
        detail = f"{len(chosen)} pages are over the limit of {most_pages} in one request; choose some with `pages`"
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


async def within(seconds: float, work, pages: int = 1) -> object:
    """Await `work` on `pages`, for `seconds` at most.

    Raises:
        Problem: 503 when it takes longer.
    """
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        remedy = "ask for fewer pages at once" if pages > 1 else "try again later"
        raise refused("slow", f"the answer took longer than {seconds:g} s; {remedy}", retry_after_s=30) from None
