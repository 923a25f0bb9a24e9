"""A job's identity and its card `job.json`: what was asked for, by which code, and how far it is."""

import hashlib
import json
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from models.project import VERSION, installed_version
from pipelines.config import ReaderConfig
from pipelines.ledger import PARTS
from pipelines.readings import READINGS
from pipelines.storage import Storage

CARD = "job.json"
EXPORTS = "exports"
REPORT = "report.html"
# What is written from the records later may change freely.
_READING_PACKAGES = ("models", "pipelines")
_NOT_READING = ("pipelines/exports/", "pipelines/report/")
_VERSIONED = ("ray", "openvino", "opencv-python-headless", "rapidocr", "pypdfium2", "pyarrow")


class JobError(Exception):
    """A job that must not run as asked; the message says why and what to do."""


@cache
def code_digest(foreign: tuple[str, ...]) -> str:
    """SHA-256 over the sources that decide what is read, all but the `foreign` ones; changed code is another job."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for package in _READING_PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not name.startswith((*_NOT_READING, *foreign)):
                digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def fingerprint(config: ReaderConfig) -> dict[str, Any]:
    """What an output's rows depend on besides the pages: configuration, bundles (network and card) and code."""
    return {
        "config": config.identity(),
        "bundles": {
            stage: [f"{bundle.name} digest:{bundle.digest}" for bundle in bundles]
            for stage, bundles in config.open_bundles().items()
        },
        "code": code_digest(config.foreign_code),
    }


def short_digest(content: dict[str, Any]) -> str:
    """12 hex characters naming a fingerprint."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


class JobCard:
    """`job.json` of one output: read it, check a rerun against it, keep it up to date."""

    def __init__(self, output: Storage, content: dict[str, Any]):
        self.output = output
        self.content = content
        self._started = time.time()

    @classmethod
    def open(
        cls,
        output: Storage,
        *,
        inputs: Sequence[str],
        config: ReaderConfig,
        device: str,
        hosts: int,
        overwrite: bool,
    ) -> "JobCard":
        """The card for a run into `output`: a new one, or the earlier run's when this one goes on with it.

        Raises:
            JobError: the folder holds something else, or another job's output (the difference is named).
        """
        identity = fingerprint(config)
        earlier = read_card(output)
        if overwrite:
            for name in (CARD, PARTS, READINGS, EXPORTS, REPORT):
                output.delete(name)
            earlier = None
        elif earlier is None and not output.is_empty():
            raise JobError(
                f"{output.uri} is not empty and is not an ocray output (no {CARD}); choose another folder, or "
                f"--overwrite to put the results beside what is there"
            )
        elif earlier is not None:
            _refuse_other_job(output, earlier, identity, list(inputs))
        now = _now()
        content = {
            "name": output.uri.rstrip("/").rsplit("/", 1)[-1],
            "created": earlier["created"] if earlier else now,
            "started": now,
            "updated": now,
            "finished": None,
            "state": "running",
            "fingerprint": short_digest(identity),
            "identity": identity,
            "config": config.model_dump(),
            "inputs": list(inputs),
            "models": {
                stage: "+".join(text.split()[0] for text in texts) for stage, texts in identity["bundles"].items()
            },
            "device": device,
            "hosts": hosts,
            "versions": {"ocray": VERSION} | {name: installed_version(name) for name in _VERSIONED},
            "counts": {},
            "runs": (earlier["runs"] if earlier else 0) + 1,
        }
        card = cls(output, content)
        card.save()
        return card

    def save(self, **changes: Any) -> None:
        """Set fields and write the card."""
        self.content.update(changes, updated=_now(), wall_seconds=round(time.time() - self._started, 2))
        self.output.write(CARD, json.dumps(self.content, ensure_ascii=False, indent=1).encode())

    def close(self, state: str, **changes: Any) -> None:
        """The run ended: `finished` or `failed`."""
        self.save(state=state, finished=_now(), **changes)


def read_card(output: Storage) -> dict[str, Any] | None:
    """The card of an output, None when there is none.

    Raises:
        JobError: the file is not an ocray job card.
    """
    try:
        content = json.loads(output.read(CARD))
        if not isinstance(content, dict) or "identity" not in content:
            raise ValueError("no job identity in it")
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise JobError(f"{output.uri}/{CARD} is not an ocray job card ({error}); choose another output") from error
    return content


def _refuse_other_job(output: Storage, earlier: dict[str, Any], identity: dict[str, Any], inputs: list[str]) -> None:
    differs = [key for key in identity if earlier["identity"].get(key) != identity[key]]
    if earlier["inputs"] != inputs:
        differs.append("inputs")
    if not differs:
        return
    details = []
    for key in differs:
        if key == "inputs":
            details.append(f"inputs were {earlier['inputs']}, now {inputs}")
        elif key == "code":
            details.append("ocray's reading code changed")
        else:
            old, new = earlier["identity"].get(key, {}), identity[key]
            changed = [name for name in new if old.get(name) != new[name]]
            details.append(f"{key}: " + "; ".join(f"{name} was {old.get(name)}, now {new[name]}" for name in changed))
    raise JobError(
        f"{output.uri} holds another job's output ({'; '.join(details)}); choose another output, or --overwrite to "
        f"start anew"
    )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
