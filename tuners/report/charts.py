"""The report's charts, by Plotly. `layout.meta` holds the axis titles in both languages; the page's script puts
in those of the reader's choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup, escape

from tuners.ledger import Report, TrialRecord, best_trial
from tuners.report.scales import Scale
from tuners.results import (
    ABSENT,
    SweepFacts,
    best_value,
    cell,
    ranking,
    setting_names,
    short,
    short_names,
    spans_decades,
)

INK, MUTED, RULE, ACCENT, FAILED, CHANGED = "#18212c", "#5c6773", "#e4e8ed", "#2463c2", "#c4173f", "#7b1fa2"
LINE = {"stopped": "#cbd3dc", "failed": "#e6b3bf", "running": "#8fb4e8", "finished": "#8a99ab"}
BAD_TO_GOOD = [[0, "#dde4ec"], [0.5, "#8fb4e8"], [1, "#123a78"]]
FONT = "system-ui, 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans KR', 'Noto Sans CJK KR', sans-serif"
CONFIG = {"displaylogo": False, "modeBarButtons": [["toImage", "resetScale2d"]], "displayModeBar": "hover"}
HOVER_SETTINGS = 14  # more make a box that hides the chart
# Texts of Plotly, which knows some HTML.
_TRIAL, _POINT = Markup("<b>#{}</b> {}"), Markup("<b>#{}</b> · {}{}")
_EXPLOIT = Markup("<b>#{} ← #{}</b>{}")
_SETTING, _MORE = Markup("<br>{} {}"), Markup("<br>…")


@dataclass(frozen=True)
class Chart:
    """A chart for the page.

    Attributes:
        zoom: whether the page's script can show the better half of the trials alone.
        width: the least, px; 0 where any will do.
    """

    html: Markup
    zoom: bool = False
    width: int = 0


def curves(trials: Sequence[TrialRecord], facts: SweepFacts) -> Chart | None:
    """Return the chart of the metric over samples for every trial; the best is drawn last and heavy, PBT's exploits as
    diamonds."""
    best = best_trial(list(trials), facts.metric, facts.mode)
    if best is None:
        return None
    order = ["failed", "stopped", "running", "finished"]
    many = len(trials) > 40
    figure = go.Figure()
    for trial in sorted(trials, key=lambda trial: (trial is best, order.index(trial.status), -trial.number)):
        points = [(report.samples, _finite(report, facts)) for report in trial.reports]
        if all(value is None for _, value in points):
            continue
        figure.add_scatter(
            x=[samples for samples, _ in points],
            y=[value for _, value in points],
            mode="lines" if many and trial is not best and len(points) > 1 else "lines+markers",
            opacity=0.5 if many and trial is not best else 1,
            line={"color": ACCENT if trial is best else LINE[trial.status], "width": 3.5 if trial is best else 1.4},
            marker={"size": 6 if trial is best else 4},
            hovertemplate=_hover(trial, facts) + Markup("<extra></extra>"),
        )
    ends = [(trial, _last_finite(trial, facts)) for trial in trials if trial.status == "failed"]
    ends = [(trial, report) for trial, report in ends if report is not None]
    if ends:
        figure.add_scatter(
            x=[report.samples for _, report in ends],
            y=[_finite(report, facts) for _, report in ends],
            text=[_TRIAL.format(trial.number, _plain(cell(trial.reason))) for trial, _ in ends],
            mode="markers",
            marker={"symbol": "x", "size": 9, "color": FAILED},
            hovertemplate="%{text}<extra></extra>",
        )
    _add_changes(figure, trials, facts)
    logarithmic = facts.mode == "min" and spans_decades(_all_values(trials, facts))
    figure.update_yaxes(title=_plain(facts.metric), type="log" if logarithmic else "linear")
    figure.update_xaxes(rangemode="tozero")
    _offer_zoom(figure, trials, facts)
    return _chart(figure, "curves", 440, "training samples", "학습 표본 수", log_note=logarithmic)


def history(trials: Sequence[TrialRecord], facts: SweepFacts) -> Chart | None:
    """Each trial's best value in the order in which they ended, and the best so far as a stair."""
    ended = sorted(
        (trial for trial in trials if trial.ended is not None), key=lambda trial: (trial.ended, trial.number)
    )
    values = [best_value(trial, facts.metric, facts.mode) for trial in ended]
    if all(value is None for value in values):
        return None
    so_far: list[float | None] = []
    for value in values:
        known = [known for known in (so_far[-1] if so_far else None, value) if known is not None]
        so_far.append((max if facts.mode == "max" else min)(known, default=None))
    order = list(range(1, len(ended) + 1))
    figure = go.Figure()
    figure.add_scatter(
        x=order, y=so_far, mode="lines", line={"color": ACCENT, "width": 2.5, "shape": "hv"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=order,
        y=values,
        text=[_hover(trial, facts, value) for trial, value in zip(ended, values, strict=True)],
        mode="markers",
        marker={
            "size": 7,
            "color": [_mark(trial) for trial in ended],
            "line": {"color": "#fff", "width": 1},
        },
        hovertemplate="%{text}<extra></extra>",
    )
    logarithmic = facts.mode == "min" and spans_decades([value for value in values if value is not None])
    figure.update_yaxes(title=_plain(facts.metric), type="log" if logarithmic else "linear")
    figure.update_xaxes(tickformat="d", range=[0.5, len(order) + 0.5], dtick=1 if len(order) <= 12 else None)
    _offer_zoom(figure, ended, facts)
    title = ("trials, in the order in which they ended", "끝난 순서대로 본 시도")
    return _chart(figure, "history", 340, *title, log_note=logarithmic)


def parallel(trials: Sequence[TrialRecord], facts: SweepFacts) -> Chart | None:
    """Parallel coordinates: an axis a setting and the metric's; a line a trial, darker where it did better."""
    scored = list(reversed(ranking([t for t in trials if _scored(t, facts)], facts.metric, facts.mode)))
    names = setting_names(scored)
    if not scored or not names:
        return None
    dimensions = []
    for name, label in short_names(names).items():
        dimensions.append(_dimension(label, Scale.of([trial.values.get(name, ABSENT) for trial in scored])))
    values = _best_values(scored, facts)
    metric = Scale.of_figures(values, log=facts.mode == "min")
    dimensions.append(_dimension(facts.metric, metric))
    # The worst quarter shares one colour: a few ruined trials would leave all others in one shade.
    edge = metric.positions[len(scored) // 4]
    ends = sorted((edge, metric.positions[-1]))
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": metric.positions,
                "colorscale": BAD_TO_GOOD,
                "reversescale": facts.mode == "min",
                "cmin": ends[0],
                "cmax": ends[1],
            },
            unselected={"line": {"color": "#e9ecf0", "opacity": 0.25}},
            labelfont={"size": 13, "color": INK},
            tickfont={"size": 12, "color": MUTED},
            rangefont={"size": 1, "color": "rgba(0,0,0,0)"},  # the ends of the axes are margins, no values
        )
    )
    figure.update_layout(margin={"l": 70, "r": 60, "t": 52, "b": 24})
    return _chart(figure, "parallel", 420, "", "", width=130 * len(dimensions))


