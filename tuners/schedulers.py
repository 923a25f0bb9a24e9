"""Which trials are given more training."""

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, PopulationBasedTraining, TrialScheduler

from tuners.asha import ASHA
from tuners.ledger import TrialRecord
from tuners.plan import Plan
from tuners.trial import NUMBER, SCORE, TIME


def make_scheduler(plan: Plan, trials: list[TrialRecord], *, planned: int | None, concurrent: int) -> TrialScheduler:
    """Return the scheduler of a sweep.

    Args:
        trials: of earlier starts.
        planned: trials in all; None: not known.
        concurrent: trials at once.
    """
    kind = plan.settings.scheduler.kind
    if kind == "asha":
        return ASHA(plan, trials, planned=planned, concurrent=concurrent)
    return Population(plan) if kind == "pbt" else FIFOScheduler()


class Population(PopulationBasedTraining):
    """Population-based training (Jaderberg et al. 2017) that keeps values in their ranges and records who copied whom.

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
