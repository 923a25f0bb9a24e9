"""Watches the sweep: keeps the ledger, reports to TensorBoard and MLflow, prints progress, and stops early."""

import math
import time
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tuners.asha import ASHA
from tuners.ledger import Report, SweepFolder, TrialRecord, best_report, best_trial
from tuners.plan import Plan
from tuners.results import cell
from tuners.schedulers import Population
from tuners.tracking import Tracker
from tuners.trial import NUMBER, TIME, searched

PROGRESS_SECONDS = 30.0


class Watch(tune.Callback):
    """Ray Tune's callback in the sweep's driver.

    Args:
        trials: of earlier starts of the sweep.
        planned: how many trials there will be in all; None: as many as the time allows.
        seconds_left: of the sweep's hours; None without such a limit.
    """

    def __init__(
        self,
        plan: Plan,
        sweep: SweepFolder,
        trials: list[TrialRecord],
        tracker: Tracker,
        scheduler: TrialScheduler,
        *,
        planned: int | None,
        seconds_left: float | None,
    ):
        self.scheduler = scheduler
        self.seconds_left = seconds_left
        self.trials = {trial.number: trial for trial in trials}
        self._plan = plan
        self._sweep = sweep
        self._tracker = tracker
        self._planned = planned
        self._begun = self._printed = time.monotonic()
        self._ends = None if seconds_left is None else self._begun + seconds_left
        self._ran_before = sweep.wall_seconds()
        self._numbers: dict[str, int] = {}  # Ray's trial id → number; a copied config carries the copied trial's number
        self._sessions: dict[int, tuple[str, float]] = {}  # number → start of the trial, time trained before it
        self._done_here = 0

    @property
    def wall_seconds(self) -> float:
        """Time that the sweep has run, over all its starts."""
        return self._ran_before + time.monotonic() - self._begun

    @property
    def out_of_time(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        number = self._numbers.setdefault(trial.trial_id, trial.config[NUMBER])
        values = searched(trial.config, self._plan)
        known = self.trials.get(number)
        if known is None:
            known = self.trials[number] = TrialRecord(number, values, started=time.time())
        elif values != known.values:
            self._changed(known, trial, values)
        known.status, known.ended = "running", None
        config = self._plan.trial_config(values)
        self._sweep.write_trial(known)
        (self._sweep.trial(number) / "config.yaml").write_text(config.to_yaml(), "utf-8")
        self._tracker.started(known, config)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        record = self._record(trial)
        if "error" in result:
            record.status, record.reason = "failed", result["error"]
            return
        session, before = self._sessions.get(record.number, (None, 0.0))
        if session != result["session"]:
            before = record.seconds
            self._sessions[record.number] = (result["session"], before)
        report = Report(
            result["step"], result[TIME], before + result["seconds"], dict(result["metrics"]), dict(result["training"])
        )
        record.reports = [earlier for earlier in record.reports if earlier.step < report.step] + [report]
        if "checkpoint_path" in result:  # Ray Train keeps the checkpoints of its workers itself
            record.checkpoint = self._uri(result["checkpoint_path"])
        self._sweep.append_report(record, report)
        self._tracker.reported(record, report)

    def on_checkpoint(self, iteration: int, trials: list[Trial], trial: Trial, checkpoint, **info: Any) -> None:
        record = self._record(trial)
        record.checkpoint = self._uri(checkpoint.path)
        self._sweep.write_trial(record)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        record = self._record(trial)
        if record.status != "failed":
            if record.reports and record.reports[-1].samples >= self._plan.samples:
                record.status = "finished"
            elif isinstance(self.scheduler, ASHA) and trial.trial_id in self.scheduler.stopped:
                record.status = "stopped"
            elif isinstance(self.scheduler, Population) and trial.last_result.get("done"):
                record.status = "finished"  # it copied a member that was trained in full: nothing was left to train
            else:
                return  # the sweep's time is over: the trial resumes with the sweep
        self._ended(record)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        record = self._record(trial)
        error = trial.get_error()
        record.status = "failed"
        record.reason = str(error).strip().splitlines()[-1] if error else "its process died"
        self._ended(record)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if time.monotonic() - self._printed >= PROGRESS_SECONDS:
            self._print_progress()

    def stop_early(self) -> bool:
        """Return whether `patience` trials have ended since the best one did."""
        patience = self._plan.settings.patience
        if patience is None:
            return False
        ended = [trial for trial in self.trials.values() if trial.ended is not None]
        ended.sort(key=lambda trial: trial.ended or 0.0)
        best = best_trial(ended, self._plan.metric, self._plan.mode)
        return best is not None and len(ended) - 1 - ended.index(best) >= patience

    def progress_line(self) -> str:
        """`12/40 trials · 2 under way · best within_0.5 0.984 (trial 7: train.lr=0.0031) · about 13 min left`."""
        ended = [trial for trial in self.trials.values() if trial.status != "running"]
        failed = sum(trial.status == "failed" for trial in ended)
        parts = [f"{len(ended)}{f'/{self._planned}' if self._planned else ''} trials"]
        if failed:
            parts.append(f"{failed} failed")
        parts.append(f"{len(self.trials) - len(ended)} under way")
        best = best_report(list(self.trials.values()), self._plan.metric, self._plan.mode)
        if best is not None:
            trial, report = best
            settings = " ".join(f"{key}={cell(value)}" for key, value in trial.values.items())
            value = report.metrics[self._plan.metric]
            parts.append(f"best {self._plan.metric} {value:.4g} (trial {trial.number}: {settings})")
        if (left := self._seconds_left(len(ended))) is not None:
            hours, minutes = divmod(math.ceil(left / 60), 60)
            parts.append(f"about {f'{hours} h ' if hours else ''}{minutes} min left")
        return " · ".join(parts)

    def _seconds_left(self, ended: int) -> float | None:
        budget = None if self._ends is None else max(0.0, self._ends - time.monotonic())
        if self._planned is None or not self._done_here:
            return budget
        pace = (time.monotonic() - self._begun) / self._done_here
        left = max(0, self._planned - ended) * pace
        return left if budget is None else min(left, budget)

    def _changed(self, record: TrialRecord, trial: Trial, values: dict[str, Any]) -> None:
        exploits = self.scheduler.exploits if isinstance(self.scheduler, Population) else {}
        copied = exploits.get(trial.trial_id, "")
        step = record.reports[-1].step if record.reports else 0
        record.changes.append({"step": step, "from": self._numbers.get(copied), "values": values})
        record.values = values

    def _ended(self, record: TrialRecord) -> None:
        record.ended = time.time()
        self._done_here += 1
        self._sweep.write_trial(record)
        self._tracker.ended(record)
        self._print_progress()

    def _print_progress(self) -> None:
        self._printed = time.monotonic()
        self._sweep.write_wall_seconds(self.wall_seconds)
        print(self.progress_line(), flush=True)

    def _uri(self, path: str) -> str:
        """Ray names checkpoints without the scheme of the storage."""
        scheme, separator, _ = (self._plan.base.scaling.storage or "").partition("://")
        return f"{scheme}://{path}" if separator else path

    def _record(self, trial: Trial) -> TrialRecord:
        return self.trials[self._numbers[trial.trial_id]]


class EarlyStop(tune.Stopper):
    """Ends the sweep when `Watch.stop_early` says so."""

    def __init__(self, watch: Watch | None):
        self._watch = watch

    def __reduce__(self):
        # Ray Tune writes snapshots of all that it holds; the ledger takes their place, so the copy need not work.
        return EarlyStop, (None,)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._watch is not None and self._watch.stop_early()
