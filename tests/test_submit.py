"""`ocray submit`: what is shipped to a cluster, and a job that is followed, stopped and given again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from common.config import ConfigError
from common.errors import ExitCode
from common.project import ROOT
from common.storage import Storage
from pipelines.job import read_card
from pipelines.ledger import Ledger
from ray_apps.cli.main import main
from ray_apps.submission import job, payload
from ray_apps.submission.job import job_id
from ray_apps.submission.payload import pack
from tests.pages import numbered_pages

OCR = ["ocr", "--input", "s3://bucket/scans", "--output", "s3://bucket/results"]


def weights(folder: Path) -> set[str]:
    return {path.parent.parent.name for path in (folder / "models" / "weights").glob("*/*/bundle.json")}


@pytest.mark.parametrize(
    ("argv", "bundles"),
    [
        (OCR, {"deskew", "orientation", "ppocrv6-det", "ppocrv6-rec", "recognition-ko"}),
        ([*OCR, "--reader", "meters"], {"meter-screen", "meter-digits"}),
        (["train", "meter_digits"], set()),
        (["tune", "deskew_lr"], set()),
    ],
)
def test_code_goes_with_the_bundles_that_are_read_with(tmp_path, argv, bundles):
    assert pack(argv, tmp_path, tmp_path / "payload") == []
    assert bundles <= weights(tmp_path / "payload")
    archive = Path(shutil.make_archive(str(tmp_path / "shipped"), "zip", tmp_path / "payload"))
    assert archive.stat().st_size < 20 * 2**20
    assert not {"tests", "data", "out", "runs", ".venv", ".git", "samples"} & set(os.listdir(tmp_path / "payload"))


@pytest.mark.parametrize("meters", [["--reader", "meters"], ["--reader=meters"], ["--config", "meters"]])
def test_a_reader_takes_no_bundle_of_another_one(tmp_path, meters):
    pack(OCR, tmp_path, tmp_path / "documents")
    pack([*OCR, *meters], tmp_path, tmp_path / "meters")
    assert not {"meter-screen", "meter-digits"} & weights(tmp_path / "documents")
    assert weights(tmp_path / "meters") == {"meter-screen", "meter-digits"}


def test_what_is_shipped_runs(tmp_path):
    pack(OCR, tmp_path, tmp_path / "payload")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "ray_apps", "--version"]
    shown = subprocess.run(command, cwd=tmp_path / "payload", env=alone, capture_output=True, text=True, check=True)
    assert f"checkout {tmp_path / 'payload'}" in shown.stdout


def test_own_files_go_along_and_data_does_not(tmp_path, tiny_reader_yaml):
    here = tmp_path / "here"
    shutil.copytree(tiny_reader_yaml.parent, here / "bundles")
    content = yaml.safe_load(tiny_reader_yaml.read_text())
    content["deskew"]["bundle"] = "bundles/deskew"
    (here / "mine.yaml").write_text(yaml.safe_dump(content))
    (here / "scans").mkdir()
    (here / "scans" / "page.png").write_bytes(b"pixels")
    argv = ["ocr", "--input", "scans", "--output", "out", "--config", "mine.yaml"]
    assert pack(argv, here, tmp_path / "payload", code=False) == ["mine.yaml", "bundles/deskew"]
    # Absolute paths mean storage that every node sees.
    shipped = {str(path.relative_to(tmp_path / "payload")) for path in (tmp_path / "payload").rglob("*.*")}
    assert shipped == {"mine.yaml", "bundles/deskew/bundle.json", "bundles/deskew/network.onnx"}


def test_a_sweep_takes_its_training_along(tmp_path):
    here = tmp_path / "here"
    (here / "sweeps").mkdir(parents=True)
    (here / "train.yaml").write_text("initial_weights: recognition-ko@1\n")
    (here / "sweeps" / "lr.yaml").write_text("config: ../train.yaml\n")
    assert pack(["tune", "sweeps/lr.yaml"], here, tmp_path / "payload") == ["sweeps/lr.yaml", "train.yaml"]
    assert weights(tmp_path / "payload") == {"recognition-ko"}


def test_too_large_a_payload_names_its_largest_file(tmp_path, monkeypatch):
    monkeypatch.setattr(payload, "MOST_MIB", 5)
    with pytest.raises(ConfigError, match=r"MiB would be shipped, the largest is models/weights/recognition-ko/1/netw"):
        pack(OCR, tmp_path, tmp_path / "payload")


def test_one_command_is_one_job():
    assert job_id(OCR) == job_id(list(OCR)) != job_id([*OCR, "--languages", "en"])
    assert job_id(OCR).startswith("ocray-ocr-")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "submit cannot run nothing"),
        (["orc"], 2, "submit cannot run orc (did you mean ocr?)"),
        (["serve", "documents"], 2, "submit cannot run serve"),
        (["--wheel", "ocray.zip", *OCR], 2, "--wheel ocray.zip must be a file .whl"),
        (OCR, 3, "no job server of Ray answers at http://127.0.0.1:9 "),
    ],
)
def test_what_cannot_be_submitted(capsys, argv, code, message):
    assert main(["submit", "--address", "http://127.0.0.1:9", *argv]) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_help_of_the_submitted_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["submit", "ocr", "--help"])
    assert ended.value.code == 0 and "--max-error-rate" in capsys.readouterr().out


def test_a_job_server_that_does_not_answer_ends_in_a_line(monkeypatch, capsys):
    class Client:
        def __getattr__(self, name):
            def refuse(*_):
                raise ConnectionError("nobody there")

            return refuse

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("ray_apps.cli.submit.open_client", lambda address: Client())
    monkeypatch.setattr("ray_apps.cli.submit.is_running", lambda *_: True)
    monkeypatch.setattr(job.Follower, "follow", interrupted)
    assert main(["submit", *OCR]) == ExitCode.CANNOT_START
    error = capsys.readouterr().err
    assert "nobody there" in error and f"ray job stop {job_id(OCR)}" in error and error.count("\n") == 1


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q", "-w", folder]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def address():
    from ray.cluster_utils import Cluster

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    head = {"num_cpus": 2, "include_dashboard": True, "dashboard_port": port}
    with pytest.MonkeyPatch.context() as patched:  # nodes run the `python` on their path
        patched.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(60):
            try:
                job.open_client(url)
                break
            except job.ClusterUnreachable:
                time.sleep(0.5)
        yield url
    finally:
        cluster.shutdown()


@pytest.mark.ray
@pytest.mark.timeout(300)
class TestOnACluster:
    def argv(self, reader: Path, pages: Path, output: Path) -> list[str]:
        return ["ocr", "--config", str(reader), "--input", str(pages), "--output", str(output)]

    def test_a_job_is_followed_and_given_again(self, address, tiny_reader_yaml, tmp_path, capfd):
        numbered_pages(tmp_path / "in", 4)
        argv = self.argv(tiny_reader_yaml, tmp_path / "in", tmp_path / "out")
        assert main(["submit", "--address", address, "--detach", *argv]) == ExitCode.OK
        assert main(["submit", "--address", address, *argv]) == ExitCode.OK
        shown = capfd.readouterr().out
        name = job_id(argv)
        assert f"job {name} submitted" in shown and f"job {name} is running already" in shown
        assert "4 pages read, 0 failed" in shown and shown.count("4 pages read") == 1
        assert Ledger(Storage(str(tmp_path / "out"))).states().num_rows == 4
        # What has ended is submitted again, and reads nothing twice.
        assert main(["submit", "--address", address, *argv]) == ExitCode.OK
        assert "4 already done" in capfd.readouterr().out

    @pytest.mark.parametrize("options", [[], ["--installed"]])
    def test_the_exit_code_is_passed_on(self, address, tiny_reader_yaml, tmp_path, capfd, options):
        argv = self.argv(tiny_reader_yaml, tmp_path / "nothing", tmp_path / "out")
        assert main(["submit", "--address", address, *options, *argv]) == ExitCode.BAD_REQUEST
        assert f"{tmp_path}/nothing" in capfd.readouterr().out

    def test_a_wheel_is_installed_for_the_job(self, address, wheel, tiny_reader_yaml, tmp_path, capfd, monkeypatch):
        numbered_pages(tmp_path / "in", 2)
        monkeypatch.chdir(tmp_path)
        argv = self.argv(tiny_reader_yaml, tmp_path / "in", tmp_path / "out")
        assert main(["submit", "--address", address, "--wheel", str(wheel), *argv]) == ExitCode.OK
        shown = capfd.readouterr().out
        assert "2 pages read, 0 failed" in shown
        environment = job.open_client(address).get_job_info(job_id(argv)).runtime_env
        assert wheel.name in str(environment["pip"])

    def test_a_signal_stops_the_job(self, address, tiny_reader_yaml, tmp_path):
        numbered_pages(tmp_path / "in", 400)
        argv = self.argv(tiny_reader_yaml, tmp_path / "in", tmp_path / "out")
        command = [sys.executable, "-m", "ray_apps", "submit", "--address", address, *argv]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stdout:
            if "to read" in line:
                break
        process.send_signal(signal.SIGTERM)
        shown, error = process.communicate(timeout=120)
        assert process.returncode == 143 and "interrupted; run the same command to resume" in error
        assert "stopping job" in shown and "interrupted" in shown
        assert read_card(Storage(str(tmp_path / "out")))["state"] == "interrupted"
        details = job.open_client(address).get_job_info(job_id(argv))
        assert details.status == "STOPPED"
