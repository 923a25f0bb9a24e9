"""Where progress is told."""

import json

import pytest

from tests.tiny_task import tiny_config
from trainers.core.launch import launch
from trainers.core.reporters import MLFLOW_RUN_FILE, MLFLOW_STORE, console_line

pytestmark = pytest.mark.train


def test_console_line():
    values = {"train/loss": 0.53104, "train/lr": 1e-3, "samples_per_second": 1812.3, "eta_seconds": 3725.2}
    assert console_line(50, 1000, values) == "step 50/1000  loss 0.531  lr 1.0e-03  1,812.3 samples/s  1 h 2 min left"


def test_run_leaves_progress_tensorboard_and_mlflow(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    logging = {"tensorboard": True, "mlflow": True}
    config = tiny_config(train={"total_steps": 20, "validate_every": 20, "log_every": 10}, logging=logging)
    assert not launch(config, folder, use_ray=False, stop_after_minutes=0.0).finished
    launch(config, folder, use_ray=False)
    assert "resumes at step 10 of 20 steps" in capsys.readouterr().out

    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 20]
    assert "train/loss" in lines[0] and "validation/accuracy" in lines[2]

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [10, 20]

    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / MLFLOW_STORE}")
    run = client.get_run((folder / MLFLOW_RUN_FILE).read_text().strip())
    assert run.info.status == "FINISHED" and run.info.run_name == "run"
    assert run.data.metrics["validation/accuracy"] == lines[2]["validation/accuracy"]
    assert run.data.params["train.total_steps"] == "20"
