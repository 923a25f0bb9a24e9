"""The job's report: one self-contained HTML file, in Korean and English, made from the committed records."""

from collections.abc import Callable
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from common.storage import Storage
from pipelines.exports.store import RecordStore
from pipelines.output import REPORT, job_card
from pipelines.readers.registry import job_reader
from pipelines.report import sections
from pipelines.report.markup import escape


def write_report(output_uri: str, *, load_page: Callable[[Any], np.ndarray]) -> None:
    """Write `OUT/report.html` from `OUT/pages/*.parquet` and `OUT/job.json`.

    Args:
        output_uri: the job's output, local folder or fsspec URI.
        load_page: original pixels of a record, (H, W, 3) uint8 RGB; called for the few pages that are shown.

    Raises:
        FileNotFoundError: the output holds no committed pages. ConfigError: the job's reader cannot be imported.
    """
    job = job_card(Storage(output_uri))
    reader = job_reader(job)
    store = RecordStore(output_uri, reader.record_type)
    body = reader.report(store, job, load_page)
    summary = body.summary
    template = Template(files("pipelines.report").joinpath("template.html").read_text("utf-8"))
    html = template.substitute(
        title=escape(f"{job.get('name') or 'ocray'} · ocray"),
        heading=sections.heading(job),
        tiles=body.tiles,
        facts=sections.facts(job, summary),
        stages=sections.time_by_stage(summary),
        distributions=body.distributions,
        errors=sections.errors(summary),
        retry=sections.retry(job, output_uri, summary),
        shown=body.shown,
        pages=summary.pages,
    )
    store.output.write(REPORT, html.encode())
