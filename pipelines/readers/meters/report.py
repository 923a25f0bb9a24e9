"""What the report shows of a meters job: classes, confidence, why readings cannot be used, and photos."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipelines.exports.store import RecordStore
from pipelines.readers.meters.cards import meter_card
from pipelines.readers.meters.record import MeterRecord
from pipelines.readers.meters.summary import MeterSummary, summarize_meters
from pipelines.report import charts, sections
from pipelines.report.body import Body
from pipelines.report.markup import both, escape, number, unknown

_PHOTOS_AXIS = charts.Axis("photos", "사진 수")
_CONFIDENCE_AXIS = charts.Axis("confidence, 0 to 1", "신뢰도 (0–1)")
_CLASSES = {"analog": "analog", "digital": "digital", "analog_illegible": "analog illeg.",
            "digital_illegible": "digital illeg.", "": "none found"}  # fmt: skip
# Codes of `models.meter.plausibility`, in words.
_CODES = {
    "falls": ("less than an earlier reading", "이전 값보다 작음"),
    "too_fast": ("more since an earlier reading than the meter can turn", "이전 값에 비해 너무 많이 증가"),
    "ahead": ("more than a later reading", "이후 값보다 큼"),
    "behind": ("less before a later reading than the meter can turn", "이후 값에 비해 너무 작음"),
    "same_time": ("another reading of the same time", "같은 시각의 다른 값"),
    "between": ("fits neither the readings before nor those after", "앞뒤 값과 모두 맞지 않음"),
    "places": ("another number of places than the meter has", "자릿수가 다름"),
}


def body(store: RecordStore[MeterRecord], job: dict[str, Any], load_page: Callable[[MeterRecord], np.ndarray]) -> Body:
    """The report of meters; implausible readings come first."""
    summary = summarize_meters(store)

    def photos(records: Sequence[MeterRecord], prefix: str) -> str:
        cards = [
            meter_card(record, summary.judgements.get(record.page_id), load_page, f"{prefix}{index}")
            for index, record in enumerate(records)
        ]
        return sections.pages(cards)

    shown = [
        sections.section(
            "implausible",
            both("Implausible readings", "있을 수 없는 값"),
            both(
                "A fair sample of the readings that the others of their meter speak against.",
                "같은 계량기의 다른 값과 맞지 않는 값에서 고르게 뽑은 표본입니다.",
            ),
            photos(summary.implausible, "implausible"),
        ),
        sections.section(
            "unread",
            both("Photos without a reading", "값을 읽지 못한 사진"),
            both("A fair sample; each says why.", "고르게 뽑은 표본이며, 이유를 함께 적었습니다."),
            photos(summary.unread, "unread"),
        ),
        sections.section(
            "sampled",
            both("Photos drawn at random", "무작위로 고른 사진"),
            both(
                "A fair sample of all photos, the same in every report of this job. Click one to enlarge it.",
                "모든 사진에서 고르게 뽑은 표본이며, 이 작업의 보고서마다 같습니다. 누르면 커집니다.",
            ),
            photos(summary.sampled, "sampled"),
        ),
    ]
    distributions = sections.section(
        "distributions", both("Classes and confidence", "종류와 신뢰도"), "", _charts(summary)
    )
    reasons = sections.section(
        "readings",
        both("Readings that cannot be used", "쓸 수 없는 값"),
        both(
            "Each reading is judged by the others of its meter (readings.parquet); what was read is always kept.",
            "모든 값은 같은 계량기의 다른 값과 견주어 판단합니다(readings.parquet). 읽은 값은 그대로 남습니다.",
        ),
        f'<div class="card">{_reasons(summary)}</div>',
    )
    return Body(summary, _tiles(job, summary), distributions + reasons, "\n".join(shown))


def _tiles(job: dict[str, Any], summary: MeterSummary) -> str:
    rate, found = job.get("pages_per_second"), summary.findings
    implausible = found.implausible.total()

    def judged(count: int) -> str:
        return number(count) if summary.judged else unknown()

    return sections.tiles(
        [
            ("", number(summary.pages), both("photos", "사진"), ""),
            ("", number(found.success), both("with a reading", "값을 읽음"), _share(found.success, summary.pages)),
            ("bad" if implausible else "", judged(implausible), both("implausible", "있을 수 없는 값"), ""),
            ("", judged(found.repaired), both("repaired", "바로잡음"), ""),
            (
                "bad" if summary.failed else "",
                number(summary.failed),
                both("photos failed", "실패한 사진"),
                _share(summary.failed, summary.pages),
            ),
            ("", unknown() if rate is None else number(rate), both("photos a second", "초당 사진 수"), ""),
        ]
    )


def _share(count: int, whole: int) -> str:
    return f"{count / max(1, whole):.1%}"


def _charts(summary: MeterSummary) -> str:
    classes = [(name, summary.classes[key]) for key, name in _CLASSES.items()]
    found = summary.findings
    judgements = [
        ("plausible", found.plausible),
        ("implausible", found.implausible.total()),
        ("not judged", found.unjudged),
        ("no meter", summary.pages - found.plausible - found.implausible.total() - found.unjudged),
    ]
    return sections.cards(
        [
            (
                both("Class", "종류"),
                both("What kind of display was found.", "찾은 표시창의 종류."),
                sum(summary.classes.values()),
                lambda: charts.columns(classes, charts.Axis("class of the display", "표시창 종류"), _PHOTOS_AXIS),
            ),
            (
                both("Plausibility", "타당성"),
                both(
                    "Not judged: no other reading of the meter. No meter: the manifest says none.",
                    "not judged: 견줄 값 없음. no meter: 목록에 계량기 정보 없음.",
                ),
                summary.pages if summary.judged else 0,
                lambda: charts.columns(judgements, charts.Axis("what is thought of it", "판단"), _PHOTOS_AXIS),
            ),
            (
                both("Class confidence", "종류 신뢰도"),
                both("Where a display was found.", "표시창을 찾은 사진."),
                summary.class_confidence.total,
                lambda: charts.histogram(summary.class_confidence, _CONFIDENCE_AXIS, _PHOTOS_AXIS),
            ),
            (
                both("Reading confidence", "값 신뢰도"),
                both("Of the least sure place of each display.", "표시창마다 가장 불확실한 자리."),
                summary.confidence.total,
                lambda: charts.histogram(summary.confidence, _CONFIDENCE_AXIS, _PHOTOS_AXIS),
            ),
        ]
    )


def _reasons(summary: MeterSummary) -> str:
    found = summary.findings
    if not found.not_read and not found.implausible:
        return f'<p class="good">{both("All readings can be used.", "모든 값을 쓸 수 있습니다.")}</p>'
    unread = [(escape(reason), count) for reason, count in found.not_read.most_common()]
    implausible = [(_meaning(code), count) for code, count in found.implausible.most_common()]
    return _table(both("Why there is no reading", "읽지 못한 이유"), unread) + _table(
        both("Why a reading cannot be right", "있을 수 없는 이유"), implausible
    )


def _meaning(code: str) -> str:
    english, korean = _CODES.get(code, (code, code))
    return f"{both(escape(english), escape(korean))} <code>{escape(code)}</code>"


def _table(title: str, rows: Sequence[tuple[str, int]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td>{name}</td><td class=n>{number(count)}</td></tr>" for name, count in rows)
    head = f"<tr><th>{title}</th><th class=n>{both('Photos', '사진 수')}</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{lines}</tbody></table>"
