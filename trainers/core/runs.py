"""Run folders: what a training leaves behind, and the rules that keep one run from overwriting another.

RUN/config.yaml       the whole config, overrides included
RUN/run.json          who hosts the run (ray or plain), the command that started it
RUN/checkpoint/       last.pt (to resume from), best.pt (best validated EMA weights)
RUN/progress.jsonl    every report
RUN/tensorboard/      and mlflow.db beside RUN
RUN/result.json       written at the end: a run that has one is finished
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from common.errors import ExpectedError
from common.work_folder import WorkFolder
from trainers.core.config import Config, load_config
from trainers.core.loop import Outcome

CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"
RESULT_FILE = "result.json"
CHECKPOINT_FOLDER = "checkpoint"


class RunError(ExpectedError):
    """A run folder that cannot be used so; the message says what to do instead."""


class Run(WorkFolder):
    """A run folder."""

    kind, option, marker, error = "run", "--run", CONFIG_FILE, RunError

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT_FOLDER

    @property
    def finished(self) -> bool:
        return (self.folder / RESULT_FILE).is_file()

    def config(self) -> Config:
        """Return the config that the run was started with."""
        if not self.exists:
            raise RunError(f"{self.folder} is not a run: it has no {CONFIG_FILE}")
        return load_config(self.folder / CONFIG_FILE)

    def command(self) -> str:
        """Return the command that started the run."""
        return json.loads((self.folder / RUN_FILE).read_text("utf-8"))["command"]

    def finish(self, outcome: Outcome) -> None:
        (self.folder / RESULT_FILE).write_text(json.dumps(asdict(outcome), indent=1) + "\n", "utf-8")


@contextmanager
def open_run(folder: Path, config: Config, *, host: str, command: str, overwrite: bool = False) -> Iterator[Run]:
    """Start a run in a new folder, or resume the unfinished run in it; one process at a time.

    Args:
        host: "ray" or "plain"; each keeps checkpoints its own way, so a run stays with the one that started it.
        overwrite: delete an earlier run in this folder first.

    Raises:
        RunError: the folder holds a finished run, a run of another config, another host's run, or no run but files; or
            another process is training in it.
    """
    run = Run(folder)
    with run.held(overwrite):
        if run.exists:
            _check_same(run, config, host)
        else:
            (folder / RUN_FILE).write_text(json.dumps({"host": host, "command": command}) + "\n", "utf-8")
            (folder / CONFIG_FILE).write_text(config.to_yaml(), "utf-8")
        yield run


def _check_same(run: Run, config: Config, host: str) -> None:
    remedy = "give another --run, or --overwrite to delete it"
    if run.finished:
        raise RunError(f"{run.folder} holds a finished run; {remedy}")
    before = run.config()
    old = {"task": before.task} | _prefixed("settings", before.settings) | _prefixed("train", before.train.fixed())
    new = {"task": config.task} | _prefixed("settings", config.settings) | _prefixed("train", config.train.fixed())
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if changed:
        raise RunError(f"{run.folder} holds an unfinished run with another {', '.join(changed)}; {remedy}")
    started_by = json.loads((run.folder / RUN_FILE).read_text("utf-8"))["host"]
    if started_by != host:
        how = "with --no-ray" if started_by == "plain" else "without --no-ray"
        raise RunError(f"{run.folder} was started {how}; resume it the same way, or {remedy}")


def _prefixed(prefix: str, values: dict) -> dict:
    return {f"{prefix}.{key}": value for key, value in values.items()}
