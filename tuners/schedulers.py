"""Which trials are given more training: Ray Tune's schedulers, told first what earlier starts of the sweep found."""

from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler

from tuners.ledger import TrialRecord
from tuners.plan import Plan
from tuners.trial import NUMBER, SCORE, TIME


def make_scheduler(plan: Plan, trials: list[TrialRecord]) -> TrialScheduler:
    """The scheduler of a sweep.

    Args:
        trials: of earlier starts.
    """
    kind = plan.settings.scheduler.kind
    if kind == "asha":
        return RememberingASHA(plan, trials)
    if kind == "pbt":
        return Population(plan)
    return FIFOScheduler()


class RememberingASHA(ASHAScheduler):
    """Asynchronous successive halving (Li et al. 2018) whose rungs hold the trials of earlier starts as well: Ray Tune
    itself forgets them when a sweep goes on, and the first trials after that would all be trained to the end.

    Attributes:
        stopped: ids of the trials that it ended early.
    """

    def __init__(self, plan: Plan, trials: list[TrialRecord]):
        settings = plan.settings.scheduler
        super().__init__(
            time_attr=TIME,
            metric=SCORE,
            mode=plan.mode,
            max_t=plan.samples,
            # A rung must not lie a rounded step behind the report that should fall on it.
            grace_period=max(1, int(settings.grace * plan.samples)),
            reduction_factor=settings.reduction,
        )
        self.stopped: set[str] = set()
        self._full = plan.samples
        self._metric_name = plan.metric
        self._past = {trial.number: trial for trial in trials}
        for trial in trials:
            if trial.status != "running":
                self._remember(trial, f"earlier-{trial.number}")

    def on_trial_add(self, tune_controller, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        if (past := self._past.get(trial.config[NUMBER])) is not None:
            self._remember(past, trial.trial_id)  # it passed these rungs before

    def on_trial_result(self, tune_controller, trial: Trial, result: dict[str, Any]) -> str:
        action = super().on_trial_result(tune_controller, trial, result)
        if action == TrialScheduler.STOP and result[TIME] < self._full:
            self.stopped.add(trial.trial_id)
        return action

    def _remember(self, past: TrialRecord, trial_id: str) -> None:
        bracket = self._brackets[0]
        for report in past.reports:
            if self._metric_name in report.metrics:
                score = self._metric_op * report.metrics[self._metric_name]
                bracket.on_result(SimpleNamespace(trial_id=trial_id), report.samples, score)


class Population(PopulationBasedTraining):
    """Population-based training (Jaderberg et al. 2017) that keeps values in their ranges and tells who copied whom.

    Attributes:
        exploits: id of a trial → id of the trial that it copied last.
    """

    def __init__(self, plan: Plan):
        settings = plan.settings.scheduler
        super().__init__(
            time_attr=TIME,
            metric=SCORE,
            mode=plan.mode,
            perturbation_interval=max(1, int(settings.interval * plan.samples)),
            hyperparam_mutations=plan.space.tune_domains(),
            quantile_fraction=settings.quantile,
            resample_probability=settings.resample,
            custom_explore_fn=plan.space.clip,
            log_config=False,
        )
        self.exploits: dict[str, str] = {}

    def _exploit(self, tune_controller, trial: Trial, trial_to_clone: Trial) -> None:
        number = trial.config[NUMBER]
        super()._exploit(tune_controller, trial, trial_to_clone)
        trial.config[NUMBER] = number
        self.exploits[trial.trial_id] = trial_to_clone.trial_id
