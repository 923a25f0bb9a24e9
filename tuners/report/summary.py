"""The report's figures and tables, before they are HTML."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.durations import duration
from tuners.ledger import TrialRecord, best_report, best_trial
from tuners.results import (
    ABSENT,
    DASH,
    SweepFacts,
    best_value,
    cell,
    importance,
    importance_obstacle,
    percent,
    ranking,
    samples_seen,
    setting_names,
    short,
    short_names,
    text,
    trained_share,
)

_STATUSES = ("finished", "stopped", "failed", "running")
_FEW_SCORED = 30  # trials; fewer give an order of importance, not figures


@dataclass(frozen=True)
class Tiles:
    """The figures one looks for first; counts are of trials."""

    best: str
    finished: int
    stopped: int
    failed: int
    running: int
    trained: str
    clock: str
    saved: str


def tiles(trials: Sequence[TrialRecord], facts: SweepFacts) -> Tiles:
    best = best_report(trials, facts.metric, facts.mode)
    count = {status: sum(trial.status == status for trial in trials) for status in _STATUSES}
    share = trained_share(trials, facts)
    return Tiles(
        best=DASH if best is None else short(best[1].metrics[facts.metric]),
        trained=duration(sum(trial.seconds for trial in trials)),
        clock=duration(facts.wall_seconds),
        saved=DASH if share is None else percent(max(0.0, 1 - share)),
        **count,
    )


@dataclass(frozen=True)
class Best:
    """The best trial at its best report: names and values of its settings and metrics, and the command that trains
    with them."""

    number: int
    step: int
    samples: int
    failed: bool
    settings: list[tuple[str, str]]
    metrics: list[tuple[str, str]]
    command: str


def best_settings(trials: Sequence[TrialRecord], facts: SweepFacts, best_file: Path) -> Best | None:
    """Return the best trial; None where no trial has a finite value."""
    best = best_report(trials, facts.metric, facts.mode)
    if best is None:
        return None
    trial, report = best
    return Best(
        number=trial.number,
        step=report.step,
        samples=report.samples,
        failed=trial.status == "failed",
        settings=[(name, _exact(value)) for name, value in trial.values.items()],
        metrics=[(name, short(value)) for name, value in report.metrics.items()],
        command=f"ocray train {shlex.quote(str(best_file))}",
    )


@dataclass(frozen=True)
class ImportanceBar:
    """A setting's share, and the bar's `length`, 0..1 of the longest."""

    name: str
    share: str
    length: float


@dataclass(frozen=True)
class Importances:
    """How much each setting mattered, or the `obstacle` (see `importance_obstacle`) to telling it.

    Attributes:
        scored: ended trials with a value. few: too few of them to trust the figures.
    """

    obstacle: str | None
    scored: int
    few: bool
    bars: Sequence[ImportanceBar]


def importances(trials: Sequence[TrialRecord], facts: SweepFacts) -> Importances:
    scored = sum(trial.status != "running" and trial.best(facts.metric, facts.mode) is not None for trial in trials)
    obstacle = importance_obstacle(trials, facts.metric, facts.mode)
    shares = {} if obstacle else importance(trials, facts.metric, facts.mode)
    longest = max(shares.values(), default=1.0)
    bars = [ImportanceBar(name, percent(share), share / longest) for name, share in shares.items()]
    return Importances(obstacle, scored, scored < _FEW_SCORED, bars)


Settings = list[tuple[str, str]]  # short names and values


@dataclass(frozen=True)
class Change:
    """One of PBT's exploits: the trial `number` took over the weights of the trial `source`."""

    number: int
    step: int
    source: int
    settings: Settings


def changes(trials: Sequence[TrialRecord]) -> list[Change]:
    return [
        Change(trial.number, change["step"], change["from"], _settings(change["values"]))
        for trial in sorted(trials, key=lambda trial: trial.number)
        for change in trial.changes
    ]


@dataclass(frozen=True)
class Given:
    """A setting's value on little room and in full, both empty or a dash where it did not apply."""

    shown: str
    full: str


@dataclass(frozen=True)
class TrialRow:
    """A row of the table of all trials: values to sort by, and beside them how they are written."""

    number: int
    best: bool
    status: str
    value: float | None
    shown_value: str
    samples: int
    share: str
    seconds: float
    duration: str
    settings: list[Given]


def trial_rows(trials: Sequence[TrialRecord], facts: SweepFacts) -> list[TrialRow]:
    """Return all trials, the best first."""
    best = best_trial(list(trials), facts.metric, facts.mode)
    names = setting_names(trials)
    return [_trial_row(trial, facts, names, trial is best) for trial in ranking(trials, facts.metric, facts.mode)]


def setting_labels(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the names of the columns of settings in `trial_rows`."""
    return list(short_names(setting_names(trials)).values())


def _trial_row(trial: TrialRecord, facts: SweepFacts, names: Sequence[str], is_best: bool) -> TrialRow:
    value, samples = best_value(trial, facts.metric, facts.mode), samples_seen(trial)
    given = [trial.values.get(name, ABSENT) for name in names]
    return TrialRow(
        number=trial.number,
        best=is_best,
        status=trial.status,
        value=value,
        shown_value=DASH if value is None else short(value),
        samples=samples,
        share=percent(samples / facts.full_samples),
        seconds=trial.seconds,
        duration=duration(trial.seconds),
        settings=[Given(cell(each), "" if each is ABSENT else text(each)) for each in given],
    )


@dataclass(frozen=True)
class Failure:
    number: int
    reason: str
    settings: Settings


def failures(trials: Sequence[TrialRecord]) -> list[Failure]:
    """Return the failed trials with their reasons."""
    failed = sorted((trial for trial in trials if trial.status == "failed"), key=lambda trial: trial.number)
    return [Failure(trial.number, trial.reason, _settings(trial.values)) for trial in failed]


def _exact(value: Any) -> str:
    """In full, but of a number what matters: the file beside the report has every digit."""
    return f"{value:.6g}" if isinstance(value, float) else text(value)


def _settings(values: Mapping[str, Any]) -> Settings:
    names = short_names(list(values))
    return [(names[name], cell(value)) for name, value in values.items()]
