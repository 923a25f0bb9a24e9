"""Hosts the loop: under Ray Train on one machine or a cluster, or in this process without Ray.

Under Ray the driver's machine keeps the run folder (the reports come through Ray Train's controller, which runs beside
the driver), the train workers and the sample-making tasks run anywhere. Checkpoints go to `scaling.storage` (default:
RUN/ray), which several nodes must share, and the last one is copied to RUN/checkpoint at the end.

Ray Train resumes a run silently when its name exists. Here the run folder decides (see `trainers/core/runs.py`), and a
resume is described in plain words.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from common.resources import fits
from trainers.core.checkpoint import BEST_FILE, LAST_FILE, WeightsError
from trainers.core.config import Config
from trainers.core.feed import KeptValidation, PlainFeed, Share
from trainers.core.loop import Outcome, TrainingError, train
from trainers.core.reporters import RunReporter, Silent, end_mlflow_run
from trainers.core.runs import Run, RunError, open_run
from trainers.core.task import Task
from trainers.data.image_shards import SourceError

LASTING = (TrainingError, WeightsError, SourceError)  # another try would meet them again


def launch(
    config: Config,
    folder: Path,
    *,
    use_ray: bool = True,
    connect: Callable[[], bool] | None = None,
    command: str = "ocray train",
    overwrite: bool = False,
    stop_after_minutes: float | None = None,
) -> Outcome:
    """Train, or resume training, in a run folder.

    Args:
        connect: called where Ray is needed and not connected; says whether a cluster was joined, which may grow
            (default: a new Ray on this machine).

    Raises:
        RunError: the folder cannot be used (see `open_run`), or the cluster is too small.
        TrainingError, WeightsError, SourceError: see `loop.train`; under Ray also when workers kept failing.
    """
    host = "ray" if use_ray else "plain"
    if not use_ray and int(os.environ.get("RANK", "0")) > 0:  # torchrun: rank 0 alone owns the run folder
        return _train_plainly(config, Run(folder), stop_after_minutes)
    with open_run(folder, config, host=host, command=command, overwrite=overwrite) as run:
        try:
            if use_ray:
                outcome = _train_with_ray(config, run, stop_after_minutes, connect or _start_ray)
            else:
                outcome = _train_plainly(config, run, stop_after_minutes)
        except BaseException as error:
            end_mlflow_run(folder, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        if outcome.finished:
            run.finish(outcome)
            end_mlflow_run(folder, "FINISHED")
        return outcome


def _train_plainly(config: Config, run: Run, stop_after_minutes: float | None) -> Outcome:
    """In this process; as one of several when torchrun (or its environment variables) started it."""
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world_size > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    task = config.build_task()
    share = Share(config.train.global_batch, config.train.validation_samples, rank, world_size)
    feed = PlainFeed(task, share, processes=config.data.processes, pin_memory=device.type == "cuda")
    outcome = train(
        task,
        config.train,
        reporter=RunReporter(run.folder, config) if rank == 0 else Silent(),
        checkpoint_dir=run.checkpoint,
        feed=KeptValidation(feed),
        device=device,
        stop_after_minutes=stop_after_minutes,
    )
    if world_size > 1:
        torch.distributed.destroy_process_group()
    return outcome


def _start_ray() -> bool:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local")  # without the address, any Ray that once ran on this machine
    return False


def _train_with_ray(config: Config, run: Run, stop_after_minutes: float | None, connect: Callable[[], bool]) -> Outcome:
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # relative paths of the config mean the same everywhere
    import ray
    import ray.train

    may_grow = "RAY_ADDRESS" in os.environ if ray.is_initialized() else connect()
    scaling = config.scaling
    nodes = sum(node["Alive"] for node in ray.nodes())
    preflight(config, ray.cluster_resources(), nodes=nodes, may_grow=may_grow)
    trainer = torch_trainer(
        config,
        name=run.folder.name,
        storage=scaling.storage or str(run.folder.resolve() / "ray"),
        callback=_run_callback(config, run),
        stop_after_minutes=stop_after_minutes,
    )
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        result = trainer.fit()
    except SystemExit as error:  # Ray Train ends the program, as if all were well, when it is interrupted
        raise KeyboardInterrupt from error
    except ray.train.TrainingFailedError as error:
        message = f"{run.folder}: {error}; its last checkpoint is kept; run the same command to resume"
        raise TrainingError(message) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, on_ctrl_c)
    answer: dict[str, Any] = result.return_value or {}
    if "error" in answer:
        raise TrainingError(answer["error"])
    if result.checkpoint is not None:
        with result.checkpoint.as_directory() as saved:
            adopt(Path(saved), run.checkpoint)
    return Outcome(**answer)


def torch_trainer(config: Config, *, name: str, storage: str, callback, stop_after_minutes: float | None = None):
    """Return the Ray Train trainer of a config: `fit()` resumes the run under `storage`/`name`, if there is one.

    Args:
        callback: a `ray.train.UserCallback` that receives every report, see `RayReporter`.
    """
    import ray.train
    from ray.train.torch import TorchTrainer

    scaling = config.scaling
    return TorchTrainer(
        train_worker,
        train_loop_config={"config": config.model_dump(), "stop_after_minutes": stop_after_minutes},
        scaling_config=ray.train.ScalingConfig(
            num_workers=scaling.workers, use_gpu=scaling.use_gpu, resources_per_worker=worker_resources(config)
        ),
        run_config=ray.train.RunConfig(
            name=name,
            storage_path=storage if "://" in storage else str(Path(storage).resolve()),
            failure_config=ray.train.FailureConfig(max_failures=scaling.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            callbacks=[callback],
            worker_runtime_env={"env_vars": {"RAY_DATA_LOG_LEVEL": "WARNING"}},
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
        ),
    )


def worker_resources(config: Config) -> dict[str, float]:
    """Return the resources that Ray reserves for one training worker."""
    return {"CPU": config.scaling.cpus_per_worker} | ({"GPU": 1} if config.scaling.use_gpu else {})


def train_worker(arguments: dict) -> dict:
    """One Ray Train worker.

    Args:
        arguments: `config` (a dumped Config) and `stop_after_minutes`.

    Returns:
        The fields of the outcome, or `error`: a failure that another try would meet again (what is raised is retried).
    """
    import ray.train
    import ray.train.torch

    config = Config.model_validate(arguments["config"])
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    with tempfile.TemporaryDirectory(prefix="ocray-checkpoint-") as temporary:
        folder = Path(temporary)
        if (saved := ray.train.get_checkpoint()) is not None:
            with saved.as_directory() as source:
                adopt(Path(source), folder)
        try:
            task = config.build_task()
            outcome = train(
                task,
                config.train,
                reporter=RayReporter(rank),
                checkpoint_dir=folder,
                feed=worker_feed(task, config, rank, world_size),
                device=ray.train.torch.get_device(),
                stop_after_minutes=arguments["stop_after_minutes"],
            )
        except LASTING as error:
            return {"error": str(error)}
        return vars(outcome)


def worker_feed(task: Task, config: Config, rank: int = 0, world_size: int = 1) -> KeptValidation:
    """Return a Ray worker's batches: made by Ray tasks anywhere in the cluster, or by the worker itself (`data_tasks:
    0`)."""
    from trainers.core.ray_feed import RayFeed

    scaling = config.scaling
    share = Share(config.train.global_batch, config.train.validation_samples, rank, world_size)
    if scaling.data_tasks == 0:
        return KeptValidation(PlainFeed(task, share))
    feed = RayFeed(task, share, tasks=scaling.data_tasks, cpus_per_task=scaling.cpus_per_data_task)
    return KeptValidation(feed)


class RayReporter:
    """Passes reports to Ray Train, which wants them from all workers and hands rank 0's to the run's callback: the
    arguments of the reporter's methods, with `event` (started, log or saved) and `step`."""

    def __init__(self, rank: int):
        self.rank = rank

    def started(self, step: int) -> None:
        self._report("started", step, {})

    def log(self, step: int, values: dict[str, float]) -> None:
        self._report("log", step, values)

    def saved(self, step: int, folder: Path, metrics: dict[str, float]) -> None:
        self._report("saved", step, metrics, folder if self.rank == 0 else None)

    def _report(self, event: str, step: int, values: dict[str, float], folder: Path | None = None) -> None:
        import ray.train

        checkpoint = ray.train.Checkpoint.from_directory(folder) if folder else None
        ray.train.report({"event": event, "step": step, **values}, checkpoint=checkpoint)


def _run_callback(config: Config, run: Run):
    """Return the Ray Train callback that informs the run's reporter; it runs in the controller, beside the driver."""
    import ray.train

    class RunCallback(ray.train.UserCallback):
        def __init__(self, config: Config, folder: Path):
            self.config = config
            self.folder = folder
            self.reporter: RunReporter | None = None

        def after_report(self, run_context, metrics, checkpoint):
            if self.reporter is None:
                self.reporter = RunReporter(self.folder, self.config)
            values = dict(metrics[0])
            step, event = values.pop("step"), values.pop("event")
            if event == "started":
                self.reporter.started(step)
            elif event == "saved":
                self.reporter.saved(step, self.folder, values)
            else:
                self.reporter.log(step, values)

        def after_exception(self, run_context, worker_exceptions):
            for rank, error in worker_exceptions.items():
                print(
                    f"train worker {rank} failed (scaling.max_failures sets how often to resume): {error}", flush=True
                )

    return RunCallback(config, run.folder.resolve())


def demand(config: Config) -> dict[str, float]:
    """Return the least resources that a run needs: its workers, and one data task for each."""
    scaling = config.scaling
    cpus = scaling.cpus_per_worker + (scaling.cpus_per_data_task if scaling.data_tasks else 0)
    return {"CPU": scaling.workers * cpus} | ({"GPU": scaling.workers} if scaling.use_gpu else {})


def preflight(config: Config, resources: Mapping[str, float], nodes: int, may_grow: bool = False) -> None:
    """Refuse a run that Ray would let wait for ever.

    On a cluster that may grow, a lack of CPUs or GPUs is only printed.

    Raises:
        RunError: too few CPUs or GPUs, or several nodes without shared storage.
    """
    scaling = config.scaling
    if nodes > 1 and scaling.storage is None:
        raise RunError(f"the cluster has {nodes} nodes: set scaling.storage to a folder or URI that all of them reach")
    needed = demand(config)
    for name, times in fits(needed, resources).items():
        if not times:
            message = (
                f"this run needs {needed[name]:g} {name}s ({scaling.workers} workers and their data tasks), Ray has "
                f"{resources.get(name, 0):g}; lower scaling.workers"
                + (", scaling.cpus_per_worker or scaling.cpus_per_data_task" if name == "CPU" else "")
            )
            if not may_grow:
                raise RunError(message)
            print(f"{message}, or wait until the cluster has grown", flush=True)


def adopt(source: Path, target: Path) -> None:
    """Copy a checkpoint's files."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (LAST_FILE, BEST_FILE):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
