"""What Ray Tune runs for a trial.

Two hosts. `actor`: the trial's own actor is the training worker; Ray Tune hands the actor on to the next trial, so that
processes, imports and the data in memory are paid for once. `trainer`: the trial is a driver that runs a TorchTrainer,
for trainings of several workers (a `Tuner` over a TorchTrainer itself is refused by Ray 2.60).

A trial reports once per validation, each time with the checkpoint from which it could resume.
"""

import json
import logging
import math
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from ray import tune

from trainers.core.config import Config
from trainers.core.feed import KeptValidation
from trainers.core.launch import LASTING, adopt, torch_trainer, worker_feed, worker_resources
from trainers.core.loop import train
from trainers.core.source import SourceSettings
from trainers.core.task import Batch, Task
from trainers.data.splits import Split
from tuners.ledger import VALIDATION
from tuners.plan import Plan

SCORE = "score"  # the searched metric, as searchers and schedulers see it
TIME = "samples"  # what schedulers measure progress in, for batches may differ
NUMBER = "trial"  # the trial's number, given by the searcher
CHECKPOINT = "checkpoint"  # from which a trial of an interrupted sweep resumes
DRIVER_CPUS = 0.1


def trainable(plan: Plan, storage: str) -> Callable:
    """Return the function that Ray Tune runs for each trial, with the resources it needs.

    Args:
        storage: folder or URI of what a TorchTrainer keeps for each trial.
    """
    if plan.host == "trainer":
        driver = tune.with_parameters(_train_with_trainer, plan=plan, storage=storage)
        return tune.with_resources(driver, {"CPU": DRIVER_CPUS})
    return tune.with_resources(tune.with_parameters(_train_here, plan=plan), worker_resources(plan.base))


def _train_here(values: dict[str, Any], plan: Plan) -> None:
    logging.getLogger("ray.train").setLevel(logging.WARNING)  # it logs each checkpoint
    config = plan.trial_config(searched(values, plan))
    reporter = TrialReporter(config, plan.metric, _report)
    # Under population-based training the checkpoint may be another trial's, trained with other values.
    changeable = [key.removeprefix("train.") for key in plan.space.parameters] if plan.population else []
    with tempfile.TemporaryDirectory(prefix="ocray-trial-") as temporary:
        folder = Path(temporary)
        saved = tune.get_checkpoint()
        if saved is None and values.get(CHECKPOINT):
            saved = tune.Checkpoint(values[CHECKPOINT])
        if saved is not None:
            with saved.as_directory() as source:
                adopt(Path(source), folder)
        try:
            task = config.build_task(_source_in_memory)
            with _kept_validation(task, config) as feed:
                train(
                    task,
                    config.train,
                    reporter=reporter,
                    checkpoint_dir=folder,
                    feed=feed,
                    device="cuda" if config.scaling.use_gpu else "cpu",
                    changeable=changeable,
                )
        except Exception as error:  # whatever a task raises, another try would meet it again; only deaths are retried
            reporter.failed(_explain(error))


def _train_with_trainer(values: dict[str, Any], plan: Plan, storage: str) -> None:
    config = plan.trial_config(searched(values, plan))
    name = f"{values[NUMBER]:04d}"
    trainer = torch_trainer(config, name=name, storage=storage, callback=_forward(config, plan.metric))
    reporter = TrialReporter(config, plan.metric, _report)
    try:
        answer: dict[str, Any] = trainer.fit().return_value or {}
    except Exception as error:  # its own retries are spent
        reporter.failed(_explain(error))
        return
    if "error" in answer:
        reporter.failed(answer["error"])


def _explain(error: Exception) -> str:
    if isinstance(error, LASTING):
        return str(error)
    traceback.print_exc()  # to the worker's log: the fault may be in the task's code
    return " ".join(f"{type(error).__name__}: {error}".split())[:2000]


