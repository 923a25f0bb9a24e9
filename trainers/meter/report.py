"""The report of an evaluation of meters: what became of each, worst first, as Parquet and tab-separated text, and a
page of the failures (`meter_page.py`).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from trainers.core.sample_log import write_log
from trainers.meter.metrics import ReadMeter
from trainers.meter.report_page import meter_page
from trainers.meter.verdicts import JudgedMeter, judge_meters

LOG, TABLE, PAGE = "meters.tsv", "meters.parquet", "report.html"
LOG_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("verdict", pa.string()),
        ("truth", pa.string()),
        ("reading", pa.string()),
        ("success", pa.bool_()),
        ("confidence", pa.float32()),
        ("true_class", pa.string()),
        ("found_class", pa.string()),
        ("quad_iou", pa.float32()),
        ("corner_error", pa.float32()),
        ("seconds", pa.float32()),
        ("reason", pa.string()),
    ]
)


def write_meter_report(folder: Path, meters: Iterable[ReadMeter], model: str, data: str, pictures: int = 300) -> str:
    """Write `meters.tsv`, `meters.parquet` and `report.html` into `folder`; says so in one line.

    Args:
        model, data: what was measured on what, in words.
        pictures: so many of the worst failures come into the page.
    """
    judged = judge_meters(meters)
    failures = [each for each in judged if each.verdict != "right"]
    folder.mkdir(parents=True, exist_ok=True)
    _write_log(folder, judged)
    html = meter_page(judged, failures[:pictures], model, data, logs=(LOG, TABLE))
    (folder / PAGE).write_text(html, "utf-8")
    return (
        f"{folder / PAGE} shows the worst {min(pictures, len(failures)):,} of {len(failures):,} failures among "
        f"{len(judged):,} meters, {folder / LOG} lists all"
    )


def _write_log(folder: Path, judged: Sequence[JudgedMeter]) -> None:
    rows = [
        {
            "name": each.meter.name,
            "verdict": each.verdict,
            "truth": each.meter.truth,
            "reading": each.meter.reading,
            "success": each.meter.success if each.meter.reading is not None else None,
            "confidence": each.confidence,
            "true_class": each.meter.meter_class,
            "found_class": each.meter.found_class,
            "quad_iou": each.quad_iou,
            "corner_error": each.corner_error,
            "seconds": each.meter.seconds,
            "reason": each.meter.reason,
        }
        for each in judged
    ]
    write_log(rows, LOG_SCHEMA, folder / LOG, folder / TABLE)
