"""Where a training reports its progress: console, `progress.jsonl`, TensorBoard, MLflow.

`progress.jsonl` is append-only: after a resume the steps since the last checkpoint appear again, and the later line of
a step is the one that counts.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from common.config import ConfigError
from common.durations import duration
from trainers.core.config import Config

PROGRESS_FILE = "progress.jsonl"
MLFLOW_RUN_FILE = "mlflow_run_id"
MLFLOW_STORE = "mlflow.db"
TENSORBOARD_FOLDER = "tensorboard"
_MLFLOW_BATCH = 100  # parameters in a call, at most
_MLFLOW_PARAMETER_LENGTH = 6000  # characters; MLflow would cut there too, with a warning a parameter


class Reporter(Protocol):
    """What the loop reports, on every rank at the same steps."""

    def started(self, step: int) -> None:
        """Training begins with `step` steps done; more than 0 after a resume."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Figures after `step` steps: `train/…`, `validation/…`, `samples_per_second`, `eta_seconds`."""

    def saved(self, step: int, folder: Path, metrics: dict[str, float]) -> None:
        """Report that `folder` holds a checkpoint (written by rank 0); `metrics` are those of the last validation."""


class Silent:
    """Tells nothing: every rank but 0."""

    def started(self, step: int) -> None:
        pass

    def log(self, step: int, values: dict[str, float]) -> None:
        pass

    def saved(self, step: int, folder: Path, metrics: dict[str, float]) -> None:
        pass


class Console:
    """One line a report."""

    def __init__(self, total_steps: int):
        self.total_steps = total_steps

    def log(self, step: int, values: dict[str, float]) -> None:
        print(console_line(step, self.total_steps, values), flush=True)

    def flush(self) -> None:
        pass


class ProgressFile:
    """One JSON object a report in `progress.jsonl`, with the time in seconds since the epoch."""

    def __init__(self, folder: Path):
        self._file = (folder / PROGRESS_FILE).open("a", encoding="utf-8")

    def log(self, step: int, values: dict[str, float]) -> None:
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")
        self._file.flush()

    def flush(self) -> None:
        os.fsync(self._file.fileno())


class TensorBoard:
    """Scalars under `tensorboard/` of a run's folder."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / TENSORBOARD_FOLDER))

    def log(self, step: int, values: dict[str, float], at: float | None = None) -> None:
        """Log figures after `step` steps, with the time `at` (seconds since the epoch; default: now)."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step, at)

    def flush(self) -> None:
        self.writer.flush()

    def add_summary(self, summary: Any) -> None:
        """Write a summary that a plugin made (a protobuf message)."""
        file_writer: Any = self.writer.file_writer
        file_writer.add_summary(summary)


class MLflowRun:
    """One run in an MLflow store; opened by `open_mlflow_run`."""

    def __init__(self, client: Any, run_id: str):
        self.client = client
        self.run_id = run_id

    def log(self, step: int, values: dict[str, float], at: float | None = None) -> None:
        """Log figures after `step` steps, with the time `at` (seconds since the epoch; default: now).

        Figures logged twice with the same `at` are kept once. NaN stays NaN.
        """
        from mlflow.entities import Metric

        milliseconds = int((time.time() if at is None else at) * 1000)
        metrics = [Metric(name, value, milliseconds, step) for name, value in values.items()]
        self.client.log_batch(self.run_id, metrics=metrics, synchronous=True)

    def end(self, status: str, at: float | None = None) -> None:
        """Mark it as FINISHED, FAILED or KILLED (MLflow's words) at `at` (seconds since the epoch; default: now)."""
        self.client.set_terminated(self.run_id, status, end_time=None if at is None else int(at * 1000))


