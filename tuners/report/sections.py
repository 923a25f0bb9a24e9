"""The report's words and tables."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from trainers.core.report_page import both, escape, table
from tuners.ledger import TrialRecord, best_trial
from tuners.report.markup import card, nothing
from tuners.results import (
    ABSENT,
    DASH,
    SweepFacts,
    best_value,
    cell,
    duration,
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

STATES = {
    "finished": ("finished", "완료"),
    "interrupted": ("interrupted", "중단됨"),
    "out of time": ("out of time", "시간 종료"),
    "no better trials": ("ended: no better trials", "종료: 더 나은 시도 없음"),
}
STATUSES = {
    "finished": ("finished", "완료"),
    "stopped": ("stopped early", "조기 중단"),
    "running": ("under way", "진행 중"),
    "failed": ("failed", "실패"),
}
BETTER = {"max": ("higher is better", "높을수록 좋음"), "min": ("lower is better", "낮을수록 좋음")}
OBSTACLES = {
    "few trials": (
        "Fewer than 4 ended trials have a value; the importance of settings cannot be told from so few.",
        "값이 있는 끝난 시도가 4개보다 적어 설정의 중요도를 말할 수 없습니다.",
    ),
    "equal values": ("All ended trials have the same best value.", "끝난 시도의 최고값이 모두 같습니다."),
    "nothing varies": ("No setting has two values among the ended trials.", "끝난 시도 사이에 달라진 설정이 없습니다."),
}


def heading(facts: SweepFacts) -> str:
    better = both(*BETTER[facts.mode])
    state = f'<span class="state {escape(facts.state.split()[0])}">{both(*STATES[facts.state])}</span>'
    return (
        f"<h1>{escape(facts.name)} {state}</h1>"
        f'<p class="lead">{both("Hyperparameter sweep of", "하이퍼파라미터 탐색:")} <b>{escape(facts.task)}</b> · '
        f"{escape(facts.metric)} ({better})</p>"
    )


def tiles(trials: Sequence[TrialRecord], facts: SweepFacts) -> str:
    best = best_trial(list(trials), facts.metric, facts.mode)
    count = {status: sum(trial.status == status for trial in trials) for status in STATUSES}
    best_figure = DASH if best is None else short(best_value(best, facts.metric, facts.mode))
    of_trial = both("best value", "최고값")
    if best is not None:
        of_trial = both(f"best value, trial {best.number}", f"최고값, {best.number}번 시도")
    share = trained_share(trials, facts)
    entries = [
        ("best", best_figure, of_trial),
        ("", str(count["finished"]), both("trials ran to their end", "끝까지 학습한 시도")),
        ("", str(count["stopped"]), both("stopped early", "조기 중단")),
        ("bad" if count["failed"] else "", str(count["failed"]), both("failed", "실패")),
        ("", duration(sum(trial.seconds for trial in trials)), both("trained, all trials", "모든 시도의 학습 시간")),
        ("", duration(facts.wall_seconds), both("on the clock", "실제 걸린 시간")),
        (
            "",
            DASH if share is None else percent(max(0.0, 1 - share)),
            both("of the training saved by early stopping", "조기 중단으로 아낀 학습"),
        ),
    ]
    return "".join(
        f'<div class="tile {kind}"><strong>{figure}</strong><span>{what}</span></div>' for kind, figure, what in entries
    )


def overview(trials: Sequence[TrialRecord], facts: SweepFacts) -> str:
    planned = (
        both("as many as the time allows", "시간이 허락하는 만큼") if facts.planned is None else str(facts.planned)
    )
    running = sum(trial.status == "running" for trial in trials)
    started = both(f"{len(trials)} started", f"{len(trials)}개 시작") + " · " + both("planned: ", "계획: ") + planned
    if running:
        started += " · " + both(f"{running} under way", f"{running}개 진행 중")
    full = both(f"{facts.full_samples:,} training samples", f"학습 표본 {facts.full_samples:,}개")
    note = both(
        "saved: training samples that finished and stopped trials did not need, of what the same trials would have "
        "seen in full",
        "아낀 학습: 완료·조기 중단한 시도를 모두 끝까지 학습했을 때의 표본 가운데 쓰지 않은 비율",
    )
    rows = [
        (both("trials", "시도"), started),
        (both("a full trial", "시도 하나"), full),
        (both("searcher · scheduler", "탐색기 · 스케줄러"), f"{escape(facts.search)} · {escape(facts.scheduler)}"),
        (both("at once", "동시 실행"), str(facts.concurrent)),
        (both("command", "명령"), f"<code>{escape(facts.command)}</code>"),
    ]
    pairs = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return f'<dl>{pairs}</dl><p class="note">{note}</p>'


def best_settings(trials: Sequence[TrialRecord], facts: SweepFacts, best_file: Path) -> str:
    """The best trial's settings, the metrics beside them, and the command that trains with them."""
    best = best_trial(list(trials), facts.metric, facts.mode)
    if best is None:
        return nothing("No trial has reported a finite value yet.", "아직 유한한 값을 보고한 시도가 없습니다.")
    report = best.best(facts.metric, facts.mode)
    rows = [[f"<code>{escape(name)}</code>", escape(_exact(value))] for name, value in best.values.items()]
    metrics = [[escape(name), short(value)] for name, value in report.metrics.items()]
    command = f"ocray train {shlex.quote(str(best_file))}"
    at = both(
        f"Trial {best.number} at its best report: step {report.step:,}, {report.samples:,} samples.",
        f"{best.number}번 시도의 가장 좋은 보고: {report.step:,} 스텝, 표본 {report.samples:,}개.",
    )
    if best.status == "failed":
        at += " " + both("It failed later.", "그 뒤에 실패했습니다.")
    copy = f'<button type="button" class="copy">{both("Copy", "복사")}</button>'
    head = [both("setting", "설정"), both("value", "값")]
    return card(
        f'<p class="muted">{at}</p><div class="halves">{table(head, rows, [1])}'
        f"{table([both('validation metric', '검증 지표'), both('value', '값')], metrics, [1])}</div>"
        f'<div class="command"><pre id="train">{escape(command)}</pre>{copy}</div>'
    )


