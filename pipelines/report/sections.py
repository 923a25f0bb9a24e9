"""The report's sections that are the same for all readers, each a function from figures to HTML."""

import shlex
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pipelines.report import charts
from pipelines.report.markup import both, escape, number, unknown
from pipelines.report.summary import Summary

_LISTED_INPUTS = 10
_LISTED_REASONS = 12
_STATES = {"running": "실행 중", "finished": "완료", "failed": "실패"}


def heading(job: dict[str, Any]) -> str:
    state = job.get("state")
    name = both(escape(str(state)), _STATES.get(state, escape(str(state)))) if state else unknown()
    title = escape(str(job.get("name") or "ocray"))
    lead = both("What ocray read in this job, and how well.", "이 작업에서 ocray가 읽은 결과와 품질입니다.")
    return f'<h1>{title} <span class="state {escape(str(state or ""))}">{name}</span></h1><p class="lead">{lead}</p>'


def section(identity: str, title: str, lead: str, content: str) -> str:
    """A section of the report; `title`, `lead` and `content` are HTML."""
    lead = f'\n<p class="muted">{lead}</p>' if lead else ""
    return f'<section id="{identity}"><h2>{title}</h2>{lead}\n{content}</section>\n'


def tiles(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """The figures one looks for first: (class, figure, label, note), all HTML."""
    return "".join(
        f'<div class="tile {kind}"><strong>{value}</strong><span>{label}{f" · {note}" if note else ""}</span></div>'
        for kind, value, label, note in rows
    )


def facts(job: dict[str, Any], summary: Summary) -> str:
    inputs = [escape(str(value)) for value in job.get("inputs") or []]
    more = len(inputs) - _LISTED_INPUTS
    listed = "<br>".join(f"<code>{value}</code>" for value in inputs[:_LISTED_INPUTS])
    if more > 0:
        listed += "<br>" + both(f"and {more:,} more", f"외 {more:,}개")
    devices = ", ".join(sorted(summary.devices)) or job.get("device")
    rows = [
        (both("Started", "시작"), _moment(job.get("created"))),
        (both("Ended", "끝"), _moment(job.get("finished"))),
        (both("Inputs", "입력"), listed),
        (both("Skipped files", "건너뛴 파일"), _skipped(job)),
        (both("Fingerprint", "지문"), _code(job.get("fingerprint"))),
        (both("Device", "장치"), escape(str(devices)) if devices else ""),
        (both("Hosts", "호스트 수"), escape(str(job["hosts"])) if job.get("hosts") is not None else ""),
        (both("Models", "모델"), _pairs(job.get("models"))),
        (both("Versions", "버전"), _pairs(job.get("versions"))),
    ]
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value or unknown()}</dd>" for name, value in rows) + "</dl>"


def _skipped(job: dict[str, Any]) -> str:
    """Files that were passed over, by reason, and documents that were named more than once."""
    if not isinstance(job.get("skipped"), dict):
        return ""
    reasons = list(job["skipped"].items())
    rest = sum(count for _, count in reasons[_LISTED_REASONS:])
    parts = [f"{count:,} × {escape(str(reason))}" for reason, count in reasons[:_LISTED_REASONS]]
    if rest:
        parts.append(both(f"{rest:,} × others", f"{rest:,} × 기타"))
    if job.get("duplicates"):
        parts.append(both(f"{job['duplicates']:,} named twice", f"{job['duplicates']:,}개는 두 번 지정됨"))
    return "<br>".join(parts) or both("none", "없음")


def time_by_stage(summary: Summary) -> str:
    if not summary.timings:
        return f'<p class="muted">{both("No page was timed.", "시간이 기록된 쪽이 없습니다.")}</p>'
    total = sum(data.sum for data in summary.timings.values()) or 1.0
    rows = [
        charts.Bar(name, data.mean, data.quantile(0.5), data.quantile(0.9), data.sum / total)
        for name, data in summary.timings.items()
    ]
    return charts.bars(rows, charts.Axis("milliseconds a page, in one worker", "쪽당 밀리초 (작업자 하나)"))


