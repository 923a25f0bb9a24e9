"""What the report shows of a documents job: angles, confidence, the least confident pages and some at random."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipelines.exports.store import RecordStore
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.documents.summary import PageSummary, summarize
from pipelines.report import charts, plain, sections
from pipelines.report.body import Body
from pipelines.report.markup import both, number
from pipelines.report.overlays import page_card

_PAGES_AXIS = charts.Axis("pages", "쪽 수")
_LINES_AXIS = charts.Axis("lines", "줄 수")
_LEGEND = "".join(
    [
        '<p class="legend">',
        f'<span><i class="high"></i>{both("0.9 and more", "0.9 이상")}</span>',
        '<span><i class="middle"></i>0.7–0.9</span>',
        f'<span><i class="low"></i>{both("less than 0.7", "0.7 미만")}</span>',
        f'<span><i class="turn"></i>{both("how far the page stood turned", "쪽이 돌아간 각도")}</span>',
        "<span>",
        both(
            "Click a page to enlarge it; point at a line to read it.",
            "쪽을 누르면 커지고, 글줄을 가리키면 내용이 보입니다.",
        ),
        "</span>",
        "</p>",
    ]
)


def body(store: RecordStore[PageRecord], job: dict[str, Any], load_page: Callable[[PageRecord], np.ndarray]) -> Body:
    """The report of documents."""
    summary = summarize(store)
    worst = sections.section(
        "worst",
        both("Least confident pages", "신뢰도가 가장 낮은 쪽"),
        both(
            "Lowest mean line confidence first: look here for what to improve.",
            "글줄 평균 신뢰도가 낮은 순서입니다. 개선할 점을 여기서 찾으세요.",
        ),
        f"{_LEGEND}\n{_pages(summary.worst, load_page, 'worst')}",
    )
    sampled = sections.section(
        "sampled",
        both("Pages drawn at random", "무작위로 고른 쪽"),
        both(
            "A fair sample of the pages that were read, the same in every report of this job.",
            "읽은 쪽에서 고르게 뽑은 표본이며, 이 작업의 보고서마다 같습니다.",
        ),
        _pages(summary.sampled, load_page, "sampled"),
    )
    title = both("Angles and confidence", "각도와 신뢰도")
    distributions = sections.section("distributions", title, "", _histograms(summary))
    return Body(summary, _tiles(job, summary), distributions, f"{worst}\n{sampled}")


def _tiles(job: dict[str, Any], summary: PageSummary) -> str:
    lines = ("", number(summary.lines), both("text lines", "글줄"), "")
    return sections.tiles([*plain.tiles(job, summary), lines])


def _pages(records: Sequence[PageRecord], load_page: Callable[[PageRecord], np.ndarray], prefix: str) -> str:
    return sections.pages([page_card(record, load_page, f"{prefix}{n}") for n, record in enumerate(records)])


def _histograms(summary: PageSummary) -> str:
    orientation = [(f"{degrees}°", summary.orientation.get(degrees, 0)) for degrees in (0, 90, 180, 270)]
    skew, confidence = summary.skew, summary.line_confidence
    median = number(confidence.quantile(0.5), 2) if confidence.total else "–"
    cards = [
        (
            both("Skew", "기울기"),
            both("How far text was turned counter-clockwise within a quarter.", "사분 회전을 뺀, 반시계 방향 기울기."),
            skew.total,
            lambda: charts.histogram(skew.trimmed(40), charts.Axis("skew, degrees", "기울기 (도)"), _PAGES_AXIS, "°"),
        ),
        (
            both("Skew confidence", "기울기 신뢰도"),
            both("0 is a guess, 1 is sure.", "0은 추측, 1은 확신."),
            summary.skew_confidence.total,
            lambda: charts.histogram(
                summary.skew_confidence, charts.Axis("confidence, 0 to 1", "신뢰도 (0–1)"), _PAGES_AXIS
            ),
        ),
        (
            both("Orientation", "방향"),
            both("Quarter turns counter-clockwise; 180° is upside down.", "반시계 방향 사분 회전. 180°는 거꾸로."),
            sum(summary.orientation.values()),
            lambda: charts.columns(orientation, charts.Axis("orientation, degrees", "방향 (도)"), _PAGES_AXIS),
        ),
        (
            both("Line confidence", "글줄 신뢰도"),
            both(f"Of every text line; the median is {median}.", f"모든 글줄. 중앙값은 {median}."),
            confidence.total,
            lambda: charts.histogram(confidence, charts.Axis("confidence, 0 to 1", "신뢰도 (0–1)"), _LINES_AXIS),
        ),
    ]
    return sections.cards(cards)
