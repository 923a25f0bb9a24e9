"""Reports a sweep to TensorBoard and MLflow.

SWEEP/trials/0007/tensorboard/   scalars of a trial and its settings: `tensorboard --logdir SWEEP` shows all trials, its
                                 HPARAMS tab a row a trial
SWEEP/mlflow_run_id              the sweep's MLflow run, of the experiment `ocray/TASK`, in the trainings' store:
                                 $MLFLOW_TRACKING_URI, or `mlflow.db` beside SWEEP
SWEEP/trials/0007/mlflow_run_id  the trial's run, a child of the sweep's

Both are copies; the trials' records are authoritative. A resumed trial is reported from its record anew, so what a
killed driver or a lost tracking server left out of it is made good.

Figures have the trainings' names (`validation/accuracy`, `train/loss`), and `best/METRIC` is the best value so far: the
HPARAMS tab shows the last value of a scalar, and that of the metric itself need not be its best. Their time is the
trial's start plus the time trained.
"""

import importlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from common.config import ConfigError
from trainers.core.config import Config
from trainers.core.reporters import TENSORBOARD_FOLDER, MLflowRun, TensorBoard, missing_sink_named, open_mlflow_run
from tuners.ledger import VALIDATION, Report, SweepFolder, TrialRecord

Mode = Literal["max", "min"]
EndState = Literal["FINISHED", "KILLED", "FAILED"]

