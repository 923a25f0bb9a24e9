"""The driver killed half-way and started again, as a person would do it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.storage import Storage
from pipelines.job import read_card
from pipelines.ledger import Ledger
from tests.pages import numbered_pages

PAGES = 40


def start(scans: Path, output: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "ray_apps", "ocr", "--input", str(scans), "--output", str(output)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def rows(output: Path) -> list[str]:
    return Ledger(Storage(str(output))).states()["page_id"].to_pylist()


@pytest.mark.ray
@pytest.mark.timeout(400)
def test_a_killed_driver_loses_only_what_was_in_flight(tmp_path):
    scans, output = tmp_path / "scans", tmp_path / "out"
    numbered_pages(scans, PAGES)
    first = start(scans, output)
    while not rows(output):
        assert first.poll() is None, first.stderr.read().decode()
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    committed = set(rows(output))
    assert 0 < len(committed) < PAGES
    assert read_card(Storage(str(output)))["state"] == "running"
    second = start(scans, output)
    reported = second.communicate()[1].decode()
    assert second.returncode == 0, reported
    assert " already done, " in reported
    assert f"{PAGES} pages, 0 already done" not in reported
    after = rows(output)
    assert len(after) == len(set(after)) == PAGES
    assert committed <= set(after)
    assert (output / "report.html").exists()
