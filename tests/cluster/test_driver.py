"""The driver of a bulk job killed, and the head of its cluster lost: the same command again finishes the job."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

from common.storage import Storage
from pipelines.job import read_card
from pipelines.ledger import Ledger
from tests.faults import slow_reader_yaml
from tests.nodes import cluster
from tests.pages import numbered_pages

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]
PAGES = 24
# Ray waits a minute for a head that may come back; these tests need not.
SOON = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    numbered_pages(folder, PAGES)
    return folder


def start(scans: Path, output: Path, address: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "ray_apps", "ocr", "--input", str(scans), "--output", str(output)]
    command += ["--config", str(slow_reader_yaml(output.parent)), "--address", address]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **SOON})


def rows(output: Path) -> list[str]:
    return Ledger(Storage(str(output))).states()["page_id"].to_pylist()


def wait_for_pages(driver: subprocess.Popen, output: Path) -> set[str]:
    while not (found := rows(output)):
        assert driver.poll() is None, driver.stderr.read().decode()
        time.sleep(0.1)
    return set(found)


def assert_finishes(scans: Path, output: Path, address: str, committed: set[str]) -> None:
    again = start(scans, output, address)
    reported = again.communicate(timeout=200)[1].decode()
    assert again.returncode == 0, reported
    assert " already done, " in reported and f"{PAGES} pages, 0 already done" not in reported
    found = rows(output)
    assert len(found) == len(set(found)) == PAGES and committed <= set(found)
    assert read_card(Storage(str(output)))["state"] == "finished"


def test_a_killed_driver_leaves_nothing_in_the_way_of_the_same_command(scans, tmp_path):
    with cluster(workers=2) as nodes:
        first = start(scans, tmp_path / "out", nodes.address)
        committed = wait_for_pages(first, tmp_path / "out")
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert len(committed) < PAGES
        assert_finishes(scans, tmp_path / "out", nodes.address, committed)
        assert ray.cluster_resources()["CPU"] == 2


def test_a_lost_head_ends_the_job_and_a_new_cluster_finishes_it(scans, tmp_path):
    with cluster(workers=2, connect=False) as nodes:
        first = start(scans, tmp_path / "out", nodes.address)
        committed = wait_for_pages(first, tmp_path / "out")
    lost = time.monotonic()
    reported = first.communicate(timeout=120)[1].decode()
    assert first.returncode != 0, reported
    assert time.monotonic() - lost < 90, "a driver without its cluster ends"
    assert len(rows(tmp_path / "out")) < PAGES
    with cluster(workers=2, connect=False) as nodes:
        assert_finishes(scans, tmp_path / "out", nodes.address, committed)
