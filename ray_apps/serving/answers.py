"""Responses of the HTTP API. Pages are the bulk job's records; the rest is an envelope around them."""

import base64
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pipelines.readers.documents.record import PageRecord
from pipelines.readers.meters.record import MeterRecord
from pipelines.records import PageError

if TYPE_CHECKING:  # clients import this module, and pages bring OpenCV with them
    from pipelines.page import Page


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UprightImage(Answer):
    """A page turned upright. `matrix` (2 × 3) maps original pixels (x, y, 1) to pixels of this image."""

    media_type: Literal["image/jpeg", "image/png"]
    width: int = Field(description="px")
    height: int = Field(description="px")
    matrix: list[list[float]]
    content: str = Field(description="base64")

    @classmethod
    def of(cls, page: "Page") -> "UprightImage | None":
        """Return the upright image of a page, if it has one."""
        upright = page.upright
        if upright is None or upright.matrix is None:
            return None
        return cls(
            media_type=upright.media_type,
            width=upright.width,
            height=upright.height,
            matrix=upright.matrix.tolist(),
            content=base64.b64encode(upright.content).decode(),
        )


class ReadPage(PageRecord):
    """A page's record, and its upright image if requested."""

    upright: UprightImage | None = None

    @classmethod
    def of(cls, page: "Page") -> "ReadPage":
        # The record was validated when it was made; doing it again would cost more than the rest of an answer.
        return cls.model_construct(**dict(page.record), upright=UprightImage.of(page))


class DocumentInfo(Answer):
    """The document as it was received."""

    name: str = Field(description="file name or URI the client gave")
    bytes: int
    sha256: str
    page_count: int


_Page = TypeVar("_Page", bound=BaseModel)


class PagesAnswer(Answer, Generic[_Page]):
    """The pages of a document."""

    request_id: str
    document: DocumentInfo
    pages: list[_Page]
    total_ms: float = Field(description="time from the complete request to the answer")


class DocumentAnswer(PagesAnswer[ReadPage]):
    """A document read. A page that failed has `status` `error` and says why; the others are not touched by it."""


class StraightenedPage(Answer):
    """How a page is turned: turning it clockwise by `orientation_degrees + skew_degrees` makes it upright."""

    page_number: int
    width: int
    height: int
    status: Literal["ok", "error"]
    error: PageError | None
    skew_degrees: float | None
    skew_confidence: float | None
    orientation_degrees: int | None
    orientation_confidence: float | None
    withheld_degrees: float | None = None
    timings_ms: dict[str, float]
    models: dict[str, str]
    upright: UprightImage | None = None

    @classmethod
    def of(cls, page: "Page") -> "StraightenedPage":
        record = dict(page.record)
        fields = {name: record[name] for name in cls.model_fields if name in record}
        return cls(**fields, upright=UprightImage.of(page))


class DeskewAnswer(PagesAnswer[StraightenedPage]):
    """A document's pages, straightened."""


class Judgement(Answer):
    """Whether a reading is plausible, given the earlier ones of its meter."""

    plausible: bool | None = Field(description="null when there is nothing to judge by")
    reason: str = Field(description="why it is not, or was not judged: a code, a colon and the figures in words")
    repaired: str | None = Field(description="the one reading that was meant, where exactly one is possible")


class MeterPage(MeterRecord):
    """A photo's record, and the judgement of its reading if a history came with it."""

    judgement: Judgement | None = None


class MeterAnswer(PagesAnswer[MeterPage]):
    """Photos of meters read. Only a reading with `success` may be used; `reason` says why another may not."""


class RecognizeAnswer(Answer):
    """A photo of a meter read, in the fields of the counter recognition server, and why it may not be used."""

    original_image_shape: list[int] = Field(description="height, width, 3 channels")
    success: bool
    text: str = Field(description="the reading; empty without success")
    counter_class: str = Field(description="analog, digital, analog_illegible, digital_illegible; empty: no display")
    counter_score: float = Field(description="confidence of the class, 0..1")
    time: float = Field(description="seconds from the complete request to the answer")
    reason: str = Field(description="why there is no success; empty with it")


class JobAnswer(Answer):
    """A job: its state, and where its result will be."""

    id: str
    state: Literal["queued", "running", "finished", "failed", "cancelled"]
    document: DocumentInfo
    pages: int = Field(description="pages to read")
    pages_done: int
    pages_failed: int
    created: str = Field(description="ISO 8601, UTC")
    updated: str = Field(description="ISO 8601, UTC")
    error: PageError | None = Field(default=None, description="why the job as a whole failed")
    trouble: str | None = Field(default=None, description="why the job makes no progress at the moment")
    status_url: str
    result_url: str


class JobResultAnswer(Answer):
    """Pages of a job, in page order. Those of a running job arrive as they are read: request more from
    `next_offset`."""

    job: JobAnswer
    pages: list[ReadPage]
    next_offset: int | None = Field(description="offset of the next pages; null when there are no more")


class ModelAnswer(Answer):
    """A model of the app: the card of its bundle."""

    stage: str
    name: str
    task: str
    architecture: str
    languages: list[str]
    licence: str
    training_data: str
    metrics: list[dict] = Field(description="measured figures, with data and command")
    device: str
