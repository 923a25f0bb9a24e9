"""The sweep's report: one self-contained HTML file, in Korean and English, made from the trials' records."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from common.html import render
from common.storage.local import write_text
from tuners.ledger import TrialRecord
from tuners.report import charts, summary
from tuners.results import SweepFacts

__all__ = ["write_report"]

_STATES = {
    "finished": ("finished", "완료"),
    "interrupted": ("interrupted", "중단됨"),
    "out of time": ("out of time", "시간 종료"),
    "no better trials": ("ended: no better trials", "종료: 더 나은 시도 없음"),
}
_STATUSES = {
    "finished": ("finished", "완료"),
    "stopped": ("stopped early", "조기 중단"),
    "running": ("under way", "진행 중"),
    "failed": ("failed", "실패"),
}


def write_report(path: str | Path, trials: Sequence[TrialRecord], facts: SweepFacts) -> None:
    """Write the report; it names `best.yaml` beside it. Any records will do, also none or failed ones alone.

    Args:
        path: the HTML file, in the sweep's folder; replaced as a whole.
    """
    from plotly.offline import get_plotlyjs

    path = Path(path)
    html = render(
        "tuners.report/report.html",
        facts=facts,
        plotly=Markup(get_plotlyjs()),
        states=_STATES,
        statuses=_STATUSES,
        present={status: any(trial.status == status for trial in trials) for status in _STATUSES},
        colours={**charts.LINE, "best": charts.ACCENT, "changed": charts.CHANGED},
        tiles=summary.tiles(trials, facts),
        best=summary.best_settings(trials, facts, path.parent / "best.yaml"),
        curves=charts.curves(trials, facts),
        history=charts.history(trials, facts),
        parallel=charts.parallel(trials, facts),
        importance=summary.importances(trials, facts),
        settings=charts.settings(trials, facts),
        changes=summary.changes(trials),
        trials=summary.trial_rows(trials, facts),
        setting_labels=summary.setting_labels(trials),
        failures=summary.failures(trials),
    )
    write_text(path, html)