def importances(trials: Sequence[TrialRecord], facts: SweepFacts) -> str:
    """A bar a setting and what the bars can and cannot say; or why there are none."""
    if obstacle := importance_obstacle(trials, facts.metric, facts.mode):
        return nothing(*OBSTACLES[obstacle])
    shares = importance(trials, facts.metric, facts.mode)
    scored = sum(trial.status != "running" and trial.best(facts.metric, facts.mode) is not None for trial in trials)
    longest = max(shares.values())
    bars = "".join(
        f'<div class="bar"><code>{escape(name)}</code><span class="track">'
        f'<i style="width:{100 * share / longest:.1f}%"></i></span><b>{percent(share)}</b></div>'
        for name, share in shares.items()
    )
    english = (
        f"How much of the differences between the {scored} ended trials with a value each setting explains alone "
        "(fANOVA). It says what mattered within the values that were tried, not which value is good; what settings do "
        "only together is not shown."
    )
    korean = (
        f"값이 있는 끝난 시도 {scored}개 사이의 차이를 각 설정이 홀로 얼마나 설명하는지 보여 줍니다(fANOVA). 시도한 "
        "값의 범위 안에서 무엇이 중요했는지를 말할 뿐 어떤 값이 좋은지는 말하지 않으며, 설정이 함께일 때만 내는 효과는 "
        "나타나지 않습니다."
    )
    if any(trial.status in ("stopped", "failed") for trial in trials):
        english += (
            " Trials that ended early count with the best value they had, so part of their distance from the others is "
            "shorter training."
        )
        korean += " 일찍 끝난 시도는 그때까지의 최고값으로 세므로, 다른 시도와의 차이 일부는 짧은 학습 탓입니다."
    if any(trial.changes for trial in trials):
        english += " Settings changed during training (PBT): those of the last generation are counted."
        korean += " 학습 중에 설정이 바뀌었으며(PBT), 마지막 세대의 설정으로 셉니다."
    if scored < 30:
        english += " With so few trials, trust the order of clear differences, not the figures."
        korean += " 시도가 적으므로 수치보다 뚜렷한 차이의 순서만 믿으세요."
    return card(f'<p class="muted">{both(english, korean)}</p><div class="bars">{bars}</div>')


