"""Sweep folders: what a sweep writes, and what is read when it resumes.

SWEEP/sweep.yaml                 the whole sweep, overrides and the training config included
SWEEP/trials/0007/trial.json     a trial: its settings, state and checkpoint, see `TrialRecord`
SWEEP/trials/0007/config.yaml    the training config that the trial ran
SWEEP/trials/0007/progress.jsonl its reports, one line a validation
SWEEP/wall_seconds               how long the sweep has run, over all its starts
SWEEP/ray/                       checkpoints, where Ray Tune keeps them (elsewhere with `scaling.storage`)

The trials' folders are the only ledger. A sweep that was killed resumes by reading them: trials that ended are not run
again, unfinished ones resume from their checkpoints, and searcher and scheduler are given the results.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.config import ConfigError
from common.errors import ExpectedError
from common.storage.local import write_text
from common.work_folder import WorkFolder
from trainers.core.reporters import PROGRESS_FILE
from tuners.plan import Plan

SWEEP_FILE = "sweep.yaml"
CLOCK_FILE = "wall_seconds"
TRIALS_FOLDER = "trials"
TRIAL_FILE = "trial.json"
VALIDATION = "validation/"
Status = Literal["running", "finished", "stopped", "failed"]


@dataclass
class Report:
    """One validation of a trial.

    Attributes:
        step: optimizer steps done.
        samples: training samples seen.
        seconds: time trained so far, start-up left out, over all resumes.
        metrics: the task's validation metrics by name; may hold NaN.
        training: means since the report before, by name (`loss`, …).
    """

    step: int
    samples: int
    seconds: float
    metrics: dict[str, float]
    training: dict[str, float] = field(default_factory=dict)


@dataclass
class TrialRecord:
    """One trial.

    Attributes:
        number: from 1, in the order of starting.
        values: searched setting → value, by dotted name (`train.lr`); under PBT those of the last generation. A
            conditional setting that did not apply is absent.
        status: `running` (or its sweep was interrupted), `finished` (all of its training), `stopped` (by the
            scheduler, because others did better), `failed`.
        reason: why it failed; empty otherwise.
        reports: its validations, ascending by step.
        checkpoint: from which it can resume; None before the first.
        started, ended: seconds since the epoch; `ended` is None while it runs.
        changes: under PBT, each exploit: {"step": int, "from": number of the copied trial, "values": {…}}.
    """

    number: int
    values: dict[str, Any]
    status: Status = "running"
    reason: str = ""
    reports: list[Report] = field(default_factory=list)
    checkpoint: str | None = None
    started: float = 0.0
    ended: float | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Time trained, start-up left out."""
        return self.reports[-1].seconds if self.reports else 0.0

    def best(self, metric: str, mode: Literal["max", "min"]) -> Report | None:
        """Return the report with the best finite value of a metric (the first of equal ones); None without one."""
        sign = 1 if mode == "max" else -1
        finite = [report for report in self.reports if math.isfinite(report.metrics.get(metric, math.nan))]
        return max(finite, key=lambda report: sign * report.metrics[metric], default=None)


def best_report(
    trials: Sequence[TrialRecord], metric: str, mode: Literal["max", "min"]
) -> tuple[TrialRecord, Report] | None:
    """Return the trial with the best report of all, and that report; of equal ones the one with the lowest number."""
    sign = 1 if mode == "max" else -1
    scored = [(trial, report) for trial in trials if (report := trial.best(metric, mode)) is not None]
    return max(scored, key=lambda pair: (sign * pair[1].metrics[metric], -pair[0].number), default=None)


def best_trial(trials: Sequence[TrialRecord], metric: str, mode: Literal["max", "min"]) -> TrialRecord | None:
    """Return the trial of `best_report`."""
    best = best_report(trials, metric, mode)
    return None if best is None else best[0]


class SweepError(ExpectedError):
    """A sweep that cannot start or resume; the message says why and what to do instead."""


class SweepFolder(WorkFolder):
    """A sweep's folder on the driver's machine."""

    kind, option, marker, error = "sweep", "--sweep", SWEEP_FILE, SweepError

    def trial(self, number: int) -> Path:
        """Return the folder of a trial."""
        return self.folder / TRIALS_FOLDER / f"{number:04d}"

    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        files = sorted((self.folder / TRIALS_FOLDER).glob(f"*/{TRIAL_FILE}"))
        return [_read_trial(file) for file in files]

    def write_trial(self, trial: TrialRecord) -> None:
        """Write a trial's state; its reports are appended by `append_report` alone."""
        state = {key: value for key, value in asdict(trial).items() if key != "reports"}
        write_text(self.trial(trial.number) / TRIAL_FILE, json.dumps(state, indent=1) + "\n")

    def append_report(self, trial: TrialRecord, report: Report) -> None:
        """Add a report to the trial's `progress.jsonl`."""
        line = {"step": report.step, "time": round(time.time(), 3), "samples": report.samples}
        line |= {"seconds": round(report.seconds, 3)}
        line |= {f"train/{name}": value for name, value in report.training.items()}
        line |= {VALIDATION + name: value for name, value in report.metrics.items()}
        with (self.trial(trial.number) / PROGRESS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def wall_seconds(self) -> float:
        """Time that the sweep has run, over all its starts."""
        file = self.folder / CLOCK_FILE
        return float(file.read_text("utf-8")) if file.is_file() else 0.0

    def write_wall_seconds(self, seconds: float) -> None:
        write_text(self.folder / CLOCK_FILE, f"{seconds:.1f}\n")


@contextmanager
def open_sweep(folder: Path, plan: Plan, *, overwrite: bool = False) -> Iterator[SweepFolder]:
    """Start a sweep in a new folder, or resume the one in it; one process at a time.

    Raises:
        SweepError: the folder holds another sweep, or no sweep but files; or another process is at work in it.
    """
    sweep = SweepFolder(folder)
    with sweep.held(overwrite):
        if sweep.exists:
            before = _kept_plan(folder / SWEEP_FILE)
            if changed := before.differences(plan):
                raise SweepError(
                    f"{folder} holds a sweep with another {', '.join(changed)}; give another --sweep folder, or "
                    "--overwrite to delete it"
                )
        write_text(folder / SWEEP_FILE, plan.to_yaml())
        yield sweep


def _read_trial(file: Path) -> TrialRecord:
    trial = TrialRecord(**json.loads(file.read_text("utf-8")))
    progress = file.with_name(PROGRESS_FILE)
    lines = progress.read_text("utf-8").splitlines() if progress.is_file() else []
    # After a kill the steps since the last checkpoint come again; the later line of a step counts.
    reports = {line["step"]: _report(line) for line in map(_parsed, lines) if line}
    trial.reports = [reports[step] for step in sorted(reports)]
    return trial


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None  # the driver was killed in the middle of this line


def _report(line: dict[str, Any]) -> Report:
    def part(prefix: str) -> dict[str, float]:
        return {name.removeprefix(prefix): value for name, value in line.items() if name.startswith(prefix)}

    return Report(line["step"], line["samples"], line["seconds"], part(VALIDATION), part("train/"))


def _kept_plan(path: Path) -> Plan:
    try:
        return Plan.from_yaml(path.read_text("utf-8"))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
