"""What a sweep found, as figures: `trials.parquet`, the table in the terminal, the importance of each setting.

Everything is read from the trials' records and a few facts about the sweep; `tuners.report` draws the same figures.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from common.durations import duration
from common.storage import replacing
from tuners.ledger import Report, TrialRecord

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Mode = Literal["max", "min"]
SweepState = Literal["finished", "interrupted", "out of time", "no better trials"]
ABSENT = object()  # a conditional setting that did not apply
DASH = "–"  # how that is written
WIDTH = 120  # columns of a terminal
LONGEST_CELL = 18
LEAST_SCORED = 4  # a forest over fewer trials says nothing

_REPORTS = pa.list_(
    pa.struct(
        [
            ("step", pa.int64()),
            ("samples", pa.int64()),
            ("seconds", pa.float64()),
            ("metrics", pa.map_(pa.string(), pa.float64())),
        ]
    )
)
_CHANGES = pa.list_(pa.struct([("step", pa.int64()), ("from", pa.int64()), ("values", pa.string())]))
_MOMENT = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True)
class SweepFacts:
    """Facts about a sweep besides its trials.

    Attributes:
        full_samples: training samples of a trial that runs to its end.
        planned: trials planned; None if only time limits them.
        concurrent: trials at once.
        wall_seconds: over all runs of the sweep.
        command: resumes the sweep, or made it.
    """

    name: str
    task: str
    metric: str
    mode: Mode
    search: str
    scheduler: str
    full_samples: int
    planned: int | None
    concurrent: int
    wall_seconds: float
    state: SweepState
    command: str


def trials_table(trials: Sequence[TrialRecord], facts: SweepFacts) -> pa.Table:
    """One row a trial, by number.

    Columns: number, status, reason, best_value (of `facts.metric`), best_step, best_samples, last_value, steps,
    samples, seconds (trained), started, ended (UTC); one per searched setting under its dotted name (bool, int64 or
    float64 where all values are such, else text, lists and the like as JSON; null where it did not apply);
    `metrics.NAME` per validation metric at the best report; `reports` and, under PBT, `changes`. The facts are JSON in
    the schema's metadata under `ocray.sweep`.
    """
    trials = sorted(trials, key=lambda trial: trial.number)
    best = [trial.best(facts.metric, facts.mode) for trial in trials]
    last = [trial.reports[-1] if trial.reports else None for trial in trials]

    def each(reports: Sequence[Report | None], name: str) -> list[float | None]:
        return [None if report is None else report.metrics.get(name) for report in reports]

    columns: dict[str, pa.Array] = {
        "number": pa.array([trial.number for trial in trials], pa.int64()),
        "status": pa.array([trial.status for trial in trials], pa.string()),
        "reason": pa.array([trial.reason for trial in trials], pa.string()),
        "best_value": pa.array(each(best, facts.metric), pa.float64()),
        "best_step": pa.array([report and report.step for report in best], pa.int64()),
        "best_samples": pa.array([report and report.samples for report in best], pa.int64()),
        "last_value": pa.array(each(last, facts.metric), pa.float64()),
        "steps": pa.array([report.step if report else 0 for report in last], pa.int64()),
        "samples": pa.array([samples_seen(trial) for trial in trials], pa.int64()),
        "seconds": pa.array([trial.seconds for trial in trials], pa.float64()),
        "started": pa.array([_moment(trial.started or None) for trial in trials], _MOMENT),
        "ended": pa.array([_moment(trial.ended) for trial in trials], _MOMENT),
    }
    for name in setting_names(trials):
        columns[name] = _setting_column([trial.values.get(name, ABSENT) for trial in trials])
    for name in sorted({name for trial in trials for report in trial.reports for name in report.metrics}):
        columns[f"metrics.{name}"] = pa.array(each(best, name), pa.float64())
    columns["reports"] = pa.array([[_report_row(report) for report in trial.reports] for trial in trials], _REPORTS)
    columns["changes"] = pa.array([[_change_row(change) for change in trial.changes] for trial in trials], _CHANGES)
    return pa.table(columns).replace_schema_metadata({"ocray.sweep": json.dumps(asdict(facts))})


def write_trials(path: str | Path, trials: Sequence[TrialRecord], facts: SweepFacts) -> None:
    """Write `trials_table` to a Parquet file; a reader sees the old file or the new one, never half of one."""
    with replacing(path) as temporary:
        pq.write_table(trials_table(trials, facts), temporary)


def terminal_table(trials: Sequence[TrialRecord], facts: SweepFacts, limit: int = 20) -> str:
    """Return the trials as aligned text, best first, in lines of at most 120 characters; failures and their reasons
    last.

    Args:
        limit: lines of trials, and of failures, at most; how many more there are is said.
    """
    ranked = ranking(trials, facts.metric, facts.mode)
    names = setting_names(trials)
    rows = [["#", facts.metric, "status", "samples", "time", *short_names(names).values()]]
    for trial in ranked[:limit]:
        share = percent(samples_seen(trial) / facts.full_samples)
        settings = [cell(trial.values.get(name, ABSENT)) for name in names]
        value = best_value(trial, facts.metric, facts.mode)
        figure = DASH if value is None else short(value)
        rows.append([str(trial.number), figure, trial.status, share, duration(trial.seconds), *settings])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows] if ranked else ["no trial has started"]
    if len(ranked) > limit:
        lines.append(f"and {len(ranked) - limit} more trials")
    failed = sorted((trial for trial in trials if trial.status == "failed"), key=lambda trial: trial.number)
    lines += [f"trial {trial.number} failed: {' '.join(trial.reason.split())}" for trial in failed[:limit]]
    if len(failed) > limit:
        lines.append(f"and {len(failed) - limit} more failed trials")
    return "\n".join(line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines)


def importance_obstacle(
    trials: Sequence[TrialRecord], metric: str, mode: Mode
) -> Literal["few trials", "equal values", "nothing varies"] | None:
    """Return why the importance of settings cannot be computed; None if it can."""
    scored = _scored(trials, metric, mode)
    if len(scored) < LEAST_SCORED:
        return "few trials"
    if len({value for _, value in scored}) == 1:
        return "equal values"
    if not _features([trial for trial, _ in scored]):
        return "nothing varies"
    return None


def importance(trials: Sequence[TrialRecord], metric: str, mode: Mode) -> dict[str, float]:
    """Share of the differences between trials that each setting explains alone, the greatest first, summing to 1.

    fANOVA (Hutter et al. 2014) as Optuna has it: a random forest predicts a trial's best value from its settings. Over
    8 to 30 trials it is steadier than PED-ANOVA, which looks at the few best trials only. Two runs give the same.

    A trial that ended early counts with the best value it had. Comparing all at the samples of the first stop would
    throw away most of what was trained and would favour settings that merely start fast; stopped trials are those that
    were worse at equal samples, so their order among each other and below the rest is kept. The size of the gap is
    too large, though, which the report says. Trials under way are left out: their value is not their last.

    Returns:
        Setting → share; settings with one value are left out. Empty where `importance_obstacle` names a reason.
    """
    if importance_obstacle(trials, metric, mode):
        return {}
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    scored = _scored(trials, metric, mode)
    features = _features([trial for trial, _ in scored])
    distributions: dict[str, BaseDistribution] = {name: _distribution(column) for name, column in features.items()}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it logs every study it makes
    try:
        study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    for index, (_, value) in enumerate(scored):
        settings = {name: column[index] for name, column in features.items()}
        study.add_trial(optuna.trial.create_trial(params=settings, distributions=distributions, value=value))
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {name: float(share) for name, share in shares.items()}


def trained_share(trials: Sequence[TrialRecord], facts: SweepFacts) -> float | None:
    """Return samples seen as a share (0..1) of those without early stopping; None without any.

    Failed trials and those under way are left out: nothing was saved by their being short.
    """
    ended = [trial for trial in trials if trial.status in ("finished", "stopped")]
    if not ended:
        return None
    return sum(samples_seen(trial) for trial in ended) / (len(ended) * facts.full_samples)


def ranking(trials: Sequence[TrialRecord], metric: str, mode: Mode) -> list[TrialRecord]:
    """Return the trials, best first; those without a finite value last, by number."""

    def key(trial: TrialRecord) -> tuple[float, int]:
        value = best_value(trial, metric, mode)
        return (math.inf if value is None else -value if mode == "max" else value, trial.number)

    return sorted(trials, key=key)


def best_value(trial: TrialRecord, metric: str, mode: Mode) -> float | None:
    """Return the best finite value of a metric among the trial's reports."""
    report = trial.best(metric, mode)
    return None if report is None else report.metrics[metric]


