"""Trainings and sweeps that lose the node they run on go on from their last checkpoint elsewhere."""

import threading
import time
from pathlib import Path

import pytest

from common.resources import cluster_resources
from tests.nodes import cluster, lose_node_with
from tests.tiny_task import sweep_file, tiny_config
from trainers.core.launch import launch
from tuners.plan import load_sweep
from tuners.sweep import run_sweep

pytestmark = [pytest.mark.ray, pytest.mark.train, pytest.mark.timeout(400)]
STEPS = 48
ONE_WORKER = {"workers": 1, "cpus_per_worker": 1, "data_tasks": 0}


@pytest.fixture
def nodes():
    with cluster(workers=3) as nodes:
        yield nodes


def lose_later(nodes, title: str, begun: Path) -> threading.Thread:
    """Lose the node that runs `title` once there is a checkpoint below the folder `begun`."""

    def lose() -> None:
        while not list(begun.rglob("*.pt")):
            time.sleep(0.1)
        lose_node_with(nodes, title)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    return thread


def test_a_training_goes_on_after_its_workers_node_is_lost(nodes, tmp_path):
    steps = {"total_steps": STEPS, "validate_every": 24, "checkpoint_every": 4, "log_every": 4}
    undisturbed = launch(tiny_config(train=steps, scaling=ONE_WORKER), tmp_path / "plain", use_ray=False)
    shared = ONE_WORKER | {"storage": str(tmp_path / "storage")}
    lost = lose_later(nodes, "RayTrainWorker", tmp_path / "storage")
    slow = tiny_config(train=steps, scaling=shared, settings={"step_seconds": 0.25})
    outcome = launch(slow, tmp_path / "run")
    lost.join(10)
    assert not lost.is_alive() and len(nodes.worker_nodes) == 2
    assert outcome.finished and outcome.metrics == undisturbed.metrics
    starts = (tmp_path / "run" / "progress.jsonl").read_text().count('"train/loss"')
    assert starts >= STEPS // 4, "steps since the last checkpoint were trained again"


def test_a_sweep_goes_on_after_a_trials_node_is_lost(nodes, tmp_path):
    path = sweep_file(tmp_path, {"step_seconds": 0.2}, space={"train.lr": {"grid": [0.01, 0.03]}})
    plan = load_sweep(path, ["scaling.cpus_per_worker=1", f"scaling.storage={tmp_path}/storage"])
    sweep = tmp_path / "sweep"
    lost = lose_later(nodes, "ImplicitFunc", tmp_path / "storage")
    facts, trials = run_sweep(plan, sweep, resources=cluster_resources(), nodes=4, command="ocray tune tiny.yaml")
    lost.join(10)
    assert not lost.is_alive() and len(nodes.worker_nodes) == 2
    assert facts.state == "finished" and [trial.status for trial in trials] == ["finished"] * 2
    assert all([report.step for report in trial.reports] == [12, 24, 36, 48] for trial in trials)