def searched(values: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the searched settings among the parameters from Ray Tune."""
    return {key: value for key, value in values.items() if key in plan.space.parameters}


def _report(values: dict[str, Any], folder: Path | None) -> None:
    tune.report(values, checkpoint=tune.Checkpoint.from_directory(str(folder)) if folder else None)


class TrialReporter:
    """A `trainers.core.reporters.Reporter` that joins the loop's calls into one report a validation.

    Args:
        send: called with the report's values and the folder of its checkpoint.
    """

    def __init__(self, config: Config, metric: str, send: Callable[[dict[str, Any], Path | None], None]):
        self._batch = config.train.global_batch
        self._metric = metric
        self._send = send
        self._session = uuid.uuid4().hex  # a start of the trial: its clock begins anew
        self._begun = time.monotonic()
        self._metrics: dict[str, float] = {}
        self._training: dict[str, float] = {}

    def started(self, step: int) -> None:
        self._begun = time.monotonic()

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            if name.startswith(VALIDATION):
                self._metrics[name.removeprefix(VALIDATION)] = value
            elif name.startswith("train/"):
                self._training[name.removeprefix("train/")] = value

    def saved(self, step: int, folder: Path, metrics: dict[str, float]) -> None:
        if self._metrics:  # the loop saves after each validation; a save in between says nothing new
            score = self._metrics[self._metric]
            self._send(self._values(step, score) | {"metrics": self._metrics, "training": self._training}, folder)
        self._metrics, self._training = {}, {}

    def failed(self, reason: str) -> None:
        """Report a failure that a retry would meet again: the trial ends, the sweep continues."""
        self._send(self._values(0, math.nan) | {"error": reason}, None)

    def _values(self, step: int, score: float) -> dict[str, Any]:
        seconds = time.monotonic() - self._begun
        return {"session": self._session, "step": step, TIME: step * self._batch, "seconds": seconds, SCORE: score}


def _forward(config: Config, metric: str):
    """Return the Ray Train callback that forwards the workers' reports to Ray Tune; it runs in Ray Train's
    controller."""
    from ray.tune.integration.ray_train import TuneReportCallback

    class Forward(TuneReportCallback):
        def __init__(self):
            super().__init__()
            self._reporter = TrialReporter(config, metric, self._send)

        def after_report(self, run_context, metrics, checkpoint):
            self._now = run_context, checkpoint
            values = dict(metrics[0])
            step, event = values.pop("step"), values.pop("event")
            if event == "started":
                self._reporter.started(step)
            elif event == "log":
                self._reporter.log(step, values)
            else:
                self._reporter.saved(step, Path(), values)

        def _send(self, values: dict[str, Any], folder: Path | None) -> None:
            run_context, checkpoint = self._now  # Ray Train has stored it already
            super().after_report(run_context, [values], checkpoint)

    return Forward()


_validation: dict[str, list[Batch]] = {}  # batches of the trial before, by what they depend on


@contextmanager
def _kept_validation(task: Task, config: Config) -> Iterator[KeptValidation]:
    """Return the worker's feed, with the validation batches of the previous trial in this process if they are the
    same."""
    source = config.source("validation")
    depends_on = {
        "task": config.task,
        "settings": task.settings.model_dump(include=task.validation_settings),
        "source": source and source.model_dump(),
        "seed": config.train.seed,
        "samples": config.train.validation_samples,
    }
    key = json.dumps(depends_on, sort_keys=True)
    feed = worker_feed(task, config)
    feed.kept = _validation.get(key)
    try:
        yield feed
    finally:
        _validation.clear()
        if feed.kept is not None:
            _validation[key] = feed.kept


@lru_cache(maxsize=2)
def _opened(kind: type[SourceSettings], content: str, split: Split, seed: int) -> Any:
    return kind.model_validate_json(content).open(split, seed)


def _source_in_memory(source: SourceSettings, split: Split, seed: int) -> Any:
    """Return the opened source, kept for the next trials in the same process."""
    return _opened(type(source), source.model_dump_json(), split, seed)
