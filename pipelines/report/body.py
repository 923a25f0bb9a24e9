"""The part of the report that differs from reader to reader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.report.card import Words
from pipelines.report.summary import Summary

PLAIN = "pipelines.report/report.html"


@dataclass(frozen=True)
class Tile:
    """One of the figures at the top: its value (None: unknown), its name, a note behind the name."""

    value: str | None
    english: str
    korean: str
    note: str = ""
    bad: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart beside others: title and caption in both languages, and its drawing; None: there are no values."""

    title: Words
    caption: Words
    drawing: str | None


@dataclass(frozen=True)
class Body:
    """What a reader shows of a job.

    Attributes:
        summary: the figures of all pages.
        tiles: the figures at the top.
        template: `PACKAGE/FILE` for `common.html.render`. It extends `pipelines.report/report.html`, by default with
            nothing, and fills its blocks `distributions` and `shown`.
        values: what the template uses beside `summary` and the job's own values.
    """

    summary: Summary
    tiles: list[Tile]
    template: str = PLAIN
    values: Mapping[str, Any] = field(default_factory=dict)
