"""Runs a sweep: checks everything, starts Ray Tune, and writes the results."""

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.config import ConfigError, nearest
from common.errors import ExitCode, ExpectedError
from common.resources import fits
from common.storage.local import write_text
from trainers.core.launch import adopt, demand
from trainers.core.runs import CHECKPOINT_FOLDER, CONFIG_FILE, RUN_FILE
from tuners.ledger import SweepError, SweepFolder, TrialRecord, best_trial, open_sweep
from tuners.plan import Plan
from tuners.report import write_report
from tuners.results import SweepFacts, SweepState, write_trials

if TYPE_CHECKING:
    from tuners.watch import Watch

BEST_CONFIG = "best.yaml"
BEST_RUN = "best"
TRIALS_TABLE = "trials.parquet"
REPORT = "report.html"
EXPERIMENT = "ray"  # folder of Ray Tune
TRAINERS = "trainers"  # files of Ray Train, where a TorchTrainer is a trial

_ENVIRONMENT = {  # features of Ray Tune that a sweep turns off
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger and the tracker replace its files
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of the config mean the same everywhere
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the sweep has its own progress line
}


class ClusterError(ExpectedError):
    """A cluster that cannot hold the sweep; the message names the demand and the remedy."""

    exit_code = ExitCode.CANNOT_START


def run_sweep(
    plan: Plan,
    folder: Path,
    *,
    resources: dict[str, float],
    nodes: int,
    command: str,
    overwrite: bool = False,
    retry_failed: bool = False,
) -> tuple[SweepFacts, list[TrialRecord]]:
    """Run a sweep, or resume the one in the folder, on the connected Ray cluster.

    Args:
        resources: of the cluster (`CPU`, `GPU`), with what it may grow to.
        nodes: of the cluster.
        command: resumes the sweep; shown in the report.
        overwrite: delete an earlier sweep in this folder first.
        retry_failed: run failed trials of earlier starts again, each from its last checkpoint.

    Raises:
        SweepError: the folder cannot be used, or the sweep in it is complete.
        ConfigError, SourceError: what the trials need is not there, see `check_metric`.
        ClusterError: the cluster is too small.
    """
    concurrent = concurrent_trials(plan, resources, nodes)
    check_metric(plan)
    with open_sweep(folder, plan, overwrite=overwrite) as sweep:
        trials = sweep.trials()
        for trial in trials:
            if retry_failed and trial.status == "failed":
                trial.status, trial.reason = "running", ""
        return _run(plan, sweep, trials, concurrent, command)


def concurrent_trials(plan: Plan, resources: dict[str, float], nodes: int) -> int:
    """Return how many trials may run at once so that each gets its workers and their data tasks.

    Raises:
        ClusterError: the cluster does not hold one trial, or fewer than `max_concurrent`; or it has
            several nodes and no storage that they share.
    """
    from tuners.trial import DRIVER_CPUS

    if nodes > 1 and plan.base.scaling.storage is None:
        raise ClusterError(
            f"the cluster has {nodes} nodes: set scaling.storage to a folder or URI that all of them reach"
        )
    needed = demand(plan.base)
    if plan.host == "trainer":
        needed["CPU"] += DRIVER_CPUS
    times = fits(needed, resources)
    scarce = min(times, key=lambda name: times[name])
    what = f"a trial needs {needed[scarce]:g} {scarce}s, Ray has {resources.get(scarce, 0):g}"
    if times[scarce] == 0:
        raise ClusterError(f"{what}; lower scaling.workers, scaling.cpus_per_worker or scaling.data_tasks")
    limit = plan.settings.max_concurrent
    if limit is not None and limit > times[scarce]:
        raise ClusterError(f"max_concurrent is {limit}, but {what}, which holds {times[scarce]}; lower max_concurrent")
    return limit or times[scarce]


