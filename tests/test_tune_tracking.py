"""What TensorBoard and MLflow show of a sweep."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from common.config import ConfigError
from tests.tiny_task import tiny_config
from trainers.core.reporters import MLFLOW_RUN_FILE, MLFLOW_STORE
from tuners.ledger import Report, TrialRecord
from tuners.tracking import Tracker

pytestmark = pytest.mark.slow

TENSORBOARD = {"tensorboard": True, "mlflow": False}
MLFLOW = {"tensorboard": False, "mlflow": True}
NAN = float("nan")


def tracker(folder, logging, **parameters):
    return Tracker(
        folder,
        tiny_config(logging=logging),
        metric="accuracy",
        mode="max",
        parameters={"search": "random", **parameters},
    )


def trial_of(number, values, *accuracies, **fields):
    """Return a trial with a report every 10 steps, a second each."""
    reports = [
        Report(10 * i, 80 * i, float(i), {"accuracy": accuracy, "samples": 50.0}, {"loss": 1 / i})
        for i, accuracy in enumerate(accuracies, 1)
    ]
    return TrialRecord(number, values, reports=reports, started=1_700_000_000.0 + number, **fields)


def run_trial(tracker, trial, status="finished", **fields):
    """Tell of a whole trial the way a driver does: it starts without reports."""
    reports, trial.reports = trial.reports, []
    tracker.started(trial, tiny_config())
    for report in reports:
        trial.reports.append(report)
        tracker.reported(trial, report)
    trial.status, trial.ended = status, trial.started + 100
    for name, value in fields.items():
        setattr(trial, name, value)
    tracker.ended(trial)


# --- TensorBoard


def shown_by_tensorboard(folder):
    """Return what `tensorboard --logdir` answers to its HPARAMS tab: the experiment and its rows by name."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.data.provider import ListHyperparametersResult
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    events = EventMultiplexer().AddRunsFromDirectory(str(folder))
    events.Reload()
    context = backend_context.Context(TBContext(data_provider=MultiplexerDataProvider(events, str(folder))))
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE],
    )
    found = list_session_groups.Handler(RequestContext(), context, "", request).run()
    metadata = context.hparams_metadata(RequestContext(), "")
    nothing = ListHyperparametersResult(hyperparameters=[], session_groups=[])
    experiment = context.experiment_from_metadata(RequestContext(), "", True, metadata, nothing)
    return experiment, {group.name: group for group in found.session_groups}


def scalars(folder, number, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "trials" / f"{number:04d}" / "tensorboard"))
    events.Reload()
    return [(event.step, round(event.value, 5)) for event in events.Scalars(name)]


def metrics_of(group):
    return {metric.name.tag: metric.value for metric in group.metric_values}


def test_tensorboard_shows_a_row_a_trial_with_its_settings_and_best_value(tmp_path):
    from tensorboard.plugins.hparams import api_pb2

    shown = tracker(tmp_path, TENSORBOARD)
    run_trial(shown, trial_of(1, {"train.lr": 1e-3, "train.precision": "auto", "settings.deep": True}, 0.5, 0.75, 0.25))
    run_trial(shown, trial_of(2, {"train.lr": 1e-2, "settings.crop": [1, 2], "settings.x": None}, NAN), "failed")
    run_trial(shown, trial_of(3, {"train.lr": 1}, 0.5), "stopped")
    shown.started(trial_of(12, {"train.lr": 0.5}), tiny_config())
    shown.close("KILLED", None)

    experiment, groups = shown_by_tensorboard(tmp_path)
    assert sorted(groups) == ["0001", "0002", "0003", "0012"]
    # Settings of one trial alone have their column too.
    types = {info.name: info.type for info in experiment.hparam_infos}
    assert types == {
        "train.lr": api_pb2.DATA_TYPE_FLOAT64,
        "train.precision": api_pb2.DATA_TYPE_STRING,
        "settings.deep": api_pb2.DATA_TYPE_BOOL,
        "settings.crop": api_pb2.DATA_TYPE_STRING,
        "settings.x": api_pb2.DATA_TYPE_STRING,
    }
    first = groups["0001"]
    assert first.hparams["train.lr"].number_value == 1e-3
    assert first.hparams["train.precision"].string_value == "auto"
    assert first.hparams["settings.deep"].bool_value is True
    assert metrics_of(first)["best/accuracy"] == 0.75  # while the metric itself shows its last value
    assert metrics_of(first)["validation/accuracy"] == 0.25
    assert groups["0002"].hparams["settings.crop"].string_value == "[1, 2]"
    assert groups["0002"].hparams["settings.x"].string_value == "None"
    status = {name: group.sessions[0].status for name, group in groups.items()}
    assert status == {
        "0001": api_pb2.STATUS_SUCCESS,
        "0002": api_pb2.STATUS_FAILURE,
        "0003": api_pb2.STATUS_SUCCESS,
        "0012": api_pb2.STATUS_UNKNOWN,
    }
    assert first.sessions[0].end_time_secs - first.sessions[0].start_time_secs == 100
    assert scalars(tmp_path, 1, "validation/accuracy") == [(10, 0.5), (20, 0.75), (30, 0.25)]
    assert scalars(tmp_path, 1, "best/accuracy") == [(10, 0.5), (20, 0.75), (30, 0.75)]
    assert scalars(tmp_path, 1, "train/loss") == [(10, 1.0), (20, 0.5), (30, 0.33333)]


