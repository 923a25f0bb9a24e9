"""A sweep whose checkpoints lie in a bucket, as on several nodes; interrupted as a person does it."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import ray

from ray_apps.cli.main import main as ocray
from tests.tiny_task import sweep_file
from tuners.ledger import SweepFolder

pytestmark = [pytest.mark.ray, pytest.mark.train]


def interrupt_after_a_checkpoint(folder: Path) -> None:
    """Press Ctrl-C, so to speak, when the first trial has a checkpoint."""
    while not any(trial.checkpoint for trial in SweepFolder(folder).trials()):
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_sweep_continues_from_checkpoints_in_a_bucket(tmp_path, s3, capsys):
    """The second start goes on from the first's checkpoint, and the best run's weights come from there."""
    path = sweep_file(tmp_path, {"step_seconds": 0.25}, space={"train.lr": {"grid": [0.03]}})
    command = [str(path), "--sweep", str(tmp_path / "sweep"), "--set", f"scaling.storage={s3}/sweeps"]
    threading.Thread(target=interrupt_after_a_checkpoint, args=(tmp_path / "sweep",), daemon=True).start()
    assert ocray(["tune", *command]) == 130
    assert "interrupted; run the same command to resume" in capsys.readouterr().out
    trial = json.loads((tmp_path / "sweep" / "trials" / "0001" / "trial.json").read_text())
    assert trial["status"] == "running" and trial["checkpoint"].startswith(f"{s3}/sweeps/sweep/")
    ray.shutdown()
    assert ocray(["tune", *command]) == 0
    lines = (tmp_path / "sweep" / "trials" / "0001" / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [12, 24, 36, 48]
    assert (tmp_path / "sweep" / "best" / "checkpoint" / "best.pt").is_file()
