"""The job's report: one self-contained HTML file, in Korean and English, made from the committed records."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from common.html import render
from common.storage import Storage
from pipelines.exports.store import RecordStore
from pipelines.output import REPORT, job_card
from pipelines.readers.registry import job_reader
from pipelines.report import charts
from pipelines.report.card import read_card, retry_command
from pipelines.report.numbers import number
from pipelines.report.summary import Summary

_LISTED_INPUTS = 10
_STATES = {"running": "실행 중", "finished": "완료", "failed": "실패"}


def write_report(
    output_uri: str, *, load_page: Callable[[Any], np.ndarray], labels: Mapping[str, str] | None = None
) -> None:
    """Write `OUT/report.html` from `OUT/pages/*.parquet` and `OUT/job.json`.

    Args:
        output_uri: the job's output, local folder or fsspec URI.
        load_page: original pixels of a record, (H, W, 3) uint8 RGB; called for the few pages that are shown.
        labels: Ray labels of the nodes that read the records of a large job, where Ray is connected.

    Raises:
        FileNotFoundError: the output holds no committed pages. ConfigError: the job's reader cannot be imported.
    """
    job = job_card(Storage(output_uri))
    reader = job_reader(job)
    store = RecordStore(output_uri, reader.record_type, labels=labels)
    body = reader.report(store, job, load_page)
    html = render(
        body.template,
        **body.values,
        card=read_card(job),
        states=_STATES,
        listed_inputs=_LISTED_INPUTS,
        summary=body.summary,
        tiles=body.tiles,
        stages=_time_by_stage(body.summary),
        retry=retry_command(job, output_uri),
        number=number,
    )
    store.output.write(REPORT, html.encode())


def _time_by_stage(summary: Summary) -> Markup | None:
    if not summary.timings:
        return None
    total = sum(data.sum for data in summary.timings.values()) or 1.0
    rows = [
        charts.Bar(name, data.mean, data.quantile(0.5), data.quantile(0.9), data.sum / total)
        for name, data in summary.timings.items()
    ]
    return charts.bars(rows, charts.Axis("milliseconds a page, in one worker", "쪽당 밀리초 (작업자 하나)"))
