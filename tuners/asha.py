"""Asynchronous successive halving (ASHA) as its authors describe it, as a scheduler of Ray Tune.

Li et al. 2018, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2: a trial trains to the next rung
and waits there; it continues when it is among the best 1 of `reduction` of all that have reached that rung. Ray Tune's
ASHAScheduler lets no trial wait: what comes to a rung first passes it, however bad, which cost a quarter more training
on a grid of 24 (docs/figures.md). Nor does it know trials of earlier starts; here the rungs hold them as well.
"""

from collections.abc import Sequence
from typing import Any, Literal

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tuners.ledger import TrialRecord
from tuners.plan import Plan
from tuners.trial import NUMBER, SCORE, TIME


class Rungs:
    """Who has reached which rung with which score. Trials are known by their numbers.

    Args:
        first: samples at the first rung; the others follow, `reduction` times as far each, up to half of `full`: to
            end a trial later would save little.
        sign: 1 when the greatest score is the best, -1 when the least is.
    """

    def __init__(self, first: int, full: int, reduction: float, sign: int):
        self.milestones: list[float] = []
        milestone = float(first)
        while milestone < full and (not self.milestones or 2 * milestone <= full):
            self.milestones.append(milestone)
            milestone *= reduction
        self._reduction = reduction
        self._sign = sign
        self._scores: list[dict[int, float]] = [{} for _ in self.milestones]

    def reach(self, number: int, samples: int, score: float) -> int | None:
        """Record a report. Return the highest rung that the trial reaches with it, None if it reaches no new one."""
        reached = None
        for rung, milestone in enumerate(self.milestones):
            if samples >= milestone and number not in self._scores[rung]:
                self._scores[rung][number] = self._sign * score if score == score else float("-inf")
                reached = rung
        return reached

    def rank(self, number: int, rung: int) -> int:
        """Return the trial's place among those that reached the rung, from 0; of equal ones the first counts."""
        scores = self._scores[rung]
        order = sorted(scores, key=scores.__getitem__, reverse=True)
        return order.index(number)

    def may_pass(self, number: int, rung: int, count: int | None = None) -> bool:
        """Return whether the trial is among the best of the rung; with `count`, among that many if the others were
        worse."""
        count = len(self._scores[rung]) if count is None else count
        return self.rank(number, rung) < int(count / self._reduction)


class ASHA(FIFOScheduler):
    """See the module's text.

    Args:
        trials: of earlier starts of the sweep.
        planned: trials in all; None: not known.
        concurrent: trials at once.

    Attributes:
        stopped: ids of the trials that it ended early.
    """

    def __init__(self, plan: Plan, trials: Sequence[TrialRecord], *, planned: int | None, concurrent: int):
        super().__init__()
        settings = plan.settings.scheduler
        self.stopped: set[str] = set()
        self._full = plan.samples
        self._planned = planned
        self._concurrent = concurrent
        first = max(1, int(settings.grace * plan.samples))
        self._rungs = Rungs(first, plan.samples, settings.reduction, 1 if plan.mode == "max" else -1)
        self._waiting: dict[Trial, int] = {}  # paused trial → the rung at which it waits
        self._active: set[str] = set()
        self._completed = any(trial.status == "finished" for trial in trials)
        for trial in trials:
            for report in trial.reports:
                self._rungs.reach(trial.number, report.samples, report.metrics.get(plan.metric, float("nan")))
        ended = sum(trial.status != "running" or self.behind(trial) for trial in trials)
        self._to_come = None if planned is None else planned - ended

    def next_trial(self) -> Literal["go", "wait", "over"]:
        """Return whether another trial should begin: not before a running one ends or waits. The search is over only
        when no trial waits any more, because Ray Tune releases its actors when a search is over."""
        if self._to_come == 0:
            return "wait" if self._active or self._waiting else "over"
        return "wait" if self._busy() else "go"

    def _busy(self) -> bool:
        return len(self._active) >= self._concurrent

    def behind(self, trial: TrialRecord) -> bool:
        """Return whether a trial of an earlier start was waiting at a rung that it does not pass."""
        seen = [report.samples for report in trial.reports]
        reached = [rung for rung, milestone in enumerate(self._rungs.milestones) if seen and seen[-1] >= milestone]
        if not reached or seen[-1] >= self._full:
            return False
        waits = len(seen) == 1 or seen[-2] < self._rungs.milestones[reached[-1]]
        return waits and not self._rungs.may_pass(trial.number, reached[-1])

    def on_trial_add(self, tune_controller, trial: Trial) -> None:
        self._active.add(trial.trial_id)
        if self._to_come is not None:
            self._to_come -= 1

    def on_trial_result(self, tune_controller, trial: Trial, result: dict[str, Any]) -> str:
        if "error" in result or result[TIME] >= self._full:
            return TrialScheduler.CONTINUE  # it is about to end anyway
        number = trial.config[NUMBER]
        rung = self._rungs.reach(number, result[TIME], result[SCORE])
        if rung is None or self._rungs.may_pass(number, rung):
            return TrialScheduler.CONTINUE
        if self._hopeless(number, rung):
            self.stopped.add(trial.trial_id)
            return TrialScheduler.STOP
        self._waiting[trial] = rung
        self._active.discard(trial.trial_id)
        return TrialScheduler.PAUSE

    def on_trial_complete(self, tune_controller, trial: Trial, result: dict[str, Any]) -> None:
        self._active.discard(trial.trial_id)
        self._completed = self._completed or result.get(TIME, 0) >= self._full

    def on_trial_error(self, tune_controller, trial: Trial) -> None:
        self._active.discard(trial.trial_id)

    def on_trial_remove(self, tune_controller, trial: Trial) -> None:
        self._active.discard(trial.trial_id)
        self._waiting.pop(trial, None)

    def choose_trial_to_run(self, tune_controller) -> Trial | None:
        paused = [trial for trial in self._waiting if trial.status == Trial.PAUSED]
        for trial in paused:
            if self._hopeless(trial.config[NUMBER], self._waiting[trial]):
                self._stop(tune_controller, trial)
        if self._busy():
            return None
        paused = sorted((trial for trial in paused if trial in self._waiting), key=self._promise)
        if paused and self._rungs.may_pass(paused[0].config[NUMBER], self._waiting[paused[0]]):
            return self._resumed(paused[0])
        if paused and not self._active and self._to_come == 0:
            if not self._completed:  # fewer trials than `reduction`: one is trained in full all the same
                return self._resumed(paused[0])
            for trial in paused:
                self._stop(tune_controller, trial)
        return next((trial for trial in tune_controller.get_trials() if trial.status == Trial.PENDING), None)

    def _promise(self, trial: Trial) -> tuple[bool, int, int]:
        """Return which trial continues first: of those that may, one on the highest rung, and of these the best."""
        number, rung = trial.config[NUMBER], self._waiting[trial]
        return not self._rungs.may_pass(number, rung), -rung, self._rungs.rank(number, rung)

    def _hopeless(self, number: int, rung: int) -> bool:
        """Return whether the trial would not pass even if all future trials were worse; never true of the best of a
        sweep of fewer trials than `reduction`."""
        if self._planned is None or self._rungs.rank(number, rung) == 0:
            return False
        return not self._rungs.may_pass(number, rung, max(self._planned, 1))

    def _resumed(self, trial: Trial) -> Trial:
        del self._waiting[trial]
        self._active.add(trial.trial_id)
        return trial

    def _stop(self, tune_controller, trial: Trial) -> None:
        self.stopped.add(trial.trial_id)
        tune_controller.stop_trial(trial)