def changes(trials: Sequence[TrialRecord]) -> str:
    """A section with PBT's exploits; empty without any."""
    rows = [
        [str(trial.number), f"{change['step']:,}", str(change["from"]), _settings_words(change["values"])]
        for trial in sorted(trials, key=lambda trial: trial.number)
        for change in trial.changes
    ]
    if not rows:
        return ""
    title = both("Exploits", "복사와 변경")
    note = both(
        "Population based training: a trial took over the weights of a better one and went on with changed settings.",
        "집단 기반 학습(PBT): 더 나은 시도의 가중치를 이어받아 바뀐 설정으로 학습을 계속했습니다.",
    )
    head = [
        both("trial", "시도"),
        both("step", "스텝"),
        both("copied trial", "복사한 시도"),
        both("new settings", "새 설정"),
    ]
    content = card(f'<div class="scroll">{table(head, rows, [0, 1, 2])}</div>')
    return f'<section id="changes"><h2>{title}</h2><p class="muted">{note}</p>{content}</section>'


def trials_table(trials: Sequence[TrialRecord], facts: SweepFacts) -> str:
    """All trials, the best first; the page's script sorts by a column when its name is clicked."""
    if not trials:
        return nothing("No trial has started.", "시작한 시도가 없습니다.")
    names = setting_names(trials)
    labels = [f"<code>{escape(label)}</code>" for label in short_names(names).values()]
    head = [
        both("trial", "시도"),
        escape(facts.metric),
        both("status", "상태"),
        both("samples", "표본"),
        both("trained", "학습 시간"),
        *labels,
    ]
    buttons = "".join(f'<th><button type="button" data-sort>{label}</button></th>' for label in head)
    best = best_trial(list(trials), facts.metric, facts.mode)
    rows = []
    for trial in ranking(trials, facts.metric, facts.mode):
        value, samples = best_value(trial, facts.metric, facts.mode), samples_seen(trial)
        cells = [
            _sortable(str(trial.number), trial.number),
            _sortable(DASH if value is None else short(value), value),
            f'<td><span class="dot {trial.status}"></span>{both(*STATUSES[trial.status])}</td>',
            _sortable(percent(samples / facts.full_samples), samples),
            _sortable(duration(trial.seconds), trial.seconds),
        ]
        for name in names:
            given = trial.values.get(name, ABSENT)
            full = "" if given is ABSENT else text(given)
            cells.append(_sortable(escape(cell(given)), full, hint=full if full != cell(given) else ""))
        rows.append(f"<tr{' class=best' if trial is best else ''}>{''.join(cells)}</tr>")
    body = (
        f'<table class="list" id="trials-table"><thead><tr>{buttons}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )
    return f'<div class="card"><div class="scroll">{body}</div></div>'


def failures(trials: Sequence[TrialRecord]) -> str:
    """The failed trials with their reasons."""
    failed = sorted((trial for trial in trials if trial.status == "failed"), key=lambda trial: trial.number)
    if not failed:
        return card(f'<p class="good">{both("No trial failed.", "실패한 시도가 없습니다.")}</p>')
    rows = [
        [str(trial.number), f'<div class="reason">{escape(trial.reason) or DASH}</div>', _settings_words(trial.values)]
        for trial in failed
    ]
    head = [both("trial", "시도"), both("reason", "이유"), both("settings", "설정")]
    return card(table(head, rows, [0]))


def _exact(value) -> str:
    """In full, but of a number what matters: the file beside the report has every digit."""
    return f"{value:.6g}" if isinstance(value, float) else text(value)


def _settings_words(values: dict) -> str:
    names = short_names(list(values))
    return escape(" · ".join(f"{names[name]} {cell(value)}" for name, value in values.items()))


def _sortable(shown: str, value: str | float | None, hint: str = "") -> str:
    title = f' title="{escape(hint)}"' if hint else ""
    return f'<td class=n data-value="{escape("" if value is None else str(value))}"{title}>{shown}</td>'
