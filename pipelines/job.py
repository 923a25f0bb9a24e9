"""A job's identity and its card `job.json`: what was requested, by which code, and its progress."""

import hashlib
import json
import logging
import re
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from common.config import ConfigError
from common.errors import ExitCode, ExpectedError
from common.project import VERSION, installed_version
from common.storage import Storage
from common.storage.locations import local_path, spelled, spelled_uri
from pipelines.ledger import FORMER, PARTS
from pipelines.output import CARD, EXPORTS, REPORT
from pipelines.readers.base import Reader
from pipelines.readers.registry import job_reader
from pipelines.states_index import INDEX

logger = logging.getLogger("ocray")

_READING_PACKAGES = ("common", "models", "pipelines")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FAILURE_CHARS = 2000
_VERSIONED = ("ray", "openvino", "opencv-python-headless", "rapidocr", "pypdfium2", "pyarrow")


class JobError(ExpectedError):
    """A job that must not run as requested; the message says why and what to do."""


class IncompleteJob(ExpectedError):
    """Pages are not in the output; the message says how many, why, and how to resume."""

    exit_code = ExitCode.INCOMPLETE


@cache
def code_digest() -> str:
    """SHA-256 over the sources that read. It records what read; whether a job may resume is decided by
    `reading_version`."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for package in _READING_PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def fingerprint(reader: Reader[Any, Any]) -> dict[str, Any]:
    """Return what an output's rows depend on besides the pages: settings, bundles (network and card) and how this
    version of the reader reads."""
    return {
        "config": reader.identity(),
        "bundles": {
            stage: [f"{bundle.name} digest:{bundle.digest}" for bundle in bundles]
            for stage, bundles in reader.bundles().items()
        },
        "reading_version": reader.reading_version,
    }


def place(uri: str) -> str:
    """One spelling of an input: absolute, without a trailing slash."""
    path = local_path(uri)
    if path is not None:
        return spelled(path)
    protocol, _, rest = uri.partition("://")
    return f"{'s3' if protocol == 's3a' else protocol}://{rest.rstrip('/')}"


def short_digest(content: dict[str, Any]) -> str:
    """12 hex characters naming a fingerprint."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


class JobCard:
    """`job.json` of one output: read it, check a rerun against it, keep it up to date."""

    def __init__(self, output: Storage, content: dict[str, Any]):
        self.output = output
        self.content = content
        self._started = time.time()
        self._unwritten = False

    @classmethod
    def open(
        cls,
        output: Storage,
        *,
        inputs: Sequence[str],
        reader: Reader[Any, Any],
        device: str,
        hosts: int,
        overwrite: bool,
    ) -> "JobCard":
        """Return the card for a run into `output`: a new one, or that of the earlier run if this one resumes it.

        Raises:
            JobError: the folder holds something else, or another job's output (the difference is named).
            OutputError: it cannot be written.
        """
        identity = fingerprint(reader)
        earlier = read_card(output)
        if overwrite:
            for name in (CARD, PARTS, INDEX, FORMER, EXPORTS, REPORT, *_own_files(reader, earlier)):
                output.delete(name)
            earlier = None
        elif earlier is None and not output.is_empty():
            raise JobError(
                f"{output.uri} is not empty and is not an ocray output (no {CARD}); choose another folder, or "
                f"--overwrite to put the results beside what is there"
            )
        elif earlier is not None:
            _refuse_other_job(output, earlier, identity, inputs)
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
            "config": reader.settings.model_dump(),
            "inputs": [spelled_uri(given) for given in inputs],
            "places": _places(inputs),
            "models": {
                stage: "+".join(text.split()[0] for text in texts) for stage, texts in identity["bundles"].items()
            },
            "device": device,
            "hosts": hosts,
            "code": code_digest(),
            "versions": {"ocray": VERSION} | {name: installed_version(name) for name in _VERSIONED},
            "counts": {},
            "runs": (earlier["runs"] if earlier else 0) + 1,
        }
        card = cls(output, content)
        card._write()
        return card

    def save(self, **changes: Any) -> None:
        """Set fields and write the card. A failing write is logged and no reason to stop: the next follows soon."""
        self.content.update(changes)
        try:
            self._write(patience=0)
        except Exception as error:  # storage back ends raise anything
            if not self._unwritten:
                logger.warning("%s; trying again until it can", error)
            self._unwritten = True
        else:
            self._unwritten = False

    def close(self, state: str, **changes: Any) -> None:
        """Record how the run ended: `finished`, `incomplete`, `interrupted` or `failed`; a failing write is retried.

        Raises:
            OutputError: the card cannot be written.
        """
        self.content.update(changes, state=state, finished=_now())
        self._write()

    def close_after(self, error: BaseException) -> None:
        """Close the card of a run that `error` ended, as well as the storage lets it."""
        state = "failed"
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            state = "interrupted"
        elif isinstance(error, IncompleteJob):
            state = "incomplete"
        text = _ANSI.sub("", str(error)).strip()
        try:
            self.content.update(
                state=state, finished=_now(), failure=f"{type(error).__name__}: {text}"[:_FAILURE_CHARS]
            )
            self._write(patience=0)
        except Exception as trouble:  # storage back ends raise anything; the original error matters more
            logger.warning("job.json could not be closed: %s", trouble)

    def _write(self, patience: float | None = None) -> None:
        self.content.update(updated=_now(), wall_seconds=round(time.time() - self._started, 2))
        content = json.dumps(self.content, ensure_ascii=False, indent=1).encode()
        self.output.write(CARD, content, patience)


def read_card(output: Storage) -> dict[str, Any] | None:
    """Return the card of an output, None if it has none.

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


def _own_files(reader: Reader[Any, Any], earlier: dict[str, Any] | None) -> set[str]:
    """Return the files that this reader, and the reader of an earlier job, write besides those of every job."""
    try:
        before = job_reader(earlier).own_files if earlier else ()
    except ConfigError as error:
        logger.warning("%s; what it wrote beside the records stays", error)
        before = ()
    return {*reader.own_files, *before}


def _places(inputs: Sequence[str]) -> list[str]:
    return sorted({place(given) for given in inputs})


def _refuse_other_job(
    output: Storage, earlier: dict[str, Any], identity: dict[str, Any], inputs: Sequence[str]
) -> None:
    differs = [key for key in identity if earlier["identity"].get(key) != identity[key]]
    before, now = earlier.get("places") or _places(earlier["inputs"]), _places(inputs)
    if before != now:
        differs.append("inputs")
    if not differs:
        return
    details = []
    for key in differs:
        if key == "inputs":
            details.append(f"inputs were {before}, now {now}")
        elif key == "reading_version":
            old = earlier["identity"].get(key, "another one")
            details.append(f"this version reads otherwise: reading version was {old}, now {identity[key]}")
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
