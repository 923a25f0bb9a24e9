"""Connecting to Ray where there is none, where it does not start, and where other packages have the names of ours."""

import socket
import subprocess
import sys
import threading
import time

import pytest
import ray

from common.errors import ExitCode
from ray_apps import packages
from ray_apps.cli import cluster
from ray_apps.cli.cluster import RayUnavailable, connect
from tests.tiny_documents import numbered_tiny_pages


@pytest.fixture
def silent_port():
    """Yield a port where something listens and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def ocray(*arguments: str, **kwargs) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "ray_apps", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, **kwargs)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("named_by", ["--address", "RAY_ADDRESS"])
@pytest.mark.parametrize("door", ["ocr", "train"])
@pytest.mark.ray
def test_an_address_without_a_cluster_is_an_error_at_once(tmp_path, monkeypatch, door, named_by):
    address = f"127.0.0.1:{free_port()}"
    arguments = ["ocr", "--input", str(tmp_path), "--output", str(tmp_path / "out")]
    if door == "train":
        pytest.importorskip("torch")
        arguments = ["train", "deskew", "--run", str(tmp_path / "run"), "--set", "data.train=null"]
    if named_by == "RAY_ADDRESS":
        monkeypatch.setenv("RAY_ADDRESS", address)
    else:
        arguments += ["--address", address]
    started = time.monotonic()
    done = ocray(*arguments)
    assert done.returncode == ExitCode.CANNOT_START, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("ocray: there is no Ray cluster at ") and "Connection refused" in line
    assert "correct --address or $RAY_ADDRESS" in line
    assert time.monotonic() - started < 60


@pytest.mark.slow
@pytest.mark.ray
def test_an_address_where_something_else_listens(silent_port):
    started = time.monotonic()
    with pytest.raises(RayUnavailable, match=f"no Ray cluster at .*:{silent_port} "):
        connect(f"127.0.0.1:{silent_port}")
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:1"])
@pytest.mark.ray
def test_an_address_that_is_none(address):
    with pytest.raises(RayUnavailable, match=f"no Ray cluster at {address} "):
        connect(address)


class SlowRay:
    """`ray.init` as on a machine that is too busy, the first `times` times: it raises what Ray does, and what it has
    started goes on."""

    def __init__(self, times: int):
        self.times, self.left_behind = times, []

    def __call__(self, **settings) -> None:
        if self.times == 0:
            return
        self.times -= 1
        self.left_behind.append(subprocess.Popen(["sleep", "300"]))
        raise Exception("The current node timed out during startup. This could happen because …\nmore")


def test_a_ray_that_does_not_start_in_time_gets_another_try(monkeypatch, caplog):
    bystander = subprocess.Popen(["sleep", "300"])
    slow = SlowRay(times=1)
    monkeypatch.setattr(ray, "init", slow)
    assert connect() is False
    assert [record.message for record in caplog.records] == [
        "Ray did not start (The current node timed out during startup); one more try"
    ]
    slow.left_behind[0].wait(10)  # ended, so that the second try has the machine to itself
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_ray_that_does_not_start_twice(monkeypatch):
    monkeypatch.setattr(ray, "init", SlowRay(times=2))
    with pytest.raises(RayUnavailable, match=r"twice \(The current node timed out during startup\); wait until"):
        connect()


def test_the_log_of_rays_core_is_held_back_and_nothing_else(capfd):
    with cluster._core_log_held_back():
        thread = threading.Thread(target=lambda: print("a warning that matters", file=sys.stderr, flush=True))
        thread.start()
        thread.join()
        code = "import os; os.write(2, b'[2026-11-26 01:37:30,037 I 6151 6151] logging.cc:303: Set ray log level\\n')"
        subprocess.run([sys.executable, "-c", code], check=True)
    assert capfd.readouterr().err == "a warning that matters\n"


def write_strangers(folder, *names: str) -> None:
    for name in names:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('not the packages of ocray')\n")


@pytest.mark.ray
def test_a_folder_with_packages_of_the_same_names(tmp_path, tiny_reader_yaml):
    write_strangers(tmp_path, "models", "pipelines", "trainers")
    numbered_tiny_pages(tmp_path / "in", 2)
    done = ocray("ocr", "--input", "in", "--output", "out", "--config", str(tiny_reader_yaml), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 pages read, 0 failed" in done.stdout


def test_whose_packages_hide_ours(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "data" / "models").mkdir(parents=True)  # no package
    write_strangers(tmp_path / "mine", "models")
    mine, data, ours = str(tmp_path / "mine"), str(tmp_path / "data"), str(packages.ROOT)
    assert packages.hidden_by([data, mine, ours]) == mine
    assert packages.hidden_by([data, ours, mine]) is None
    assert packages.hidden_by([data]) is None


def test_a_program_that_imports_the_client_keeps_its_own_packages(tmp_path):
    (tmp_path / "models.py").write_text("NAME = 'mine'\n")
    (tmp_path / "program.py").write_text("import ray_apps.client, models\nprint(models.NAME)\n")
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True)
    assert done.stdout == "mine\n", done.stderr
