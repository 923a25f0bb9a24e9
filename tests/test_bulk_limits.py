"""What one page may take: a page that hangs, or takes all memory, costs one row."""

import pytest

from pipelines.runner import JobOptions, run_job
from pipelines.watchdog import PageLimits
from tests.faults import HangingStage, HoggingStage, bare
from tests.pages import numbered_pages
from tests.test_bulk_job import records

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.mark.parametrize(
    ("stage", "error", "message"),
    [
        (HangingStage, "PageTooSlow", "hanging took longer than 1.768 s, the limit"),
        (HoggingStage, "PageTooLarge", "hogging took more than 200 MiB of memory, the limit"),
    ],
)
def test_a_page_over_its_limits_is_an_error_row_and_the_others_are_read(tmp_path, stage, error, message):
    numbered_pages(tmp_path / "in", 5)
    limits = PageLimits(seconds=1 if stage is HangingStage else 60, memory_mib=200)
    options = JobOptions(page_limits=limits)
    result = run_job([str(tmp_path / "in")], str(tmp_path / "out"), bare(stage, victim="page02.png"), options)
    assert (result.ok, result.error) == (4, 1)
    found = records(tmp_path / "out")
    reported = found.pop("page02.png").error
    assert (reported.stage, reported.type) == (stage.name, error)
    assert reported.message == f"{tmp_path}/in/page02.png: {message}"
    assert all(record.status == "ok" and record.width == 640 for record in found.values())
