"""A job's card: what is to be read, how far it is, how it ended."""

import re
import secrets
from datetime import datetime, timezone
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pipelines.records import PageError
from ray_apps.serving.answers import DocumentInfo, JobAnswer, JobResultAnswer, ReadPage
from ray_apps.serving.requests import Document, ReadOptions

State = Literal["queued", "running", "finished", "failed", "cancelled"]

# All changes of state. A job that runs when its server stops stays `running` in the next one.
_NEXT: dict[State, set[State]] = {
    "queued": {"running", "failed", "cancelled"},
    "running": {"running", "finished", "failed", "cancelled"},
    "finished": set(),
    "failed": set(),
    "cancelled": set(),
}

_ID = re.compile(r"[0-9]{14}-[0-9a-f]{32}")


class JobNotFound(LookupError):
    """There is no such job: it never existed, was deleted, or has expired."""

    def __str__(self) -> str:
        return f"no job {self.args[0][:64]!r}; it may have been deleted, or its time to be kept is over"


def new_id() -> str:
    """Return `YYYYMMDDhhmmss-` (UTC) and 128 random bits: ids cannot be guessed, and show their age."""
    return f"{datetime.now(timezone.utc):%Y%m%d%H%M%S}-{secrets.token_hex(16)}"


def is_id(text: str) -> bool:
    """Return whether `text`, which may come from a URL, has the form of an id; only then may it be part of a path."""
    return _ID.fullmatch(text) is not None


def time_in(job_id: str) -> datetime:
    """When a job was created, to the second, from its id."""
    return datetime.strptime(job_id[:14], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)


def now() -> str:
    """ISO 8601, UTC, milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class JobRecord(BaseModel):
    """What `job.json` holds. A record is never changed: each step makes a new one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    state: State = "queued"
    document: DocumentInfo
    options: ReadOptions
    pages_done: int = 0
    pages_failed: int = 0
    created: str
    updated: str
    error: PageError | None = None
    owner: str | None = None  # digest of the API key that made it; None where no keys were wanted
    trouble: str | None = Field(default=None, exclude=True)  # why it does not get on now; never written
    key: str | None = None  # name of the file that leads from the client's idempotency key to this job

    @property
    def ended(self) -> bool:
        """Finished, failed or cancelled: nothing changes any more."""
        return not _NEXT[self.state]

    @property
    def is_complete(self) -> bool:
        """All pages are done."""
        return self.pages_done >= len(self.options.pages)

    def moved(self, state: State, error: PageError | None = None) -> "JobRecord":
        """Return the record in another state.

        Raises:
            ValueError: there is no way there from the state it is in.
        """
        if state not in _NEXT[self.state]:
            raise ValueError(f"job {self.id} is {self.state} and cannot become {state}")
        return self.model_copy(update={"state": state, "error": error, "updated": now()})

    def counted(self, done: int, failed: int) -> "JobRecord":
        """Return the record with other counts of pages."""
        return self.model_copy(update={"pages_done": done, "pages_failed": failed, "updated": now()})

    def is_of(self, owner: str | None) -> bool:
        """Return whether `owner` may see the job. A job without an owner is visible to everyone who knows its id."""
        return self.owner is None or self.owner == owner

    def is_for(self, document: Document, options: ReadOptions) -> bool:
        """Return whether this job reads that document with those options."""
        return self.document.sha256 == document.sha256 and self.options == options

    def answer(self, base: str = "/v1/jobs") -> JobAnswer:
        """Return the record as the API's answer; `base` is the path of jobs."""
        own = self.model_dump(include=set(JobAnswer.model_fields))
        url = f"{base}/{self.id}"
        own["trouble"] = None if self.ended else self.trouble
        return JobAnswer(**own, pages=len(self.options.pages), status_url=url, result_url=f"{url}/result")


class JobPages(NamedTuple):
    """Pages of a job in page order; `next_offset` is where the next ones start, None when there will be none."""

    record: JobRecord
    pages: list[ReadPage]
    next_offset: int | None

    def answer(self, base: str = "/v1/jobs") -> JobResultAnswer:
        return JobResultAnswer(job=self.record.answer(base), pages=self.pages, next_offset=self.next_offset)
