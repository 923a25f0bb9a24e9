"""Bulk jobs whose storage fails for a while, or for good."""

import json
import os
import subprocess
from collections import Counter

import pytest
import ray
import s3fs

from common.storage import OutputError, Storage
from pipelines.job import IncompleteJob, read_card
from pipelines.ledger import Ledger
from pipelines.runner import JobOptions, run_job
from tests.faults import SlowStage, bare
from tests.pages import numbered_pages
from tests.storage_faults import FaultyProxy

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]
PAGES = 12
PATIENCE = "6"  # s


@pytest.fixture(scope="module")
def faulty_s3(s3_server):
    """Run a proxy in front of the S3 server that this process and the workers of its Ray use."""
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_MAX_ATTEMPTS": "1",  # boto's own patience
        "OCRAY_STORAGE_PATIENCE": PATIENCE,
    }
    with FaultyProxy(s3_server) as proxy, pytest.MonkeyPatch.context() as patched:
        for name, value in {**environment, "AWS_ENDPOINT_URL": proxy.url}.items():
            patched.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield proxy
        ray.shutdown()
    s3fs.S3FileSystem.clear_instance_cache()  # later tests talk to the server itself


@pytest.fixture
def bucket(faulty_s3, tmp_path, request):
    """Return a bucket with PAGES pages below `scans/`; nothing fails yet."""
    faulty_s3.heal()
    uri = f"s3://{request.node.name.replace('_', '-')[:50]}"
    storage = s3fs.S3FileSystem(client_kwargs={"region_name": "eu-central-1"})
    storage.mkdir(uri)
    for path in numbered_pages(tmp_path / "in", PAGES):
        storage.put_file(str(path), f"{uri}/scans/{path.name}")
    return uri


def states(output: str) -> Counter:
    table = Ledger(Storage(output)).states()
    assert len(set(table["page_id"].to_pylist())) == len(table)
    return Counter(table["status"].to_pylist())


def test_a_status_that_cannot_be_written_is_no_reason_to_stop(faulty_s3, bucket):
    refused = faulty_s3.fail("503", r"PUT /.*/job\.json", after=1, seconds=10)
    result = run_job([f"{bucket}/scans"], f"{bucket}/out", bare(SlowStage, seconds=0.7), JobOptions())
    assert refused.hits and (result.ok, result.error) == (PAGES, 0)
    assert read_card(Storage(f"{bucket}/out"))["state"] == "finished"


def test_storage_that_fails_for_a_while_costs_nothing(faulty_s3, bucket, capsys):
    outage = faulty_s3.fail("503", r"PUT /.*/pages/|GET /.*/scans/page", after=6, seconds=4)
    result = run_job([f"{bucket}/scans"], f"{bucket}/out", bare(SlowStage, seconds=0.1), JobOptions())
    assert outage.hits and (result.ok, result.error) == (PAGES, 0)
    assert states(f"{bucket}/out") == {"ok": PAGES}


def test_a_share_of_failing_requests_and_slow_answers_cost_nothing(faulty_s3, bucket):
    faulty_s3.delay = 0.2
    rules = [faulty_s3.fail(action, share=0.01) for action in ("500", "503", "429", "reset", "truncate")]
    before = len(faulty_s3.log)
    result = run_job([f"{bucket}/scans"], f"{bucket}/out", bare(SlowStage, seconds=0), JobOptions())
    assert (result.ok, result.error) == (PAGES, 0) and states(f"{bucket}/out") == {"ok": PAGES}
    failed = sum(rule.hits for rule in rules)
    assert 0 < failed < 0.2 * (len(faulty_s3.log) - before)
    faulty_s3.heal()
    assert run_job([f"{bucket}/scans"], f"{bucket}/out", bare(SlowStage, seconds=0), JobOptions()).read_now == 0


def test_a_document_that_storage_does_not_give_is_not_done(faulty_s3, bucket):
    faulty_s3.fail("503", r"GET /.*/scans/page03\.png")
    job = [f"{bucket}/scans"], f"{bucket}/out", bare(SlowStage, seconds=0), JobOptions()
    with pytest.raises(
        IncompleteJob, match=rf"1 of {PAGES} pages are not in .*page03\.png: the storage does not answer"
    ):
        run_job(*job)
    assert states(f"{bucket}/out") == {"ok": PAGES - 1}, "and no error row"
    assert read_card(Storage(f"{bucket}/out"))["state"] == "incomplete"
    faulty_s3.heal()
    again = run_job(*job)
    assert (again.read_now, again.ok, again.error) == (1, PAGES, 0)


def test_a_job_whose_documents_cannot_be_had_at_all_stops(faulty_s3, bucket):
    faulty_s3.fail("503", r"GET /.*/scans/page")
    with pytest.raises(
        IncompleteJob, match=r"the storage does not answer .*run the same command again; what is read stays"
    ):
        run_job([f"{bucket}/scans"], f"{bucket}/out", bare(SlowStage, seconds=0), JobOptions())
    assert states(f"{bucket}/out") == {}


@pytest.fixture
def small_disk(tmp_path):
    """Yield a folder on a disk of 80 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_reported_in_a_line_and_leaves_nothing_half(faulty_s3, small_disk, tmp_path):
    numbered_pages(tmp_path / "in", 30)
    ballast = small_disk / "out" / ".ballast"
    ballast.parent.mkdir()
    ballast.write_bytes(bytes(52 * 1024))
    job = [str(tmp_path / "in")], str(small_disk / "out"), bare(SlowStage, seconds=0), JobOptions()
    with pytest.raises(
        OutputError, match=r"No space left on device; make room, then run the same command to resume"
    ) as reported:
        run_job(*job)
    assert "\n" not in str(reported.value)
    left = [name for _, _, names in os.walk(small_disk) for name in names]
    assert not [name for name in left if name.endswith(".tmp") or name.startswith(".probe")]
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    result = run_job(*job)
    assert (result.ok, result.error) == (30, 0) and 0 < result.read_now < 30
    assert json.loads((small_disk / "out" / "job.json").read_text())["state"] == "finished"


def test_an_output_that_is_a_file_is_refused(faulty_s3, tmp_path):
    numbered_pages(tmp_path / "in", 1)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="a file is where a folder should be; choose another place"):
        run_job([str(tmp_path / "in")], str(tmp_path / "out"), bare(SlowStage, seconds=0), JobOptions())
    assert (tmp_path / "out").read_text() == "mine"
