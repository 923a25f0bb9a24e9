"""What the report shows of a meters job: classes, confidence, why readings cannot be used, and photos."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipelines.exports.store import RecordStore
from pipelines.readers.meters.cards import meter_card
from pipelines.readers.meters.record import MeterRecord
from pipelines.readers.meters.summary import MeterSummary, summarize_meters
from pipelines.report.body import Body, Chart, Tile
from pipelines.report.charts import Axis, columns, histogram
from pipelines.report.numbers import number, share

_PHOTOS_AXIS = Axis("photos", "사진 수")
_CONFIDENCE_AXIS = Axis("confidence, 0 to 1", "신뢰도 (0–1)")
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
    """Return the report of meters; implausible readings come first."""
    summary = summarize_meters(store)
    shown = {"implausible": summary.implausible, "unread": summary.unread, "sampled": summary.sampled}
    cards = {
        name: [
            meter_card(record, summary.judgements.get(record.page_id), load_page, f"{name}{index}")
            for index, record in enumerate(records)
        ]
        for name, records in shown.items()
    }
    values = {"charts": _charts(summary), "codes": _CODES, **cards}
    return Body(summary, _tiles(job, summary), "pipelines.readers.meters/report.html", values)


def _tiles(job: dict[str, Any], summary: MeterSummary) -> list[Tile]:
    rate, found = job.get("pages_per_second"), summary.findings
    implausible = found.implausible.total()
    failed = share(summary.failed, summary.pages)
    judged = summary.judged
    return [
        Tile(number(summary.pages), "photos", "사진"),
        Tile(number(found.success), "with a reading", "값을 읽음", share(found.success, summary.pages)),
        Tile(number(implausible) if judged else None, "implausible", "있을 수 없는 값", bad=implausible > 0),
        Tile(number(found.repaired) if judged else None, "repaired", "바로잡음"),
        Tile(number(summary.failed), "photos failed", "실패한 사진", failed, bad=summary.failed > 0),
        Tile(None if rate is None else number(rate), "photos a second", "초당 사진 수"),
    ]


def _charts(summary: MeterSummary) -> list[Chart]:
    classes = [(name, summary.classes[key]) for key, name in _CLASSES.items()]
    found = summary.findings
    judgements = [
        ("plausible", found.plausible),
        ("implausible", found.implausible.total()),
        ("not judged", found.unjudged),
        ("no meter", summary.pages - found.plausible - found.implausible.total() - found.unjudged),
    ]
    kinds, of_class, of_reading = summary.classes.total(), summary.class_confidence, summary.confidence
    return [
        Chart(
            ("Class", "종류"),
            ("What kind of display was found.", "찾은 표시창의 종류."),
            columns(classes, Axis("class of the display", "표시창 종류"), _PHOTOS_AXIS) if kinds else None,
        ),
        Chart(
            ("Plausibility", "타당성"),
            (
                "Not judged: no other reading of the meter. No meter: the manifest says none.",
                "not judged: 견줄 값 없음. no meter: 목록에 계량기 정보 없음.",
            ),
            columns(judgements, Axis("what is thought of it", "판단"), _PHOTOS_AXIS)
            if summary.judged and summary.pages
            else None,
        ),
        Chart(
            ("Class confidence", "종류 신뢰도"),
            ("Where a display was found.", "표시창을 찾은 사진."),
            histogram(of_class, _CONFIDENCE_AXIS, _PHOTOS_AXIS) if of_class.total else None,
        ),
        Chart(
            ("Reading confidence", "값 신뢰도"),
            ("Of the least sure place of each display.", "표시창마다 가장 불확실한 자리."),
            histogram(of_reading, _CONFIDENCE_AXIS, _PHOTOS_AXIS) if of_reading.total else None,
        ),
    ]
