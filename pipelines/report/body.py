"""The part of the report that differs from reader to reader."""

from dataclasses import dataclass

from pipelines.report.summary import Summary


@dataclass(frozen=True)
class Body:
    """A reader's figures, and as HTML: its `tiles`, the section of its `distributions`, and those that show pages."""

    summary: Summary
    tiles: str
    distributions: str
    shown: str
