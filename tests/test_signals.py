"""Programs that are ended by a signal: one line, the right exit code, nothing left behind; the same command goes on."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from common.storage import Storage
from pipelines.job import read_card
from pipelines.ledger import Ledger
from tests.tiny_documents import numbered_tiny_pages

pytestmark = pytest.mark.slow

INTERRUPTED = "ocray: interrupted; run the same command to resume"
PAGES = 400

# A command that waits, without Ray.
WAITING = """
import sys, time
from common.cli import execute
def wait():
    print("waiting", flush=True)
    time.sleep(60)
sys.exit(execute(wait, if_interrupted="run the same command to resume", explain=lambda error: None, clean_up=int))
"""


@pytest.fixture
def ray_folder():
    """Yield a folder that the command lines of all Ray processes of one test name; sockets want a short path."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def processes_naming(folder: str) -> list[str]:
    """Command lines of the processes that name `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # ended meanwhile
            continue
        if folder in command:
            found.append(command)
    return found


def start_job(scans: Path, output: Path, reader: Path, ray_folder: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "ray_apps", "ocr", "--input", str(scans), "--output", str(output)]
    environment = {**os.environ, "RAY_TMPDIR": ray_folder}
    return subprocess.Popen(
        [*command, "--config", str(reader)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def none_left(ray_folder: str, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while processes_naming(ray_folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.ray
@pytest.mark.timeout(400)
def test_a_terminated_job_ends_in_order_and_continues(tmp_path, tiny_reader_yaml, ray_folder):
    scans, output = tmp_path / "scans", tmp_path / "out"
    numbered_tiny_pages(scans, PAGES)
    first = start_job(scans, output, tiny_reader_yaml, ray_folder)
    ledger = Ledger(Storage(str(output)))
    wait_until(lambda: len(ledger.states()) > 0, first)
    first.send_signal(signal.SIGTERM)
    reported = first.communicate(timeout=60)[0]
    assert first.returncode == 143, reported
    assert reported.count(INTERRUPTED) == 1
    assert "Traceback" not in reported and "SIGTERM received" not in reported and "logging.cc" not in reported
    assert none_left(ray_folder), processes_naming(ray_folder)
    card = read_card(Storage(str(output)))
    assert card["state"] == "interrupted" and "interrupted by SIGTERM" in card["failure"]
    committed = set(ledger.states()["page_id"].to_pylist())
    assert 0 < len(committed) < PAGES
    second = start_job(scans, output, tiny_reader_yaml, ray_folder)
    reported = second.communicate(timeout=200)[0]
    assert second.returncode == 0, reported
    after = ledger.states()["page_id"].to_pylist()
    assert len(after) == len(set(after)) == PAGES and committed <= set(after)
    assert none_left(ray_folder), processes_naming(ray_folder)


@pytest.mark.ray
def test_a_program_that_is_terminated_while_ray_starts(tmp_path, tiny_reader_yaml, ray_folder):
    numbered_tiny_pages(tmp_path / "scans", 1)
    process = start_job(tmp_path / "scans", tmp_path / "out", tiny_reader_yaml, ray_folder)
    wait_until(lambda: processes_naming(ray_folder), process)
    process.send_signal(signal.SIGTERM)
    reported = process.communicate(timeout=60)[0]
    assert (process.returncode, reported) == (143, INTERRUPTED + "\n")
    assert none_left(ray_folder), processes_naming(ray_folder)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_each_signal_has_its_exit_code(number, code):
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    assert process.communicate(timeout=30)[1] == INTERRUPTED + "\n"
    assert process.returncode == code


def test_what_a_program_was_told_to_ignore_it_ignores():
    command = f"trap '' HUP INT; exec {sys.executable} -c {shlex.quote(WAITING)}"
    process = subprocess.Popen(["bash", "-c", command], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "waiting\n"
    for number in (signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
        time.sleep(0.2)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[1] == INTERRUPTED + "\n"
    assert process.returncode == 143
