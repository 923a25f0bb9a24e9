"""The part of the report that any reader can have: how many pages were read, and how fast."""

from typing import Any

from common.durations import duration
from pipelines.exports.store import RecordStore
from pipelines.report.body import Body, Tile
from pipelines.report.numbers import number, share
from pipelines.report.summary import Summary, gathered, shared_pass


def body(store: RecordStore[Any], job: dict[str, Any]) -> Body:
    """Return the figures that all readers have, and no pages."""
    summary = gathered(store, _gather)
    return Body(summary, tiles(job, summary))


def _gather(store: RecordStore[Any], parts: range) -> Summary:
    summary = Summary()
    for _ in shared_pass(store, parts, [], summary):
        pass
    return summary


def tiles(job: dict[str, Any], summary: Summary) -> list[Tile]:
    """Return documents, pages read and failed, pages per second, and the time of the last run."""
    rate, seconds = job.get("pages_per_second"), job.get("wall_seconds")
    failed = share(summary.failed, summary.pages)
    return [
        Tile(number(summary.documents), "documents", "문서"),
        Tile(number(summary.ok), "pages read", "읽은 쪽"),
        Tile(number(summary.failed), "pages failed", "실패한 쪽", failed, bad=summary.failed > 0),
        Tile(None if rate is None else number(rate), "pages a second", "초당 쪽 수"),
        Tile(None if seconds is None else duration(seconds), "last run took", "마지막 실행 시간"),
    ]