def check_metric(plan: Plan) -> None:
    """Make a training sample and validate two samples with an untrained network: what the trials need is there, and
    the task reports the metric.

    Raises:
        ConfigError: it does not, or the task fails.
        SourceError: the samples cannot be read.
    """
    import torch

    from trainers.data.image_shards import SourceError

    config = plan.trial_config(plan.space.corners()[0])
    task = config.build_task()
    try:
        task.sample(0, "train")
        batch = task.collate([task.sample(index, "validation") for index in range(2)])
        with torch.no_grad():
            reported = task.metrics(task.predict(task.network().eval(), batch))
    except SourceError:
        raise
    except Exception as error:
        raise ConfigError(f"task {config.task} fails on its first samples: {type(error).__name__}: {error}") from error
    if plan.metric not in reported:
        raise ConfigError(
            f"task {config.task} reports no metric {plan.metric!r}{nearest(plan.metric, reported)}; it reports "
            f"{', '.join(reported)}"
        )


def planned_trials(plan: Plan, trials: list[TrialRecord]) -> int | None:
    """Return the number of trials of the whole sweep, earlier starts included; None if only time limits it."""
    from tuners.search import remaining_points

    if plan.settings.search == "grid":
        points = len(trials) + len(remaining_points(plan, trials))
        return min(points, plan.settings.trials or points)
    return plan.settings.trials


def _run(
    plan: Plan, sweep: SweepFolder, trials: list[TrialRecord], concurrent: int, command: str
) -> tuple[SweepFacts, list[TrialRecord]]:
    os.environ.update(_ENVIRONMENT)
    from tuners.schedulers import make_scheduler
    from tuners.tracking import Tracker
    from tuners.watch import Watch

    planned = planned_trials(plan, trials)
    scheduler = make_scheduler(plan, trials, planned=planned, concurrent=concurrent)
    _leave_behind(sweep, scheduler, trials)
    ended = sum(trial.status != "running" for trial in trials)
    seconds_left = None if plan.settings.hours is None else 3600 * plan.settings.hours - sweep.wall_seconds()
    _refuse_complete(sweep, planned, ended, seconds_left)
    if trials:
        print(f"resuming {sweep.folder}: {ended} trials done, {len(trials) - ended} unfinished", flush=True)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    tracker = Tracker(sweep.folder, plan.base, metric=plan.metric, mode=plan.mode, parameters=_parameters(plan))
    watch = Watch(plan, sweep, trials, tracker, scheduler, planned=planned, seconds_left=seconds_left)
    state: SweepState = "interrupted"
    try:
        _tuner(
            plan, sweep, trials, watch, count=-1 if planned is None else planned - ended, concurrent=concurrent
        ).fit()
        trials = sorted(watch.trials.values(), key=lambda trial: trial.number)
        state = _state(watch, trials, planned)
    finally:
        sweep.write_wall_seconds(watch.wall_seconds)
        best = best_trial(list(watch.trials.values()), plan.metric, plan.mode)
        tracker.close("KILLED" if state == "interrupted" else "FINISHED", best)
    facts = SweepFacts(
        name=sweep.folder.name,
        task=plan.base.task,
        metric=plan.metric,
        mode=plan.mode,
        search=plan.settings.search,
        scheduler=plan.settings.scheduler.kind,
        full_samples=plan.samples,
        planned=planned,
        concurrent=concurrent,
        wall_seconds=watch.wall_seconds,
        state=state,
        command=command,
    )
    write_results(plan, sweep, facts, trials)
    return facts, trials


