"""What the report shows of a documents job: angles, confidence, the least confident pages and some at random."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipelines.exports.store import RecordStore
from pipelines.readers.documents.cards import page_card
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.documents.summary import PageSummary, summarize
from pipelines.report import plain
from pipelines.report.body import Body, Chart, Tile
from pipelines.report.charts import Axis, columns, histogram
from pipelines.report.numbers import number

_PAGES_AXIS = Axis("pages", "쪽 수")
_LINES_AXIS = Axis("lines", "줄 수")
_CONFIDENCE_AXIS = Axis("confidence, 0 to 1", "신뢰도 (0–1)")


def body(store: RecordStore[PageRecord], job: dict[str, Any], load_page: Callable[[PageRecord], np.ndarray]) -> Body:
    """Return the report of documents."""
    summary = summarize(store)
    shown = {"worst": summary.worst, "sampled": summary.sampled}
    cards = {
        name: [page_card(record, load_page, f"{name}{index}") for index, record in enumerate(records)]
        for name, records in shown.items()
    }
    tiles = [*plain.tiles(job, summary), Tile(number(summary.lines), "text lines", "글줄")]
    values = {"charts": _charts(summary), **cards}
    return Body(summary, tiles, "pipelines.readers.documents/report.html", values)


def _charts(summary: PageSummary) -> list[Chart]:
    orientation = [(f"{degrees}°", summary.orientation.get(degrees, 0)) for degrees in (0, 90, 180, 270)]
    skew, sure, confidence = summary.skew, summary.skew_confidence, summary.line_confidence
    median = number(confidence.quantile(0.5), 2) if confidence.total else "–"
    skew_axis = Axis("skew, degrees", "기울기 (도)")
    return [
        Chart(
            ("Skew", "기울기"),
            ("How far text was turned counter-clockwise within a quarter.", "사분 회전을 뺀, 반시계 방향 기울기."),
            histogram(skew.trimmed(40), skew_axis, _PAGES_AXIS, "°") if skew.total else None,
        ),
        Chart(
            ("Skew confidence", "기울기 신뢰도"),
            ("0 is a guess, 1 is sure.", "0은 추측, 1은 확신."),
            histogram(sure, _CONFIDENCE_AXIS, _PAGES_AXIS) if sure.total else None,
        ),
        Chart(
            ("Orientation", "방향"),
            ("Quarter turns counter-clockwise; 180° is upside down.", "반시계 방향 사분 회전. 180°는 거꾸로."),
            columns(orientation, Axis("orientation, degrees", "방향 (도)"), _PAGES_AXIS)
            if summary.orientation
            else None,
        ),
        Chart(
            ("Line confidence", "글줄 신뢰도"),
            (f"Of every text line; the median is {median}.", f"모든 글줄. 중앙값은 {median}."),
            histogram(confidence, _CONFIDENCE_AXIS, _LINES_AXIS) if confidence.total else None,
        ),
    ]