def settings(trials: Sequence[TrialRecord], facts: SweepFacts) -> list[Chart]:
    """One small chart a setting: the metric's best value of each trial against the setting."""
    scored = [trial for trial in trials if _scored(trial, facts)]
    names = setting_names(scored)
    if not scored or not names:
        return []
    best = best_trial(scored, facts.metric, facts.mode)
    values = _best_values(scored, facts)
    logarithmic = facts.mode == "min" and spans_decades(values)
    charts = []
    for at, name in enumerate(names):
        given = [trial.values.get(name, ABSENT) for trial in scored]
        scale = Scale.of(given)
        figure = go.Figure()
        figure.add_scatter(
            x=scale.positions,
            y=values,
            text=[_TRIAL.format(trial.number, _plain(cell(v))) for trial, v in zip(scored, given, strict=True)],
            mode="markers",
            marker={
                "size": [12 if trial is best else 8 for trial in scored],
                "symbol": ["star" if trial is best else "circle" for trial in scored],
                "color": [ACCENT if trial is best else _mark(trial) for trial in scored],
                "line": {"color": "#fff", "width": 0.8},
            },
            hovertemplate="%{text}<br>%{y:.4~g}<extra></extra>",
        )
        ticks = {"tickvals": [tick for tick, _ in scale.ticks], "ticktext": [_plain(label) for _, label in scale.ticks]}
        longest = max(len(label) for _, label in scale.ticks)
        room = 0.3 * (scale.high - scale.low) if longest > 8 else 0  # Plotly leaves out a label that sticks out
        figure.update_xaxes(title=_plain(name), range=[scale.low - room, scale.high + room], **ticks)
        figure.update_yaxes(title=_plain(facts.metric), type="log" if logarithmic else "linear")
        _offer_zoom(figure, scored, facts)
        charts.append(_chart(figure, f"setting-{at}", 250, "", "", log_note=logarithmic))
    return charts


def _mark(trial: TrialRecord) -> str:
    return FAILED if trial.status == "failed" else "#b4c0cd" if trial.status == "stopped" else "#5f7fa8"


def _dimension(label: str, scale: Scale) -> dict[str, Any]:
    ticks = [(scale.low, ""), *scale.ticks, (scale.high, "")]  # the axis is drawn from the first tick to the last
    return {
        "label": _plain(label),
        "values": scale.positions,
        "range": [scale.low, scale.high],
        "tickvals": [at for at, _ in ticks],
        "ticktext": [label for _, label in ticks],
    }


