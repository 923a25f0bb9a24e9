"""The job's report: one self-contained HTML file, in Korean and English, made from the committed records."""

from collections.abc import Callable
from importlib.resources import files
from string import Template

import numpy as np

from pipelines.exports.store import RecordStore
from pipelines.job import REPORT
from pipelines.records import PageRecord
from pipelines.report import sections
from pipelines.report.markup import escape
from pipelines.report.summary import summarize

__all__ = ["write_report"]


def write_report(output_uri: str, *, load_page: Callable[[PageRecord], np.ndarray]) -> None:
    """Write `OUT/report.html` from `OUT/pages/*.parquet` and `OUT/job.json`.

    Args:
        output_uri: the job's output, local folder or fsspec URI.
        load_page: original pixels of a record, (H, W, 3) uint8 RGB; called for the few pages that are shown.

    Raises:
        FileNotFoundError: the output holds no committed pages.
    """
    store = RecordStore(output_uri)
    job = store.job()
    summary = summarize(store)
    template = Template(files(__package__).joinpath("template.html").read_text("utf-8"))
    html = template.substitute(
        title=escape(f"{job.get('name') or 'ocray'} · ocray"),
        heading=sections.heading(job),
        tiles=sections.tiles(job, summary),
        facts=sections.facts(job, summary),
        stages=sections.time_by_stage(summary),
        histograms=sections.histograms(summary),
        worst=sections.pages(summary.worst, load_page, "worst"),
        sampled=sections.pages(summary.sampled, load_page, "sampled"),
        errors=sections.errors(summary),
        retry=sections.retry(job, output_uri, summary),
        pages=summary.pages,
    )
    store.output.write(REPORT, html.encode())