def cards(charts: Sequence[tuple[str, str, int, Callable[[], str]]]) -> str:
    """Charts side by side: (title, caption, how many values, what draws it), titles and captions HTML."""
    nothing = f'<p class="muted">{both("no values", "값 없음")}</p>'
    return '<div class="grid">' + "".join(
        f'<div class="card"><h3>{title}</h3><p class="muted">{caption}</p>{draw() if total else nothing}</div>'
        for title, caption, total, draw in charts
    ) + "</div>"  # fmt: skip


def pages(figures: Sequence[str]) -> str:
    """Pages that are shown, each a figure."""
    if not figures:
        return f'<p class="muted">{both("None.", "없음.")}</p>'
    return f'<div class="pages">{"".join(figures)}</div>'


def errors(summary: Summary) -> str:
    if not summary.failed:
        return f'<p class="good">{both("Every page was read.", "모든 쪽을 읽었습니다.")}</p>'
    groups = "".join(
        f"<tr><td class=w>{escape(stage)}</td><td class=w>{escape(kind)}</td><td class=n>{number(count)}</td></tr>"
        for (stage, kind), count in summary.error_groups.most_common()
    )
    rows = "".join(
        f"<tr><td>{escape(row['document_uri'])}</td><td class=n>{row['page_number']}</td>"
        f"<td class=w>{escape(row['stage'])}</td><td class=w>{escape(row['type'])}</td>"
        f"<td>{escape(row['message'])}</td></tr>"
        for row in summary.errors
    )
    listed, rest = len(summary.errors), summary.failed - len(summary.errors)
    note = ""
    if rest:
        note = both(
            f"The first {listed:,} of {summary.failed:,} are listed; {rest:,} more are in <code>pages/*.parquet</code> "
            "(<code>status = 'error'</code>) and counted above.",
            f"{summary.failed:,}개 가운데 처음 {listed:,}개입니다. 나머지 {rest:,}개는 위에 집계되어 있고 "
            "<code>pages/*.parquet</code>(<code>status = 'error'</code>)에 있습니다.",
        )
        note = f'<p class="note">{note}</p>'
    stage, kind, count = both("Stage", "단계"), both("Type", "종류"), both("Pages", "쪽 수")
    return (
        f"<table><thead><tr><th>{stage}</th><th>{kind}</th><th class=n>{count}</th></tr></thead>"
        f"<tbody>{groups}</tbody></table>{note}"
        f'<div class="scroll"><table class="list"><thead><tr><th>{both("Document", "문서")}</th>'
        f"<th class=n>{both('Page', '쪽')}</th><th>{stage}</th><th>{kind}</th><th>{both('Message', '내용')}</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def retry(job: dict[str, Any], output_uri: str, summary: Summary) -> str:
    """The command that reads the failed pages again; nothing when there are none."""
    if not summary.failed:
        return ""
    inputs = [str(value) for value in job.get("inputs") or ["INPUT"]]
    reader = job.get("config", {}).get("reader", "documents")
    options = [] if reader == "documents" else ["--reader", reader]
    if ":" in reader:  # a reader of another package: found by the configuration that the job was started with
        options = ["--config", "CONFIG.yaml"]
    command = shlex.join(["ocray", "ocr", *options, "--input", *inputs, "--output", output_uri, "--retry-failed"])
    text = both(
        "Mend or replace the inputs, then read only the failed pages again:",
        "입력을 고치거나 바꾼 뒤, 실패한 쪽만 다시 읽습니다.",
    )
    return f'<p class="retry">{text}</p><pre><code>{escape(command)}</code></pre>'


def _moment(text: Any) -> str:
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return escape(str(text))
    return f'<time datetime="{escape(str(text))}">{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ""}</time>'


def _code(value: Any) -> str:
    return f"<code>{escape(str(value))}</code>" if value else ""


def _pairs(values: Any) -> str:
    if not isinstance(values, dict):
        return ""
    return '<span class="pairs">' + "".join(
        f"<span>{escape(str(key))} <code>{escape(str(value))}</code></span>" for key, value in values.items()
    ) + "</span>" if values else ""  # fmt: skip
