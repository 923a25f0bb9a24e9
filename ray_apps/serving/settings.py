"""Settings of a served app: the `args` of an application in `configs/serve/*.yaml`, as its builder takes them.
Replicas, batch sizes, queues and time-outs are Ray Serve's own settings, under `deployments`.
"""

import os
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator

from common.config import ConfigError, Settings
from pipelines.readers.base import Reader

# Storage whose URI alone determines what is read. HTTP is not among them: a redirect may lead anywhere.
_FETCHABLE = ("s3://", "gs://", "gcs://", "az://", "abfs://", "abfss://", "file:///")


# Deployments of an app besides its reader's stages.
OWN_DEPLOYMENTS = ("ingress", "jobs")


class RequestLimits(Settings):
    """Limits that are checked before anything is decoded."""

    upload_mib: float = Field(default=50, gt=0)
    upload_seconds: float = Field(default=30, gt=0, description="time for a request body to arrive")
    upload_kib_s: float = Field(default=8, gt=0, description="a body that arrives more slowly is refused after 5 s")
    megapixels: float = Field(default=100, gt=0, description="of a page; PDF pages are rendered smaller instead")
    pages: int = Field(default=50, ge=1, description="read in one request")


class DocumentLimits(RequestLimits):
    """Limits of documents. A document over `pages` can be sent as a job."""

    job_pages: int = Field(default=5000, ge=1, description="read in one job")


class PhotoLimits(RequestLimits):
    """Limits of photos. Pixels written as JSON numbers take about a hundred bytes each to parse: fewer are accepted."""

    json_megapixels: float = Field(default=6, gt=0, description="of an image given as nested lists of numbers")


class FlowSettings(Settings):
    """Limits of what is handled at once; more is refused with 503."""

    per: Literal["ingress", "app"] = Field(
        default="ingress",
        description="whose `requests` and `receiving` are: of each ingress replica, or of the app, whose running "
        "ingress replicas then have equal parts of them",
    )
    requests: int = Field(default=32, ge=1, description="requests being read or waiting")
    receiving: int = Field(default=160, ge=1, description="requests whose body is arriving")
    receiving_mib: float = Field(
        default=1024, gt=0, description="memory of all bodies that are arriving at an ingress replica"
    )
    client_share: float = Field(
        default=0.75, gt=0, le=1, description="share of `requests` and `receiving` for one API key or address"
    )
    pages_per_request: int = Field(default=8, ge=1, description="pages of one document that are read at once")
    request_seconds: float = Field(default=110, gt=0, description="time limit of a request; below Serve's own")
    retry_after_s: int = Field(default=2, ge=1, description="sent to a client that is refused")


class JobSettings(Settings):
    """Asynchronous jobs."""

    store: str = Field(default="~/.ocray/jobs", description="folder or URI for documents and results")
    pages_in_flight: int = Field(default=4, ge=1, description="of all jobs together")
    waiting: int = Field(default=100, ge=1, description="unfinished jobs; more are refused with 429")
    client_share: float = Field(default=0.75, gt=0, le=1, description="share of `waiting` for one API key")
    keep_hours: float = Field(default=168, gt=0, description="a finished job is deleted after this time")

    @field_validator("store")
    @classmethod
    def _store_is_absolute(cls, store: str) -> str:
        if "://" not in store and not store.startswith(("/", "~")):
            raise ValueError(f"{store!r} is relative, and a replica's working folder is anywhere; begin it with / or ~")
        return os.path.expanduser(store)


class AppSettings(Settings):
    """Settings of every served reader.

    `stages` sets which stages share a deployment: `{reader: [decode, deskew, …]}` is one deployment for all,
    `{straighten: [decode, …], text: […]}` is two, in this order.
    """

    reader: str = Field(description="name in configs/pipelines or a YAML file")
    device: str = "cpu"
    threads: int = Field(default=1, ge=1, description="CPU threads of a replica's networks")
    stages: dict[str, list[str]]
    limits: RequestLimits = RequestLimits()
    flow: FlowSettings = FlowSettings()
    uri_prefixes: list[str] = Field(default=[], description="documents may be named by URIs below these; none: never")
    allowed_hosts: list[str] = Field(
        default=[], description="host names of this server, `*.example.org` for all below; none: any"
    )
    cors_origins: list[str] = Field(
        default=[],
        description="origins whose web pages may use the API, `https://app.example.org`; none: never",
    )
    require_api_key: bool = Field(default=False, description="refuse to start without keys in OCRAY_API_KEYS")

    @field_validator("uri_prefixes")
    @classmethod
    def _prefixes_are_storage(cls, prefixes: list[str]) -> list[str]:
        for prefix in prefixes:
            if not prefix.startswith(_FETCHABLE) or not prefix.endswith("/") or ".." in prefix:
                raise ValueError(f"{prefix!r} must be a folder of {', '.join(_FETCHABLE)} and end in /")
        return prefixes

    @field_validator("stages")
    @classmethod
    def _names_are_free(cls, stages: dict[str, list[str]]) -> dict[str, list[str]]:
        taken = set(OWN_DEPLOYMENTS) & stages.keys()
        if taken:
            raise ValueError(f"{taken.pop()} is the name of another deployment of the app; choose another name")
        return stages


class DocumentsSettings(AppSettings):
    """A served reader of documents."""

    reader: str = "documents"
    languages: list[str] | None = Field(
        default=None, description="read unless a request names others; the reader's when left out"
    )
    # Settings are never assigned, so a narrower type is safe.
    limits: DocumentLimits = DocumentLimits()  # pyright: ignore[reportIncompatibleVariableOverride]
    jobs: JobSettings = JobSettings()
    meters_prefix: str | None = Field(
        default=None, pattern="^/", description="route_prefix of a meters app beside this one; the page then has both"
    )


class MetersSettings(AppSettings):
    """A served reader of meters."""

    reader: str = "meters"
    limits: PhotoLimits = PhotoLimits()  # pyright: ignore[reportIncompatibleVariableOverride]


_Reader = TypeVar("_Reader", bound=Reader[Any, Any])


def served_reader(reader: Reader[Any, Any], kind: type[_Reader], settings: AppSettings) -> _Reader:
    """Return the reader of an app that serves `kind`, within the app's limits.

    Raises:
        ConfigError: it is another reader, or its stages are not those of the deployments.
    """
    if not isinstance(reader, kind):
        raise ConfigError(f"args.reader: {settings.reader} is of the {reader.name} reader; this app reads {kind.name}")
    reader = reader.with_limits(max_megapixels=settings.limits.megapixels)
    check_groups(settings.stages, [spec.stage.name for spec in reader.stages(settings.device, settings.threads)])
    return reader


def check_groups(groups: dict[str, list[str]], stages: list[str]) -> None:
    """Check that `groups` hold each of `stages` once, in order.

    Raises:
        ConfigError: they do not.
    """
    given: list[Any] = [stage for group in groups.values() for stage in group]
    if given != stages or not all(groups.values()):
        raise ConfigError(f"stages: the deployments hold {given}; they must hold {stages}, each once and in this order")