def _add_changes(figure: go.Figure, trials: Sequence[TrialRecord], facts: SweepFacts) -> None:
    marks = []
    for trial in trials:
        for change in trial.changes:
            before = [r for r in trial.reports if r.step <= change["step"] and _finite(r, facts) is not None]
            if before:
                marks.append((trial, change, before[-1]))
    if marks:
        figure.add_scatter(
            x=[report.samples for _, _, report in marks],
            y=[_finite(report, facts) for _, _, report in marks],
            text=[
                _EXPLOIT.format(trial.number, change["from"], _settings_lines(change["values"]))
                for trial, change, _ in marks
            ],
            mode="markers",
            marker={"symbol": "diamond", "size": 9, "color": CHANGED, "line": {"color": "#fff", "width": 1}},
            hovertemplate="%{text}<extra></extra>",
        )


def _best_values(trials: Sequence[TrialRecord], facts: SweepFacts) -> list[float]:
    values = (best_value(trial, facts.metric, facts.mode) for trial in trials)
    return [value for value in values if value is not None]


def _offer_zoom(figure: go.Figure, trials: Sequence[TrialRecord], facts: SweepFacts) -> None:
    """Let the page's script show the better half of the trials alone, where the worse ones press it flat."""
    ranked = ranking([trial for trial in trials if _scored(trial, facts)], facts.metric, facts.mode)
    values = _best_values(ranked[: max(2, len(ranked) // 2)], facts)
    span = abs(values[0] - values[-1])
    low, high = min(values) - 0.08 * span, max(values) + 0.08 * span
    layout: Any = figure.layout  # plotly makes the attributes of layouts at run time
    if span and layout.yaxis.type != "log":
        layout.meta = {"zoom": [low, high]}


def _chart(
    figure: go.Figure, name: str, height: int, english: str, korean: str, *, log_note: bool = False, width: int = 0
) -> Chart:
    """Return the figure for the page; `english` and `korean` are the x axis's title, empty if it has its own."""
    layout: Any = figure.layout  # as above
    zoom = bool(layout.meta)
    titles = {}
    if english:
        titles = {"en": {"xaxis.title.text": english}, "ko": {"xaxis.title.text": korean}}
    if log_note:
        metric = layout.yaxis.title.text
        titles.setdefault("en", {})["yaxis.title.text"] = f"{metric} (log)"
        titles.setdefault("ko", {})["yaxis.title.text"] = f"{metric} (로그)"
    figure.update_layout(
        template={},
        meta={**(layout.meta or {}), **titles},
        font={"family": FONT, "size": 13, "color": MUTED},
        hoverlabel={
            "bgcolor": "#fff",
            "bordercolor": "#c3ccd6",
            "font": {"color": INK, "size": 13, "family": FONT},
            "align": "left",
        },
        hovermode="closest",
        showlegend=False,
        plot_bgcolor="#fff",
        paper_bgcolor="#fff",
        dragmode="zoom",
    )
    if layout.margin.l is None:
        figure.update_layout(margin={"l": 64, "r": 16, "t": 12, "b": 52})
    figure.update_xaxes(gridcolor=RULE, zeroline=False, linecolor="#8c96a1", automargin=True, title_standoff=10)
    figure.update_yaxes(gridcolor=RULE, zeroline=False, automargin=True, title_standoff=10)
    if layout.yaxis.type == "log":
        figure.update_yaxes(minor_showgrid=False, dtick="D2")  # 2 and 5 between the powers of ten
    html = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=f"chart-{name}", default_height=f"{height}px", config=CONFIG
    )
    return Chart(Markup(html), zoom, width)


def _hover(trial: TrialRecord, facts: SweepFacts, value: float | None = None) -> str:
    figure = "%{y:.4~g} · %{x:,}" if value is None else short(value)
    return _POINT.format(trial.number, figure, _settings_lines(trial.values))


def _settings_lines(values: Mapping[str, Any]) -> Markup:
    names = short_names(list(values))
    lines = [_SETTING.format(_plain(names[name]), _plain(cell(value))) for name, value in values.items()]
    return Markup("").join([*lines[:HOVER_SETTINGS], *([_MORE] if len(lines) > HOVER_SETTINGS else [])])


def _plain(words: str) -> Markup:
    """Text that Plotly shows as it is: it knows some HTML, and `%{…}` in templates."""
    return escape(words).replace("%{", Markup("%&#123;"))


def _finite(report: Report, facts: SweepFacts) -> float | None:
    """Return the metric to seven digits; None if it is missing, NaN or infinite."""
    value = report.metrics.get(facts.metric)
    return None if value is None or not abs(value) < float("inf") else float(f"{value:.7g}")


def _last_finite(trial: TrialRecord, facts: SweepFacts) -> Report | None:
    return next((report for report in reversed(trial.reports) if _finite(report, facts) is not None), None)


def _scored(trial: TrialRecord, facts: SweepFacts) -> bool:
    return trial.best(facts.metric, facts.mode) is not None


def _all_values(trials: Sequence[TrialRecord], facts: SweepFacts) -> list[float]:
    values = (_finite(report, facts) for trial in trials for report in trial.reports)
    return [value for value in values if value is not None]
