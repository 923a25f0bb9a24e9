"""The job's own facts in the report: its card, `job.json`, as far as it is filled in."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_LISTED_REASONS = 12

Words = str | tuple[str, str]  # a text, or one in English and Korean


@dataclass(frozen=True)
class Moment:
    """A time as the card has it, and as it is shown: "" where it cannot be read."""

    iso: str
    shown: str


@dataclass(frozen=True)
class JobFacts:
    """The card of a job. Missing facts are None or empty, which the report shows as unknown.

    Attributes:
        skipped: files that were passed over, by reason, and documents that were named more than once; empty: none.
    """

    name: str
    state: str
    created: Moment | None
    finished: Moment | None
    inputs: list[str]
    skipped: list[Words] | None
    fingerprint: str
    device: str
    hosts: str | None
    models: dict[str, str]
    versions: dict[str, str]


def read_card(card: Mapping[str, Any]) -> JobFacts:
    """Return what `job.json` holds for people."""
    hosts = card.get("hosts")
    return JobFacts(
        name=str(card.get("name") or "ocray"),
        state=str(card.get("state") or ""),
        created=_moment(card.get("created")),
        finished=_moment(card.get("finished")),
        inputs=[str(value) for value in card.get("inputs") or []],
        skipped=_skipped(card),
        fingerprint=str(card.get("fingerprint") or ""),
        device=str(card.get("device") or ""),
        hosts=None if hosts is None else str(hosts),
        models=_texts(card.get("models")),
        versions=_texts(card.get("versions")),
    )


def retry_command(card: Mapping[str, Any], output_uri: str) -> str:
    """Return the command that reads the failed pages again."""
    inputs = [str(value) for value in card.get("inputs") or ["INPUT"]]
    reader = card.get("config", {}).get("reader", "documents")
    options = [] if reader == "documents" else ["--reader", reader]
    if ":" in reader:  # a reader of another package: found by the configuration that the job was started with
        options = ["--config", "CONFIG.yaml"]
    return shlex.join(["ocray", "ocr", *options, "--input", *inputs, "--output", output_uri, "--retry-failed"])


def _skipped(card: Mapping[str, Any]) -> list[Words] | None:
    if not isinstance(card.get("skipped"), dict):
        return None
    reasons = list(card["skipped"].items())
    parts: list[Words] = [f"{count:,} × {reason}" for reason, count in reasons[:_LISTED_REASONS]]
    if rest := sum(count for _, count in reasons[_LISTED_REASONS:]):
        parts.append((f"{rest:,} × others", f"{rest:,} × 기타"))
    if twice := card.get("duplicates"):
        parts.append((f"{twice:,} named twice", f"{twice:,}개는 두 번 지정됨"))
    return parts


def _moment(text: Any) -> Moment | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return Moment(str(text), "")
    return Moment(str(text), f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}")


def _texts(values: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}
