"""Run folders: a run is never overwritten by chance."""

import fcntl

import pytest

from common import work_folder
from common.config import ConfigError
from tests.tiny_task import tiny_config
from trainers.core.launch import launch, preflight
from trainers.core.runs import Run, RunError, open_run

pytestmark = pytest.mark.train


def start(folder, host="plain", overwrite=False, **changes):
    with open_run(folder, tiny_config(**changes), host=host, command="ocray train x", overwrite=overwrite) as run:
        return run


def test_finished_run_is_kept(tmp_path):
    folder = tmp_path / "run"
    outcome = launch(tiny_config(train={"total_steps": 3}), folder, use_ray=False)
    assert outcome.finished and Run(folder).finished
    with pytest.raises(RunError, match="finished run; give another --run, or --overwrite"):
        start(folder)
    assert not start(folder, overwrite=True).finished


def test_unfinished_run_continues_only_as_it_was(tmp_path):
    folder = tmp_path / "run"
    start(folder)
    assert start(folder).command() == "ocray train x"
    start(folder, train={"log_every": 1})  # decides no weights
    with pytest.raises(RunError, match=r"another settings\.hidden, train\.lr"):
        start(folder, train={"lr": 0.5}, settings={"hidden": 9})
    with pytest.raises(RunError, match="with --no-ray"):
        start(folder, host="ray")


def test_a_run_folder_in_the_former_spelling_shows_the_present_one(tmp_path):
    folder = tmp_path / "run"
    start(folder)
    former = "{shards: pages, rendered: false, rendered_lines: false, balance: 0, rendered_regions: false, bucket: 64}"
    (folder / "config.yaml").write_text(f"{tiny_config().to_yaml()}".replace("data:\n", f"data:\n  train: {former}\n"))
    message = f"{folder}/config.yaml: data.train is spelled .* write data.train: {{kind: page_shards, at: pages}}"
    with pytest.raises(ConfigError, match=message):
        start(folder)  # goes on
    with pytest.raises(ConfigError, match=message):
        Run(folder).config()  # is evaluated or exported


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="holds no run"):
        start(tmp_path, overwrite=True)
    with pytest.raises(RunError, match="is not a run"):
        Run(tmp_path).config()
    assert (tmp_path / "thesis.txt").exists()


def test_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(work_folder, "_TRIES", 1)
    with (tmp_path / ".run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process"):
            start(tmp_path / "run")


def test_preflight(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    config = tiny_config(scaling={"workers": 2, "cpus_per_worker": 1})
    preflight(config, {"CPU": 2.5}, nodes=1)
    with pytest.raises(RunError, match=r"needs 2\.5 CPUs .* Ray has 2; lower scaling\.workers"):
        preflight(config, {"CPU": 2.0}, nodes=1)
    with pytest.raises(RunError, match="GPUs"):
        preflight(tiny_config(scaling={"use_gpu": True}), {"CPU": 8}, nodes=1)
    with pytest.raises(RunError, match=r"scaling\.storage"):
        preflight(config, {"CPU": 8}, nodes=2)
