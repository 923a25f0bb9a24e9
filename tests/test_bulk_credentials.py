"""Credentials that expire in the middle of a job, and are renewed where they came from."""

import threading
import time

import pytest
import ray
import s3fs

from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.runner import JobOptions, run_job
from tests.faults import SlowStage, bare
from tests.pages import numbered_pages
from tests.storage_faults import FaultyProxy

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]
PAGES = 16
EARLIER, LATER = "AKIAEARLIER", "AKIALATER"


def write_credentials(path, key: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")
    new.replace(path)


@pytest.fixture
def proxy(s3_server, tmp_path, monkeypatch):
    """Run a proxy before the S3 server for this process and its Ray, which take credentials from a file."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    write_credentials(tmp_path / "credentials", EARLIER)
    with FaultyProxy(s3_server) as proxy:
        for name, value in {
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_MAX_ATTEMPTS": "1",
            "OCRAY_STORAGE_PATIENCE": "30",
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield proxy
        ray.shutdown()
    s3fs.S3FileSystem.clear_instance_cache()


def test_credentials_renewed_in_mid_job_are_found(proxy, tmp_path):
    storage = s3fs.S3FileSystem(client_kwargs={"region_name": "eu-central-1"})
    storage.mkdir("s3://renewed")
    for path in numbered_pages(tmp_path / "in", PAGES):
        storage.put_file(str(path), f"s3://renewed/scans/{path.name}")
    expired = proxy.fail("expired", signed_with=EARLIER, after=len(proxy.log) + 15)

    def renew() -> None:
        while not expired.hits:
            time.sleep(0.1)
        time.sleep(2)
        write_credentials(tmp_path / "credentials", LATER)

    threading.Thread(target=renew, daemon=True).start()
    result = run_job(["s3://renewed/scans"], "s3://renewed/out", bare(SlowStage, seconds=0.3), JobOptions())
    assert expired.hits and (result.ok, result.error) == (PAGES, 0)
    rows = Ledger(Storage("s3://renewed/out")).states()["page_id"].to_pylist()
    assert len(rows) == len(set(rows)) == PAGES
