"""Chooses the next trials: Optuna behind Ray Tune, given the results of earlier starts of the sweep first."""

import random
import warnings
from collections.abc import Callable
from typing import Any, Literal, cast

import optuna
from ray import tune
from ray.tune.search import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from tuners.ledger import TrialRecord
from tuners.plan import Plan
from tuners.trial import CHECKPOINT, NUMBER, SCORE

_STUDY = "sweep"
NextTrial = Callable[[], Literal["go", "wait", "over"]]


def make_searcher(plan: Plan, trials: list[TrialRecord], next_trial: NextTrial | None = None) -> OptunaSearch:
    """Return the searcher of a sweep.

    Trials that an earlier start of the sweep left unfinished come first, under their numbers; then, for a grid, the
    points that no trial has. Other searches try the training config's own values first, if the space holds them: they
    are what the others must beat. Then comes what the sampler proposes.

    Args:
        trials: of earlier starts.
        next_trial: says whether another trial should begin; always without it.
    """
    storage = optuna.storages.InMemoryStorage()
    study = _study(plan, trials, storage)
    for trial in trials:
        if trial.status == "running":
            continue
        if (report := trial.best(plan.metric, plan.mode)) is not None:
            study.add_trial(
                optuna.trial.create_trial(
                    params=plan.space.encode(trial.values),
                    distributions=plan.space.distributions(trial.values),
                    value=report.metrics[plan.metric],
                )
            )
    for point in remaining_points(plan, trials):
        study.enqueue_trial(plan.space.encode(point))
    return _PatientSearch(
        next_trial,
        space=_Proposal(plan, trials),
        metric=SCORE,
        mode=plan.mode,
        storage=storage,
        study_name=_STUDY,
        sampler=_sampler(plan, len(trials)),
    )


class _PatientSearch(OptunaSearch):
    """Ray Tune limits trials at once by counting those that wait at a rung as well; here the scheduler counts."""

    def __init__(self, next_trial: NextTrial | None, **arguments: Any):
        super().__init__(**arguments)
        self._next_trial = next_trial

    def suggest(self, trial_id: str) -> dict | None:
        answer = self._next_trial() if self._next_trial else "go"
        if answer == "go":
            return super().suggest(trial_id)
        return None if answer == "wait" else cast(dict, self.FINISHED)  # a text that Ray Tune compares

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the ledger replaces Ray Tune's snapshots."""


def make_population(plan: Plan, trials: list[TrialRecord], size: int) -> tuple[BasicVariantGenerator, dict[str, Any]]:
    """Return the members of a population, all known from the start (Ray's PBT takes no searcher), and their parameter
    space.

    Args:
        trials: of earlier starts; the unfinished ones are members again.
        size: how many members.
    """
    study = _study(plan, trials, optuna.storages.InMemoryStorage())
    propose = _Proposal(plan, trials)
    members = [propose(study.ask()) for _ in range(size)]
    space = {key: tune.choice([member[key] for member in members]) for key in members[0]}
    return BasicVariantGenerator(points_to_evaluate=members), space


def _study(plan: Plan, trials: list[TrialRecord], storage: optuna.storages.BaseStorage) -> optuna.Study:
    """Return a new study in `storage`: first the trials left unfinished, or the training config's own values."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage,
        sampler=_sampler(plan, len(trials)),
        study_name=_STUDY,
        direction="maximize" if plan.mode == "max" else "minimize",
    )
    for trial in trials:
        if trial.status == "running":
            known = {NUMBER: trial.number, CHECKPOINT: trial.checkpoint}
            study.enqueue_trial(plan.space.encode(trial.values), user_attrs=known)
    present = plan.space.point_of(plan.present_values())
    if present is not None and not trials and plan.settings.search != "grid":
        study.enqueue_trial(plan.space.encode(present))
    return study


class _Proposal:
    """Optuna's define-by-run space, which also numbers new trials."""

    def __init__(self, plan: Plan, trials: list[TrialRecord]):
        self._space = plan.space
        self._last_number = max((trial.number for trial in trials), default=0)

    def __call__(self, trial: optuna.trial.Trial) -> dict[str, Any]:
        values = self._space.suggest(trial)
        known = trial.user_attrs
        if (number := known.get(NUMBER)) is None:
            number = self._last_number = self._last_number + 1
        return values | {NUMBER: number, CHECKPOINT: known.get(CHECKPOINT)}


def remaining_points(plan: Plan, trials: list[TrialRecord]) -> list[dict[str, Any]]:
    """Return the points of a grid search that no trial has yet; None for other searches.

    Under ASHA their order is drawn by the sweep's seed: what comes first is compared with few others, and should not be
    all of one end of a range.
    """
    if plan.settings.search != "grid":
        return []
    taken = [trial.values for trial in trials]
    points = [point for point in plan.space.grid() if point not in taken]
    if plan.settings.scheduler.kind == "asha":
        random.Random(plan.settings.seed).shuffle(points)
    return points


def _sampler(plan: Plan, done: int) -> optuna.samplers.BaseSampler:
    seed = plan.settings.seed + 7919 * done  # a resumed sweep must not draw the same points again
    if plan.settings.search != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # constant_liar: trials that are still running count as bad, so that trials at the same time differ.
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