def test_a_trial_that_continues_shows_each_report_once(tmp_path):
    trial = trial_of(1, {"train.lr": 0.1}, 0.5, 0.6)
    killed = tracker(tmp_path, TENSORBOARD)
    killed.started(replace(trial, reports=[]), tiny_config())
    killed.reported(trial, trial.reports[0])  # the second report reached the ledger alone

    resumed = tracker(tmp_path, TENSORBOARD)
    resumed.started(trial, tiny_config())
    resumed.started(trial, tiny_config())
    trial.reports.append(Report(30, 240, 3.0, {"accuracy": 0.4}))
    resumed.reported(trial, trial.reports[2])
    resumed.ended(trial)
    assert scalars(tmp_path, 1, "validation/accuracy") == [(10, 0.5), (20, 0.6), (30, 0.4)]
    _, groups = shown_by_tensorboard(tmp_path)
    assert len(groups["0001"].sessions) == 1


def test_under_pbt_the_last_generations_settings_are_shown(tmp_path):
    shown = tracker(tmp_path, TENSORBOARD)
    changes = [{"step": 10, "from": 2, "values": {"train.lr": 0.2}}]
    run_trial(shown, trial_of(1, {"train.lr": 0.1}, 0.5, 0.6), values={"train.lr": 0.2}, changes=changes)
    _, groups = shown_by_tensorboard(tmp_path)
    assert groups["0001"].hparams["train.lr"].number_value == 0.2
    assert scalars(tmp_path, 1, "validation/accuracy") == [(10, 0.5), (20, 0.6)]


# --- MLflow


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory):
    """Return where the tests' sweeps lie, beside one MLflow store: making one takes seconds."""
    return tmp_path_factory.mktemp("sweeps")


@pytest.fixture
def sweep(store_folder, request, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = store_folder / request.node.name
    folder.mkdir()
    return folder


def client_of(folder):
    import mlflow

    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder.parent / MLFLOW_STORE}")


def run_id(folder: Path):
    return (folder / MLFLOW_RUN_FILE).read_text().strip()


def children(folder):
    """Return the child runs of a sweep, by name."""
    client = client_of(folder)
    experiment = client.get_experiment_by_name("ocray/tests.tiny_task:TinyTask")
    found = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{run_id(folder)}'")
    return {run.info.run_name: run for run in found}


def test_mlflow_holds_a_parent_run_and_a_child_a_trial(sweep):
    shown = tracker(sweep, MLFLOW, space="x" * 7000)
    best = trial_of(1, {"train.lr": 1e-3, "settings.crop": [1, 2]}, 0.5, 0.75, 0.25)
    run_trial(shown, best)
    run_trial(shown, trial_of(2, {"train.lr": 1e-2}, NAN), "failed", reason="loss is NaN at step 10")
    run_trial(shown, trial_of(3, {"train.lr": 1e-4}, 0.5), "stopped")
    shown.close("FINISHED", best)

    parent = client_of(sweep).get_run(run_id(sweep))
    assert parent.info.run_name == sweep.name and parent.info.status == "FINISHED"
    assert parent.data.tags["ocray.kind"] == "sweep"
    assert parent.data.params["search"] == "random" and len(parent.data.params["space"]) == 6000
    assert parent.data.params["metric"] == "accuracy" and parent.data.params["mode"] == "max"
    assert parent.data.metrics == {"best/accuracy": 0.75}
    assert parent.data.tags["best.trial"] == "1" and parent.data.tags["best.train.lr"] == "0.001"

    runs = children(sweep)
    assert {name: run.info.status for name, run in runs.items()} == {
        "trial 1": "FINISHED",
        "trial 2": "FAILED",
        "trial 3": "KILLED",
    }
    first = runs["trial 1"]
    assert first.data.params == {"task": "tests.tiny_task:TinyTask", "train.lr": "0.001", "settings.crop": "[1, 2]"}
    assert first.data.metrics["validation/accuracy"] == 0.25 and first.data.metrics["best/accuracy"] == 0.75
    assert first.info.end_time == int(best.ended * 1000)
    history = client_of(sweep).get_metric_history(first.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(10, 1.0), (20, 0.5), (30, 1 / 3)]
    assert runs["trial 2"].data.tags["ocray.reason"] == "loss is NaN at step 10"
    assert math.isnan(runs["trial 2"].data.metrics["validation/accuracy"])