def open_mlflow_run(
    folder: Path,
    task: str,
    *,
    name: str,
    parameters: dict[str, Any],
    tags: dict[str, Any] | None = None,
    store_folder: Path | None = None,
) -> MLflowRun:
    """Open the folder's MLflow run and mark it as running: a new one of the experiment `ocray/TASK`, or its earlier
    one.

    Args:
        folder: keeps the run's id, in `mlflow_run_id`.
        parameters: kept by a new run alone (MLflow lets none change), cut where MLflow would.
        tags: of a new run.
        store_folder: where `mlflow.db` lies when $MLFLOW_TRACKING_URI is not set; default: beside `folder`.

    Raises:
        ConfigError: the store does not hold the run that the folder had.
    """
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    store_folder = store_folder or folder.resolve().parent
    client = _mlflow_client(store_folder)
    run_file = folder / MLFLOW_RUN_FILE
    if run_file.is_file():
        run = MLflowRun(client, run_file.read_text("utf-8").strip())
        try:
            client.update_run(run.run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise ConfigError(
                    f"the MLflow store {client.tracking_uri} does not hold run {run.run_id} of {folder}; "
                    f"name its store in $MLFLOW_TRACKING_URI, or delete {run_file} for a new run"
                ) from error
            raise
        return run
    experiment = client.get_experiment_by_name(f"ocray/{task}")
    experiment_id = (
        experiment.experiment_id
        if experiment
        else client.create_experiment(f"ocray/{task}", artifact_location=(store_folder / "mlartifacts").as_uri())
    )
    run = MLflowRun(client, client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)
    kept = [Param(key, str(value)[:_MLFLOW_PARAMETER_LENGTH]) for key, value in parameters.items()]
    for start in range(0, len(kept), _MLFLOW_BATCH):
        client.log_batch(run.run_id, params=kept[start : start + _MLFLOW_BATCH], synchronous=True)
    folder.mkdir(parents=True, exist_ok=True)
    run_file.write_text(run.run_id + "\n", "utf-8")
    return run


def _mlflow_client(store_folder: Path):
    import mlflow

    store = f"sqlite:///{store_folder / MLFLOW_STORE}"
    return mlflow.MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", store))


class MLflow:
    """An MLflow run of the experiment `ocray/TASK`, at $MLFLOW_TRACKING_URI or in `mlflow.db` beside the run folder.

    A resumed run continues the same MLflow run. Compare runs with `mlflow ui --backend-store-uri
    sqlite:///runs/mlflow.db`.
    """

    def __init__(self, folder: Path, config: Config):
        parameters = {f"train.{k}": v for k, v in config.train.model_dump().items()}
        parameters |= {f"settings.{k}": v for k, v in config.settings.items()}
        self._run = open_mlflow_run(folder, config.task, name=folder.name, parameters=parameters)

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(step, values)

    def flush(self) -> None:
        pass


@contextmanager
def missing_sink_named() -> Iterator[None]:
    """Turn an ImportError while sinks are opened into an error that names the missing package.

    Raises:
        ConfigError: a sink's package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error}: pip install 'ocray[train]', or set logging.tensorboard / logging.mlflow to false"
        ) from error


class RunReporter:
    """Reports to several sinks, those of the config, in a run folder."""

    def __init__(self, folder: Path, config: Config):
        self._folder = folder
        self._total_steps = config.train.total_steps
        self._sinks: list = [Console(config.train.total_steps), ProgressFile(folder)]
        with missing_sink_named():
            if config.logging.tensorboard:
                self._sinks.append(TensorBoard(folder))
            if config.logging.mlflow:
                self._sinks.append(MLflow(folder, config))

    def started(self, step: int) -> None:
        how = f"resumes at step {step} of" if step else "starts:"
        print(f"run {self._folder} {how} {self._total_steps} steps", flush=True)

    def log(self, step: int, values: dict[str, float]) -> None:
        for sink in self._sinks:
            sink.log(step, values)

    def saved(self, step: int, folder: Path, metrics: dict[str, float]) -> None:
        for sink in self._sinks:
            sink.flush()


def end_mlflow_run(folder: Path, status: str) -> None:
    """Mark the run folder's MLflow run, if it has one, as FINISHED, FAILED or KILLED (MLflow's words)."""
    run_file = folder / MLFLOW_RUN_FILE
    if not run_file.is_file():
        return
    MLflowRun(_mlflow_client(folder.resolve().parent), run_file.read_text("utf-8").strip()).end(status)


def console_line(step: int, total_steps: int, values: dict[str, float]) -> str:
    """Return `step 50/1000  loss 0.53  lr 1.0e-03  812 samples/s  12 min 8 s left`."""
    parts = [f"step {step}/{total_steps}"]
    for name, value in values.items():
        label = name.removeprefix("train/")
        if name == "samples_per_second":
            parts.append(f"{value:,.1f} samples/s")
        elif name == "eta_seconds":
            parts.append(f"{duration(value)} left")
        else:
            parts.append(f"{label} {value:.1e}" if name == "train/lr" else f"{label} {value:.4g}")
    return "  ".join(parts)
