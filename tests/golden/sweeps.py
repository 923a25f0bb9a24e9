"""What sweeps plan and what is made of their trials: every shipped sweep's plan, the results of a folder of trials, and
the trials of a tiny sweep.

No Ray is started; `tests/test_tune_sweep.py` runs the tiny sweep and compares it with what is kept here.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from common.project import config_folder
from tests.golden.comparing import visible_text
from tests.tiny_task import GRID, sweep_file
from trainers.core.launch import launch
from tuners.ledger import Report, SweepFolder, TrialRecord, best_trial
from tuners.plan import Plan, load_sweep
from tuners.report import write_report
from tuners.results import SweepFacts, terminal_table, trials_table
from tuners.search import make_searcher

SWEEPS = sorted(path.stem for path in config_folder("tune").glob("*.yaml"))
_PAGES = 500  # in the training data of every sweep, which nobody looks at
_PROPOSED = 3
_VALUES = {  # learning rate → accuracy at each validation, and how the trial ended
    0.001: ([0.30, 0.34], "stopped"),
    0.01: ([0.40, 0.62, 0.71, 0.70], "finished"),
    0.03: ([0.55, 0.80, 0.91, 0.93], "finished"),
    0.1: ([0.25], "failed"),
}


def made(folder: Path) -> dict[str, Any]:
    """Everything that `sweeps.json` holds; files are made below a new folder."""
    pages = folder / "pages"
    pages.mkdir()
    pq.write_table(pa.table({"image": [b"x"] * _PAGES}), pages / "pages.parquet")
    return {
        "plans": {name: _plan(name, pages) for name in SWEEPS},
        "results": _results(folder),
        "tiny": _trained(folder / "tiny"),
    }


def _trained(folder: Path) -> list[dict[str, Any]]:
    """Return the trials of the tiny sweep, each trained by itself: a sweep's trials come to the same."""
    folder.mkdir()
    plan = load_sweep(sweep_file(folder))
    trials = []
    for number, values in enumerate(plan.space.grid(), 1):
        run = folder / str(number)
        launch(plan.trial_config(values), run, use_ray=False)
        lines = [json.loads(line) for line in (run / "progress.jsonl").read_text("utf-8").splitlines()]
        reports = [[line["step"], line["validation/accuracy"]] for line in lines if "validation/accuracy" in line]
        trials.append({"values": values, "status": "finished", "reports": reports})
    return trials


def _plan(name: str, pages: Path) -> dict[str, Any]:
    plan = load_sweep(name, [f"data.{split}.at={pages}" for split in ("train", "validation")])
    proposed = _proposed(plan)
    return {
        "plan": yaml.safe_load(plan.to_yaml().replace(str(pages), "PAGES")),
        "decided": {"samples": plan.samples, "validations": plan.validations, "host": plan.host,
                    "metric": plan.metric, "mode": plan.mode},
        "grid": plan.space.grid() if plan.settings.search == "grid" else None,
        "corners": plan.space.corners(),
        "proposed": proposed,
        "trials": [_lengths(plan.trial_config(values)) for values in proposed],
        "tuned": [_lengths(plan.tuned_config(values)) for values in proposed],
    }  # fmt: skip


def _proposed(plan: Plan) -> list[dict[str, Any]]:
    """Return the first trials' settings: those that the plan names, then what the sampler draws."""
    searcher = make_searcher(plan, [])
    proposals = [searcher.suggest(str(number)) for number in range(_PROPOSED)]
    return [{name: proposal[name] for name in plan.space.parameters if name in proposal} for proposal in proposals]


def _lengths(config: Any) -> dict[str, Any]:
    return {"settings": config.settings, "train": config.train.model_dump(), "scaling": config.scaling.model_dump()}


def _results(folder: Path) -> dict[str, Any]:
    """Return what is made of a sweep's folder: its trials as they are read back, the tables, the report and the best
    one."""
    plan = load_sweep(sweep_file(folder))
    sweep = SweepFolder(folder / "sweep")
    for number, rate in enumerate(GRID["train.lr"]["grid"], 1):
        _write_trial(sweep, number, rate)
    trials = sweep.trials()
    facts = SweepFacts(
        name="kept", task="tiny", metric=plan.metric, mode=plan.mode, search=plan.settings.search, scheduler="asha",
        full_samples=plan.samples, planned=len(GRID["train.lr"]["grid"]), concurrent=2, wall_seconds=61.0,
        state="finished", command="ocray tune tiny.yaml",
    )  # fmt: skip
    best = best_trial(trials, plan.metric, plan.mode)
    sweep.folder.joinpath("best.yaml").write_text(plan.tuned_config(best.values).to_yaml(), "utf-8")
    write_report(sweep.folder / "report.html", trials, facts)
    html = (sweep.folder / "report.html").read_text("utf-8")
    table = trials_table(trials, facts)
    return {
        "best": {"number": best.number, "config": yaml.safe_load((sweep.folder / "best.yaml").read_text("utf-8"))},
        "table": {
            "columns": [f"{field.name} {field.type}" for field in table.schema],
            "rows": json.loads(json.dumps(table.to_pylist(), default=str)),
        },
        "terminal": terminal_table(trials, facts).splitlines(),
        "report.html": [text.replace(str(sweep.folder), "SWEEP") for text in visible_text(html)],
    }


def _write_trial(sweep: SweepFolder, number: int, rate: float) -> None:
    """Write a trial as it would have reported, 12 steps of 8 samples per validation."""
    values, status = _VALUES[rate]
    reason = "TrainingError: step 20: the gradients are not finite" if status == "failed" else ""
    trial = TrialRecord(number, {"train.lr": rate}, status, reason, started=100.0, ended=100.0 + 10 * number)
    sweep.write_trial(trial)
    for at, value in enumerate(values, 1):
        metrics = {"accuracy": value, "samples": 50.0}
        sweep.append_report(trial, Report(12 * at, 96 * at, 1.5 * at, metrics, {"loss": 1 - value}))