def _tuner(plan: Plan, sweep: SweepFolder, trials: list[TrialRecord], watch, *, count: int, concurrent: int):
    """Ray Tune's tuner for `count` trials (-1: any number) that were not there or not finished yet."""
    from ray import tune

    from tuners.search import make_population, make_searcher
    from tuners.trial import trainable
    from tuners.watch import EarlyStop

    if plan.population:
        searcher, space = make_population(plan, trials, count)
    else:
        searcher, space = make_searcher(plan, trials, getattr(watch.scheduler, "next_trial", None)), None
    storage = plan.base.scaling.storage
    storage = f"{storage.rstrip('/')}/{sweep.folder.name}" if storage else str(sweep.folder.resolve())
    return tune.Tuner(
        trainable(plan, f"{storage}/{TRAINERS}"),
        param_space=space,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=watch.scheduler,
            num_samples=-1 if plan.settings.scheduler.kind == "asha" else count,  # ASHA counts them
            # Ray would count paused trials as well, and a population lives side by side.
            max_concurrent_trials=concurrent if plan.settings.scheduler.kind == "none" else None,
            time_budget_s=watch.seconds_left,
            reuse_actors=plan.host == "actor",
            trial_name_creator=lambda trial: f"trial-{trial.trial_id}",
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=EXPERIMENT,
            storage_path=storage,
            verbose=0,
            stop=EarlyStop(watch),
            callbacks=[watch],
            failure_config=tune.FailureConfig(max_failures=plan.base.scaling.max_failures),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=4 if plan.population else 2),
        ),
    )


def write_results(plan: Plan, sweep: SweepFolder, facts: SweepFacts, trials: list[TrialRecord]) -> None:
    """Write best.yaml, the best trial as a run folder, trials.parquet and report.html."""
    best = best_trial(trials, plan.metric, plan.mode)
    if best is not None:
        write_text(sweep.folder / BEST_CONFIG, plan.tuned_config(best.values).to_yaml())
        _write_best_run(plan, sweep, best)
    write_trials(sweep.folder / TRIALS_TABLE, trials, facts)
    write_report(sweep.folder / REPORT, trials, facts)


def _write_best_run(plan: Plan, sweep: SweepFolder, best: TrialRecord) -> None:
    """Write the best trial's weights as a run for `ocray export` and `ocray evaluate`. For a population the weights are
    the result, since no single set of values made them."""
    from ray.tune import Checkpoint

    if best.checkpoint is None:
        return
    folder = sweep.folder / BEST_RUN
    with Checkpoint(best.checkpoint).as_directory() as source:
        adopt(Path(source), folder / CHECKPOINT_FOLDER)
    config = plan.trial_config(best.values)
    write_text(folder / CONFIG_FILE, config.to_yaml())
    command = f"trial {best.number} of the sweep {sweep.folder.name}"
    write_text(folder / RUN_FILE, json.dumps({"host": "ray", "command": command}) + "\n")


def _leave_behind(sweep: SweepFolder, scheduler, trials: list[TrialRecord]) -> None:
    """Trials that waited at a rung when the sweep was killed, and do not pass it, are stopped."""
    from tuners.asha import ASHA

    for trial in trials:
        if trial.status == "running" and isinstance(scheduler, ASHA) and scheduler.behind(trial):
            trial.status, trial.ended = "stopped", time.time()
            sweep.write_trial(trial)


def _refuse_complete(sweep: SweepFolder, planned: int | None, ended: int, seconds_left: float | None) -> None:
    remedy = "give more with {}, another --sweep folder, or --overwrite to delete it"
    if planned is not None and ended >= planned:
        raise SweepError(f"{sweep.folder}: all {planned} trials are done; {remedy.format('--trials')}")
    if seconds_left is not None and seconds_left <= 0:
        raise SweepError(f"{sweep.folder}: its hours are spent; {remedy.format('--hours')}")


def _state(watch: "Watch", trials: list[TrialRecord], planned: int | None) -> SweepState:
    ended = sum(trial.status != "running" for trial in trials)
    if planned is not None and ended >= planned:
        return "finished"
    if watch.stop_early():
        return "no better trials"
    return "out of time" if watch.out_of_time else "interrupted"


def _parameters(plan: Plan) -> dict[str, Any]:
    space = {f"space.{key}": str(each.model_dump(exclude_none=True)) for key, each in plan.space.parameters.items()}
    return space | {
        "search": plan.settings.search,
        "scheduler": plan.settings.scheduler.kind,
        "metric": plan.metric,
        "samples": plan.samples,
    }
