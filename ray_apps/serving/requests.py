"""A request: a document, and the options of reading it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ray_apps.serving.answers import DocumentInfo


@dataclass(frozen=True, eq=False)
class Document:
    """A document as it was received: encoded bytes, the name the client gave (no path of the server), page count."""

    name: str
    content: bytes
    page_count: int

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def info(self) -> DocumentInfo:
        return DocumentInfo(name=self.name, bytes=len(self.content), sha256=self.sha256, page_count=self.page_count)


class ReadOptions(BaseModel):
    """How a document is read. `pages` are 1-based numbers in ascending order, already checked against the document;
    `languages` ISO 639-1 codes that the recognisers read, checked too; none for a reader that knows no languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pages: tuple[int, ...]
    languages: tuple[str, ...] = ()
    upright: Literal["none", "jpeg", "png"] = "none"
    upright_max_side: int = Field(default=1600, ge=64, le=10_000, description="px")