def samples_seen(trial: TrialRecord) -> int:
    """Training samples up to the last report."""
    return trial.reports[-1].samples if trial.reports else 0


def setting_names(trials: Sequence[TrialRecord]) -> list[str]:
    """Dotted names of all searched settings, in the order in which the trials bring them."""
    return list(dict.fromkeys(name for trial in trials for name in trial.values))


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Dotted name → its last part, where no two share it; else the whole name."""
    tails = [name.rpartition(".")[2] for name in names]
    return {name: tail if tails.count(tail) == 1 else name for name, tail in zip(names, tails, strict=True)}


def is_number(value: Any) -> bool:
    """Return whether the value is an int or a float, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def spans_decades(values: Sequence[Any]) -> bool:
    """Return whether values (absent ones left out) are positive and span so much that only a log axis shows them well.

    They span more than 30 times, and half of them lie in the lowest quarter: even spread from 0.03 to 1 is linear.
    """
    present = sorted(value for value in values if value is not ABSENT and is_number(value))
    if not present or len(present) < sum(value is not ABSENT for value in values):
        return False
    lowest, middle, highest = present[0], present[(len(present) - 1) // 2], present[-1]
    return lowest > 0 and highest > 30 * lowest and middle < highest / 4


def text(value: Any) -> str:
    """Return a setting's value in full: text unchanged, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def short(value: float) -> str:
    """Return a number in about four digits: 0.9812, 3.1e-04, 512."""
    if isinstance(value, int) and abs(value) < 1_000_000:
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}"
    return f"{value:.1e}"


def cell(value: Any) -> str:
    """Return a setting's value in short form; a dash if the setting did not apply."""
    if value is ABSENT:
        return DASH
    words = short(value) if is_number(value) else " ".join(text(value).split())
    return words if len(words) <= LONGEST_CELL else words[: LONGEST_CELL - 1] + "…"


def percent(share: float) -> str:
    """Return a share of 0..1 as `38 %`."""
    return f"{100 * share:.0f} %"


def _aligned(row: list[str], widths: list[int]) -> list[str]:
    """Align numbers to the right, words (the status) to the left."""
    pairs = enumerate(zip(row, widths, strict=True))
    return [word.ljust(width) if at == 2 else word.rjust(width) for at, (word, width) in pairs]


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def _setting_column(values: list[Any]) -> pa.Array:
    present = [value for value in values if value is not ABSENT]
    if all(isinstance(value, bool) for value in present):
        kind = pa.bool_()
    elif all(map(is_number, present)):
        kind = pa.int64() if all(isinstance(value, int) for value in present) else pa.float64()
    else:
        return pa.array([None if value is ABSENT else text(value) for value in values], pa.string())
    return pa.array([None if value is ABSENT else value for value in values], kind)


def _report_row(report: Report) -> dict[str, Any]:
    metrics = list(report.metrics.items())
    return {"step": report.step, "samples": report.samples, "seconds": report.seconds, "metrics": metrics}


def _change_row(change: dict[str, Any]) -> dict[str, Any]:
    return {"step": change["step"], "from": change["from"], "values": json.dumps(change["values"], ensure_ascii=False)}


def _scored(trials: Sequence[TrialRecord], metric: str, mode: Mode) -> list[tuple[TrialRecord, float]]:
    ended = [(trial, best_value(trial, metric, mode)) for trial in trials if trial.status != "running"]
    return [(trial, value) for trial, value in ended if value is not None]


def _features(trials: Sequence[TrialRecord]) -> dict[str, list]:
    """Return the values of each setting over the trials, as the forest takes them; settings with one value are left
    out."""
    features = {}
    for name in setting_names(trials):
        values = [trial.values.get(name, ABSENT) for trial in trials]
        present = [value for value in values if value is not ABSENT]
        if numeric := all(map(is_number, present)):
            # fANOVA weighs all of a range equally: of 1e-4..1e-1 nine tenths would be the last decade.
            present = [math.log10(value) for value in present] if spans_decades(present) else present
        else:
            present = [json.dumps(value, sort_keys=True) for value in present]
        if len(set(present)) < 2:
            continue
        # Where a setting did not apply, it could not matter: the middle (or most frequent) value is used, and what
        # its absence brings about counts for the setting that decides on it.
        filler = sorted(present)[len(present) // 2] if numeric else Counter(sorted(present)).most_common(1)[0][0]
        given = iter(present)
        features[name] = [filler if value is ABSENT else next(given) for value in values]
    return features


def _distribution(column: list) -> "BaseDistribution":
    """Return the range that the values span."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(column[0], str):
        return CategoricalDistribution(sorted(set(column)))
    if all(isinstance(value, int) for value in column):
        return IntDistribution(min(column), max(column))
    return FloatDistribution(min(column), max(column))