def test_a_resumed_sweep_continues_in_the_same_mlflow_runs(sweep):
    trial = trial_of(7, {"train.lr": 0.1}, 0.5)
    killed = tracker(sweep, MLFLOW)
    killed.started(replace(trial, reports=[]), tiny_config())
    killed.reported(trial, trial.reports[0])
    killed.close("KILLED", trial)
    before = (run_id(sweep), run_id(sweep / "trials/0007"))
    assert children(sweep)["trial 7"].info.status == "KILLED"

    resumed = tracker(sweep, MLFLOW, budget="60 trials")
    resumed.started(trial, tiny_config())
    assert children(sweep)["trial 7"].info.status == client_of(sweep).get_run(before[0]).info.status == "RUNNING"
    trial.reports.append(Report(20, 160, 2.0, {"accuracy": 0.6}))
    resumed.reported(trial, trial.reports[1])
    trial.status, trial.ended = "finished", trial.started + 9
    resumed.ended(trial)
    other = trial_of(8, {"settings.hidden": 16}, 0.9)
    run_trial(resumed, other)
    resumed.close("FINISHED", other)

    assert (run_id(sweep), run_id(sweep / "trials/0007")) == before
    history = client_of(sweep).get_metric_history(before[1], "validation/accuracy")
    assert [(point.step, point.value) for point in history] == [(10, 0.5), (20, 0.6)]
    parent = client_of(sweep).get_run(before[0])
    assert parent.info.status == "FINISHED" and parent.data.metrics["best/accuracy"] == 0.9
    best = {name: value for name, value in parent.data.tags.items() if name.startswith("best.")}
    assert best == {"best.trial": "8", "best.settings.hidden": "16"}  # nothing of the earlier best trial


def test_under_pbt_mlflow_keeps_first_and_last_settings(sweep):
    shown = tracker(sweep, MLFLOW)
    changes = [{"step": 10, "from": 2, "values": {"train.lr": 0.2}}]
    run_trial(shown, trial_of(1, {"train.lr": 0.1}, 0.5), values={"train.lr": 0.2}, changes=changes)
    run = children(sweep)["trial 1"]
    assert run.data.params["train.lr"] == "0.1" and run.data.tags["last.train.lr"] == "0.2"


def test_a_store_without_the_sweeps_run_is_refused(sweep):
    (sweep / MLFLOW_RUN_FILE).write_text("0123456789abcdef0123456789abcdef\n")
    with pytest.raises(ConfigError, match=r"does not hold run 0123.*delete .*mlflow_run_id"):
        tracker(sweep, MLFLOW)


def test_a_tracking_server_that_is_not_there_is_refused(sweep, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9.*logging\.mlflow"):
        tracker(sweep, MLFLOW)


# --- both


def test_sinks_that_fail_are_named_once_and_the_sweep_continues(sweep, capsys):
    shown = tracker(sweep, {"tensorboard": True, "mlflow": True})
    first = trial_of(1, {"train.lr": 0.1}, 0.5)
    shown.started(replace(first, reports=[]), tiny_config())
    client_of(sweep).delete_run(run_id(sweep / "trials/0001"))
    capsys.readouterr()
    shown.reported(first, first.reports[0])
    shown.ended(first)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("MLflow failed, the sweep continues without it: MlflowException: ") and "deleted" in line
    assert scalars(sweep, 1, "validation/accuracy") == [(10, 0.5)]  # TensorBoard is still told

    (sweep / "trials/0002").write_text("no folder can be made here")
    run_trial(shown, trial_of(2, {"train.lr": 0.1}, 0.5, 0.6))
    run_trial(shown, trial_of(3, {"train.lr": 0.1}, 0.5, 0.6))
    shown.close("FINISHED", first)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("TensorBoard failed, the sweep continues without it: ")


def test_nothing_is_imported_or_written_unless_requested(tmp_path):
    code = """if True:
        import sys
        from pathlib import Path
        from tests.test_tune_tracking import *
        told = tracker(Path(sys.argv[1]), {"tensorboard": False, "mlflow": False})
        run_trial(told, trial_of(1, {"train.lr": 0.1}, 0.5))
        told.close("FINISHED", None)
        assert not {"mlflow", "tensorboard"} & set(sys.modules), "imported"
    """
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert list(tmp_path.iterdir()) == []
