"""The sweep's report: one self-contained HTML file, in Korean and English, made from the trials' records."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from common.storage.local import write_text
from trainers.core.report_page import escape
from tuners.ledger import TrialRecord
from tuners.report import charts, sections
from tuners.results import SweepFacts

__all__ = ["write_report"]


def write_report(path: str | Path, trials: Sequence[TrialRecord], facts: SweepFacts) -> None:
    """Write the report; it names `best.yaml` beside it. Any records will do, also none or failed ones alone.

    Args:
        path: the HTML file, in the sweep's folder; replaced as a whole.
    """
    from plotly.offline import get_plotlyjs

    path = Path(path)
    template = Template(files(__package__).joinpath("template.html").read_text("utf-8"))
    html = template.substitute(
        title=escape(f"{facts.name} · ocray tune"),
        plotly=get_plotlyjs(),
        heading=sections.heading(facts),
        tiles=sections.tiles(trials, facts),
        facts=sections.overview(trials, facts),
        best=sections.best_settings(trials, facts, path.parent / "best.yaml"),
        curves=charts.curves(trials, facts),
        history=charts.history(trials, facts),
        parallel=charts.parallel(trials, facts),
        importance=sections.importances(trials, facts),
        settings=charts.settings(trials, facts),
        changes=sections.changes(trials),
        trials=sections.trials_table(trials, facts),
        failures=sections.failures(trials),
    )
    write_text(path, html)
