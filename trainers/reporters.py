"""Where a training tells its progress: console, `progress.jsonl`, TensorBoard, MLflow.

`progress.jsonl` is append-only: after a resume the steps since the last checkpoint appear again, and the later line of
a step is the one that counts.
"""

import json
import math
import os
import time
from pathlib import Path
from typing import Protocol

from trainers.config import Config, ConfigError

PROGRESS_FILE = "progress.jsonl"
MLFLOW_RUN_FILE = "mlflow_run_id"
MLFLOW_STORE = "mlflow.db"


class Reporter(Protocol):
    """What the loop tells, on every rank at the same steps."""

    def started(self, step: int) -> None:
        """Training begins with `step` steps done; more than 0 after a resume."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Figures after `step` steps: `train/…`, `validation/…`, `samples_per_second`, `eta_seconds`."""

    def saved(self, step: int, folder: Path, metrics: dict[str, float]) -> None:
        """A checkpoint lies in `folder` (written by rank 0); `metrics` are those of the last validation."""


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
    """Scalars under `tensorboard/` of the run folder."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        self._writer.flush()


class MLflow:
    """An MLflow run of the experiment `ocray/TASK`, at $MLFLOW_TRACKING_URI or in `mlflow.db` beside the run folder.

    A resumed run goes on in the same MLflow run. Compare runs with `mlflow ui --backend-store-uri
    sqlite:///runs/mlflow.db`.
    """

    def __init__(self, folder: Path, config: Config):
        import mlflow

        store = f"sqlite:///{folder.resolve().parent / MLFLOW_STORE}"
        self._client = mlflow.MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", store))
        run_file = folder / MLFLOW_RUN_FILE
        if run_file.is_file():
            self._run_id = run_file.read_text("utf-8").strip()
            self._client.update_run(self._run_id, status="RUNNING")
            return
        name = f"ocray/{config.task}"
        experiment = self._client.get_experiment_by_name(name)
        experiment_id = (
            experiment.experiment_id
            if experiment
            else self._client.create_experiment(
                name, artifact_location=(folder.resolve().parent / "mlartifacts").as_uri()
            )
        )
        self._run_id = self._client.create_run(experiment_id, run_name=folder.name).info.run_id
        parameters = {f"train.{k}": v for k, v in config.train.model_dump().items()}
        parameters |= {f"settings.{k}": v for k, v in config.settings.items()}
        for key, value in parameters.items():
            self._client.log_param(self._run_id, key, value)
        run_file.write_text(self._run_id + "\n", "utf-8")

    def log(self, step: int, values: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics, synchronous=True)

    def flush(self) -> None:
        pass


class RunReporter:
    """Tells several sinks; what the config asks for, in a run folder."""

    def __init__(self, folder: Path, config: Config):
        self._folder = folder
        self._total_steps = config.train.total_steps
        self._sinks: list = [Console(config.train.total_steps), ProgressFile(folder)]
        try:
            if config.logging.tensorboard:
                self._sinks.append(TensorBoard(folder))
            if config.logging.mlflow:
                self._sinks.append(MLflow(folder, config))
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{error}: pip install 'ocray[train]', or set logging.tensorboard / logging.mlflow to false"
            ) from error

    def started(self, step: int) -> None:
        how = f"goes on from step {step} of" if step else "starts:"
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
    import mlflow

    store = f"sqlite:///{folder.resolve().parent / MLFLOW_STORE}"
    client = mlflow.MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", store))
    client.set_terminated(run_file.read_text("utf-8").strip(), status)


def console_line(step: int, total_steps: int, values: dict[str, float]) -> str:
    """`step 50/1000  loss 0.53  lr 1.0e-03  812 samples/s  ETA 0:12:08`."""
    parts = [f"step {step}/{total_steps}"]
    for name, value in values.items():
        label = name.removeprefix("train/")
        if name == "samples_per_second":
            parts.append(f"{value:,.1f} samples/s")
        elif name == "eta_seconds":
            seconds = math.ceil(value)
            parts.append(f"ETA {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}")
        else:
            parts.append(f"{label} {value:.1e}" if name == "train/lr" else f"{label} {value:.4g}")
    return "  ".join(parts)
