"""Training configs: one YAML per trained model, checked before anything starts.

    task: deskew
    settings: {…}           # the task's own, see its Settings class
    train: {total_steps: 20000, global_batch: 64, lr: 1e-3, …}
    data: {train: {kind: page_shards, at: …}, validation: {…}}  # see `Task.source_kinds`
    scaling: {workers: 1, use_gpu: false, …}
    logging: {tensorboard: true, mlflow: true}
    card: {name: deskew, version: "1", licence: Apache-2.0, data: …, validation_data: …}

An unknown setting is an error that names the nearest valid one.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field

import trainers
from common.config import ConfigError, Settings, assign, find_yaml, nearest, parse_assignment, read_yaml, validate
from common.project import config_folder
from trainers.core.former_sources import present_spelling
from trainers.core.source import SourceSettings
from trainers.core.task import Task
from trainers.data.splits import SPLITS, Split


class TrainSettings(Settings):
    """The loop's settings. Steps are optimizer steps; a global batch is what all workers together see in a step."""

    total_steps: int = Field(ge=1)
    global_batch: int = Field(ge=1)
    lr: float = Field(gt=0)
    warmup_steps: int = Field(default=0, ge=0)
    final_lr_fraction: float = Field(default=0.01, ge=0, le=1)
    weight_decay: float = Field(default=0.05, ge=0)
    beta2: float = Field(default=0.98, gt=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    precision: Literal["auto", "fp32"] = Field(default="auto", description="auto: bf16 where the device has it")
    seed: int = Field(default=0, ge=0)
    validation_samples: int = Field(default=1024, ge=1)
    validate_every: int = Field(default=1000, ge=1)
    log_every: int = Field(default=50, ge=1)
    checkpoint_every: int = Field(default=1000, ge=1)
    checkpoint_minutes: float = Field(default=10.0, gt=0)
    initial_weights: str | None = Field(default=None, description="run folder, checkpoint or bundle to start from")

    def fixed(self) -> dict[str, Any]:
        """Return the settings that a resumed run must keep: all that determine the weights."""
        return self.model_dump(exclude={"validate_every", "log_every", "checkpoint_every", "checkpoint_minutes"})


class DataSettings(Settings):
    """Where samples come from and how many processes make them; `Config.source` checks the sources by their task."""

    train: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None
    processes: int = Field(default=2, ge=0, description="without Ray: sample-making processes (0: none, in the worker)")


OpenSource = Callable[[SourceSettings, Split, int], Any]


class ScalingSettings(Settings):
    """How a run is spread by Ray Train. CPUs are logical; several workers and tasks may share one."""

    workers: int = Field(default=1, ge=1)
    use_gpu: bool = False
    cpus_per_worker: float = Field(default=1.0, gt=0, description="CPUs of a train worker (the loop itself)")
    data_tasks: int = Field(
        default=2, ge=0, description="tasks that make samples for a train worker at once (0: it makes its own)"
    )
    cpus_per_data_task: float = Field(default=0.25, gt=0)
    max_failures: int = Field(default=3, ge=0, description="how often a crashed run resumes from its last checkpoint")
    storage: str | None = Field(default=None, description="shared folder or URI of checkpoints; several nodes need it")


class LoggingSettings(Settings):
    """Where figures go beside the console and `progress.jsonl`."""

    tensorboard: bool = True
    mlflow: bool = True


class CardSettings(Settings):
    """What the exported bundle's card says of its origin."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)  # version: 2

    name: str = Field(pattern=r"^[a-z0-9_.-]+$")
    version: str = Field(pattern=r"^[a-z0-9_.-]+$")
    licence: str
    data: str = Field(description="the data the network was trained on")
    validation_data: str = Field(description="the data of the validation metrics")
    note: str = ""


class Config(Settings):
    """A whole training config; `settings` is checked by the task's own class."""

    task: str = Field(description="a folder of trainers with a `task.py`, or `module:Class` of your own")
    settings: dict[str, Any] = Field(default_factory=dict)
    train: TrainSettings
    data: DataSettings = DataSettings()
    scaling: ScalingSettings = ScalingSettings()
    logging: LoggingSettings = LoggingSettings()
    card: CardSettings

    def source(self, split: Split, where: str = "config") -> SourceSettings | None:
        """Return the settings of a split's source; None where there is none.

        Raises:
            ConfigError: the task does not take such a source; the message begins with `where`.
        """
        content = self.data.train if split == "train" else self.data.validation
        return None if content is None else _source_settings(content, split, task_class(self.task), where)

    def build_task(self, open_source: OpenSource | None = None) -> Task:
        """Build the task and open its sources.

        Args:
            open_source: called with each source's settings, its split and the seed, in place of their `open`.

        Raises:
            ConfigError: as `load_config`.
            SourceError: a source cannot be opened.
        """
        task = task_class(self.task)
        seed = self.train.seed
        sources: dict[str, Any] = {}
        for split in SPLITS:
            if (source := self.source(split)) is not None:
                sources[split] = open_source(source, split, seed) if open_source else source.open(split, seed)
        return task(task.Settings(**self.settings), sources, seed)

    def changed(self, values: Mapping[str, Any], source: str) -> "Config":
        """Return a copy with dotted settings (`train.lr`) changed, checked like a file; errors begin with `source`.

        Raises:
            ConfigError: as `load_config`.
        """
        content = self.model_dump()
        for key, value in values.items():
            assign(content, key, value)
        return parse_config(content, source)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read and check a training config.

    Args:
        path: YAML file, or the name of one that comes with ocray (`deskew`).
        overrides: `train.lr=1e-3`-like assignments; the value is YAML.

    Raises:
        ConfigError: unreadable file, unknown task or key, a value out of range. Every problem is named at once.
    """
    path = find_yaml(path, config_folder("train"), "training config")
    content = read_yaml(path, "a training config is a mapping (task, settings, train, data, scaling, card)")
    for assignment in overrides:
        assign(content, *parse_assignment(assignment))
    return parse_config(content, str(path))


def parse_config(content: Mapping[str, Any], source: str) -> Config:
    """Check a config's content, the task's settings and sources included; errors begin with `source`. Raises
    ConfigError."""
    config = validate(Config, content, source)
    validate(task_class(config.task).Settings, config.settings, source, "settings.")
    for split in SPLITS:
        config.source(split, source)
    return config


def task_class(name: str) -> type[Task]:
    """Return the task in `trainers/NAME/task.py`, or the class that `module:Class` names.

    Raises:
        ConfigError: there is none.
    """
    if ":" in name:
        module_name, _, class_name = name.partition(":")
        try:
            return getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"task {name}: {error}") from error
    known = sorted(
        path.parent.name for path in Path(trainers.__path__[0]).glob("*/task.py") if path.parent.name != "core"
    )
    if name not in known:
        raise ConfigError(f"no task {name!r}{nearest(name, known)}; there are: {', '.join(known)}")
    module = importlib.import_module(f"trainers.{name}.task")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__dict__.get("name") == name
    )


def _source_settings(content: Mapping[str, Any], split: Split, task: type[Task], where: str) -> SourceSettings:
    key = f"data.{split}"
    if present := present_spelling(content):
        raise ConfigError(f"{where}: {key} is spelled as in earlier versions; write {key}: {_flow(present)}")
    kinds = {kind.model_fields["kind"].default: kind for kind in task.source_kinds}
    if not kinds:
        raise ConfigError(f"{where}: task {task.name} makes its own samples; leave {key} out")
    name = content.get("kind")
    if name not in kinds:
        problem = f"{key}.kind is missing" if name is None else f"{key}.kind: task {task.name} cannot use {name!r}"
        hint = nearest(str(name), kinds)
        raise ConfigError(f"{where}: {problem}{hint}; kinds of source for task {task.name}: {', '.join(kinds)}")
    return validate(kinds[name], content, where, f"{key}.")


def _flow(content: Mapping[str, Any]) -> str:
    """Return the content as one line of YAML."""
    return yaml.safe_dump(content, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000).strip()