_MLFLOW_STATUS = {"running": "KILLED", "finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_MLFLOW_TAG_LENGTH = 5000  # characters; what every store holds


class Tracker:
    """Reports to TensorBoard and MLflow, as set by the training config's `logging`; runs in the sweep's driver.

    A sink that fails while the sweep runs (a tracking server gone, a full disk) is named once with its error, and the
    sweep continues without it until its next start: trials cost hours, and their folders and the report hold all that
    the sink would have shown.
    """

    def __init__(self, folder: Path, base: Config, *, metric: str, mode: Mode, parameters: dict[str, Any]):
        """Open the sinks; a resumed sweep continues its MLflow runs.

        Args:
            folder: the sweep's folder.
            base: the training config that the trials change.
            metric: the searched metric's name, as in `Report.metrics`.
            parameters: facts of the sweep for its MLflow run (search, scheduler, budget, space); those of its first
                start stay, since MLflow lets none change.

        Raises:
            ConfigError: a sink's package is missing, or its store cannot be used.
        """
        self._sinks: dict[str, _TensorBoard | _MLflow] = {}
        score = _Score(metric, mode)
        with missing_sink_named():
            if base.logging.tensorboard:
                self._sinks["TensorBoard"] = _TensorBoard(folder, score)
            if base.logging.mlflow:
                self._sinks["MLflow"] = _MLflow(folder, score, base.task, parameters)

    def started(self, trial: TrialRecord, config: Config) -> None:
        """Record that a trial starts or resumes; calling it twice does no harm.

        Args:
            config: the training config that the trial runs.
        """
        self._notify("started", trial, config.task)

    def reported(self, trial: TrialRecord, report: Report) -> None:
        """Record a new report of a started trial, which may or may not be among `trial.reports` yet."""
        self._notify("reported", trial, report)

    def ended(self, trial: TrialRecord) -> None:
        """Record that a started trial is finished, stopped or failed."""
        self._notify("ended", trial)

    def close(self, state: EndState, best: TrialRecord | None) -> None:
        """End the sweep: FINISHED, KILLED or FAILED (MLflow's words), with the best trial so far."""
        self._notify("close", state, best)
        self._sinks.clear()

    def _notify(self, event: str, *arguments: Any) -> None:
        for name, sink in list(self._sinks.items()):
            try:
                getattr(sink, event)(*arguments)
            except Exception as error:  # whatever a sink raises, see the class
                del self._sinks[name]
                what = " ".join(str(error).split())[:300]
                print(f"{name} failed, the sweep continues without it: {type(error).__name__}: {what}", flush=True)


class _Score:
    """A trial's figures by their names, the best value so far among them."""

    def __init__(self, metric: str, mode: Mode):
        self.metric = metric
        self.mode: Mode = mode
        self.best_name = f"best/{metric}"

    def best(self, trial: TrialRecord) -> float | None:
        report = trial.best(self.metric, self.mode)
        return None if report is None else report.metrics[self.metric]

    def figures(self, trial: TrialRecord, report: Report) -> dict[str, float]:
        until = [earlier for earlier in trial.reports if earlier.step < report.step]
        best = self.best(replace(trial, reports=[*until, report]))
        return (
            {f"{VALIDATION}{name}": value for name, value in report.metrics.items()}
            | {f"train/{name}": value for name, value in report.training.items()}
            | ({} if best is None else {self.best_name: best})
        )


class _TensorBoard:
    """Event files, one writer per running trial.

    No `experiment` summary is written: TensorBoard applies the first one that it finds to all trials, which would hide
    conditional settings of the others. Without one it collects settings and their types from all trials.
    """

    def __init__(self, folder: Path, score: _Score):
        importlib.import_module("torch.utils.tensorboard")  # if it is missing, fail now and not at the first trial
        self._folder = SweepFolder(folder)
        self._score = score
        self._open: dict[int, TensorBoard] = {}

    def started(self, trial: TrialRecord, task: str) -> None:
        if trial.number not in self._open:
            self._write_anew(trial)

    def reported(self, trial: TrialRecord, report: Report) -> None:
        sink = self._open[trial.number]
        sink.log(report.step, self._score.figures(trial, report), _reported_at(trial, report))
        sink.flush()

    def ended(self, trial: TrialRecord) -> None:
        if trial.changes or trial.number not in self._open:  # its settings are the last generation's now
            self._write_anew(trial)
        sink = self._open.pop(trial.number)
        sink.add_summary(_session_end(trial))
        sink.writer.close()

    def close(self, state: EndState, best: TrialRecord | None) -> None:
        for sink in self._open.values():
            sink.writer.close()
        self._open.clear()

    def _write_anew(self, trial: TrialRecord) -> None:
        """Replace the trial's event files; of several TensorBoard would mix the figures and show the first settings."""
        if (before := self._open.pop(trial.number, None)) is not None:
            before.writer.close()
        folder = self._folder.trial(trial.number)
        if (folder / TENSORBOARD_FOLDER).exists():
            shutil.rmtree(folder / TENSORBOARD_FOLDER)
        sink = self._open[trial.number] = TensorBoard(folder)
        sink.add_summary(_session_start(trial))
        for report in trial.reports:
            sink.log(report.step, self._score.figures(trial, report), _reported_at(trial, report))
        sink.flush()


class _MLflow:
    """A parent run for the sweep, a child run a trial."""

    def __init__(self, folder: Path, score: _Score, task: str, parameters: dict[str, Any]):
        # MLflow's own limits let a lost server hold up the driver for minutes, and every trial with it.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        self._folder = SweepFolder(folder)
        self._store_folder = folder.resolve().parent
        self._score = score
        self._task = task
        self._open: dict[int, MLflowRun] = {}
        try:
            self._parent = open_mlflow_run(
                folder,
                task,
                name=folder.resolve().name,
                parameters={"task": task, "metric": score.metric, "mode": score.mode} | parameters,
                tags={"ocray.kind": "sweep"},
            )
        except (ModuleNotFoundError, ConfigError):
            raise
        except Exception as error:  # each kind of store has its own
            where = os.environ.get("MLFLOW_TRACKING_URI", self._store_folder)
            raise ConfigError(f"MLflow at {where}: {error}; mend it, or set logging.mlflow to false") from error

    def started(self, trial: TrialRecord, task: str) -> None:
        if trial.number in self._open:
            return
        run = self._open[trial.number] = open_mlflow_run(
            self._folder.trial(trial.number),
            task,
            name=f"trial {trial.number}",
            parameters={"task": task} | trial.values,
            tags={
                "mlflow.parentRunId": self._parent.run_id,
                "ocray.kind": "trial",
                "ocray.trial": str(trial.number),
            },
            store_folder=self._store_folder,
        )
        for report in trial.reports:
            run.log(report.step, self._score.figures(trial, report), _reported_at(trial, report))

    def reported(self, trial: TrialRecord, report: Report) -> None:
        self._open[trial.number].log(report.step, self._score.figures(trial, report), _reported_at(trial, report))

    def ended(self, trial: TrialRecord) -> None:
        self.started(trial, self._task)
        run = self._open.pop(trial.number)
        if trial.reason:
            run.client.set_tag(run.run_id, "ocray.reason", trial.reason[:_MLFLOW_TAG_LENGTH])
        if trial.changes:  # its parameters stay those it started with
            _set_tags(run, "last.", trial.values)
        run.end(_MLFLOW_STATUS[trial.status], trial.ended)

    def close(self, state: EndState, best: TrialRecord | None) -> None:
        for run in self._open.values():
            run.end("KILLED")
        self._open.clear()
        if best is not None and (value := self._score.best(best)) is not None:
            self._parent.log(0, {self._score.best_name: value})
            _set_tags(self._parent, "best.", {"trial": best.number} | best.values)
        self._parent.end(state)


def _set_tags(run: MLflowRun, prefix: str, values: dict[str, Any]) -> None:
    """Make `values` all that the run's tags of this prefix say: an earlier best trial may have had other settings."""
    for name in run.client.get_run(run.run_id).data.tags:
        if name.startswith(prefix) and name.removeprefix(prefix) not in values:
            run.client.delete_tag(run.run_id, name)
    for name, value in values.items():
        run.client.set_tag(run.run_id, prefix + name, str(value)[:_MLFLOW_TAG_LENGTH])


def _session_start(trial: TrialRecord) -> Any:
    """Return the HParams summary of a trial's settings; lists and None become text."""
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    values = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in trial.values.items()}
    return hparams_pb(values, trial_id=f"{trial.number:04d}", start_time_secs=trial.started)


def _session_end(trial: TrialRecord) -> Any:
    """Return the HParams summary of a trial's end."""
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    Summary: Any = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]  # made at run time
    api, data = cast(Any, api_pb2), cast(Any, plugin_data_pb2)

    status = api.STATUS_FAILURE if trial.status == "failed" else api.STATUS_SUCCESS
    end = data.SessionEndInfo(status=status, end_time_secs=trial.ended or trial.started)
    about = metadata.create_summary_metadata(data.HParamsPluginData(session_end_info=end))
    return Summary(
        value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)]
    )


def _reported_at(trial: TrialRecord, report: Report) -> float:
    """Return seconds since the epoch; the same for a report read from its record, so that MLflow keeps it once."""
    return trial.started + round(report.seconds, 3)
