"""The part of the report that any reader can have: how many pages were read, and how fast."""

from typing import Any

from common.durations import duration
from pipelines.exports.store import RecordStore
from pipelines.report import sections
from pipelines.report.body import Body
from pipelines.report.markup import both, number, unknown
from pipelines.report.summary import Summary, shared_pass


def body(store: RecordStore[Any], job: dict[str, Any]) -> Body:
    """Return the figures that all readers have, and no pages."""
    summary = Summary()
    for _ in shared_pass(store, [], summary):
        pass
    return Body(summary, sections.tiles(tiles(job, summary)), "", "")


def tiles(job: dict[str, Any], summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return what `sections.tiles` takes: documents, pages read and failed, pages a second, time."""
    rate, seconds = job.get("pages_per_second"), job.get("wall_seconds")
    share = f"{summary.failed / max(1, summary.pages):.1%}"
    return [
        ("", number(summary.documents), both("documents", "문서"), ""),
        ("", number(summary.ok), both("pages read", "읽은 쪽"), ""),
        ("bad" if summary.failed else "", number(summary.failed), both("pages failed", "실패한 쪽"), share),
        ("", unknown() if rate is None else number(rate), both("pages a second", "초당 쪽 수"), ""),
        ("", unknown() if seconds is None else duration(seconds), both("last run took", "마지막 실행 시간"), ""),
    ]
