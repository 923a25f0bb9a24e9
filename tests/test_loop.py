"""The training loop, in this process and in processes that are killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tiny_task import TinyNetwork, TinySettings, TinyTask, tiny_config
from trainers.core.checkpoint import WeightsError, load_state, load_weights, strict_load
from trainers.core.feed import PlainFeed, Share
from trainers.core.loop import TrainingError, learning_rate, train, update_ema
from trainers.core.reporters import Silent
from trainers.core.runs import Run

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread: sums over another number of threads round differently, and weights are equal to the bit only at
    the same number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Heard(Silent):
    """Keeps what the loop tells."""

    def __init__(self):
        self.logged = []
        self.starts = []
        self.saves = []

    def started(self, step):
        self.starts.append(step)

    def log(self, step, values):
        self.logged.append((step, values))

    def saved(self, step, folder, metrics):
        self.saves.append(step)


def run(folder: Path, task_settings=None, stop_after_minutes=None, **changes):
    heard = Heard()
    task = TinyTask(TinySettings(**(task_settings or {})), {}, 0)
    settings = tiny_config(train=changes).train
    outcome = train(
        task, settings, reporter=heard, checkpoint_dir=folder, device="cpu", stop_after_minutes=stop_after_minutes
    )
    return outcome, heard


def assert_same_weights(one: Path, other: Path):
    first, second = load_state(one / "last.pt"), load_state(other / "last.pt")
    for part in ("network", "ema"):
        for name, tensor in first[part].items():
            assert torch.equal(tensor, second[part][name]), (part, name)


def test_learns_and_tells(tmp_path):
    outcome, heard = run(tmp_path, total_steps=200, validate_every=100)
    assert outcome.finished and outcome.step == 200
    assert outcome.metrics["accuracy"] > 0.85 and outcome.metrics["samples"] == 50
    assert heard.starts == [0] and heard.saves[-1] == 200
    step, values = heard.logged[0]
    assert step == 10
    assert {"train/loss", "train/accuracy", "train/lr", "samples_per_second", "eta_seconds"} <= values.keys()
    assert load_state(tmp_path / "best.pt")["metrics"]["accuracy"] == outcome.best


def test_continues_exactly_after_a_stop(tmp_path):
    run(tmp_path / "whole", {"dropout": 0.3})
    outcome, _ = run(tmp_path / "parts", {"dropout": 0.3}, stop_after_minutes=0.0)
    assert not outcome.finished and outcome.step == 10
    outcome, heard = run(tmp_path / "parts", {"dropout": 0.3})
    assert outcome.finished and heard.starts == [10]
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_killed_training_ends_with_the_same_weights(tmp_path):
    run(tmp_path / "whole", {"dropout": 0.3})
    settings = {"dropout": 0.3, "kill_at_call": 35, "killed": str(tmp_path / "killed")}
    config = tmp_path / "tiny.yaml"
    config.write_text(tiny_config(settings=settings).to_yaml())
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ray_apps", "train", str(config), "--no-ray", "--run", str(tmp_path / "run")]
    first = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert first.returncode == -9, first.stderr
    second = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert second.returncode == 0, second.stderr
    assert "resumes at step 20 of 60 steps" in second.stdout
    assert_same_weights(tmp_path / "whole", Run(tmp_path / "run").checkpoint)


def test_resume_refuses_other_settings(tmp_path):
    run(tmp_path, stop_after_minutes=0.0)
    with pytest.raises(TrainingError, match=r"train\.lr"):
        run(tmp_path, lr=0.5)


def test_not_a_number_stops_and_names_the_step(tmp_path):
    with pytest.raises(TrainingError, match="step 23:"):
        run(tmp_path, {"bad_step": 23})
    assert load_state(tmp_path / "last.pt")["step"] == 20


def test_batch_must_divide_among_workers(tmp_path):
    task = TinyTask(TinySettings(), {}, 0)
    with pytest.raises(TrainingError, match=r"global_batch 8 .* 3 workers"):
        feed = PlainFeed(task, Share(8, 50, world_size=3))
        train(task, tiny_config().train, reporter=Silent(), checkpoint_dir=tmp_path, feed=feed)


def test_starts_from_other_weights(tmp_path):
    run(tmp_path / "first")
    still = {"total_steps": 1, "warmup_steps": 0, "lr": 1e-9}
    outcome, _ = run(tmp_path / "second", initial_weights=str(tmp_path / "first"), **still)
    assert outcome.finished
    weights = load_weights(tmp_path / "second")
    for name, tensor in load_weights(tmp_path / "first").items():
        torch.testing.assert_close(weights[name], tensor)


def test_strict_load_names_every_key():
    network = TinyNetwork(8, 0.0)
    weights = {f"other.{name}" if "norm" in name else name: value for name, value in network.state_dict().items()}
    weights["last.bias"] = torch.zeros(5)
    with pytest.raises(WeightsError) as error:
        strict_load(network, weights, "somewhere")
    for expected in ("missing: norm.bias, norm.weight", "unknown: other.norm.bias", r"last.bias is (5,) there, (4,)"):
        assert expected in str(error.value)


def test_unreadable_checkpoint(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"half a file")
    with pytest.raises(WeightsError, match=r"last\.pt"):
        run(tmp_path)


def test_learning_rate():
    settings = tiny_config(train={"total_steps": 100, "warmup_steps": 10, "lr": 1.0, "final_lr_fraction": 0.1}).train
    rates = [learning_rate(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0) and rates[10] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_ema_moves_weights_and_copies_counters():
    ema, network = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    network.weight.data.fill_(3.0)
    network.num_batches_tracked.fill_(7)
    update_ema(ema, network, decay=0.5, step=10_000)
    assert ema.weight.tolist() == [2.0, 2.0] and ema.num_batches_tracked == 7
