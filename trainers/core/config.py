"""Training configs: one YAML per trained model, checked before anything starts.

    task: deskew
    settings: {…}           # the task's own, see its Settings class
    train: {total_steps: 20000, global_batch: 64, lr: 1e-3, …}
    data: {train: {shards: …}, validation: {shards: …}}
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
from pydantic import ConfigDict, Field, model_validator

import trainers
from common.config import ConfigError, Settings, assign, find_yaml, nearest, parse_assignment, read_yaml, validate
from common.project import config_folder
from trainers.core.task import PageSource, Split, Task
from trainers.data.pages import ShardPages
from trainers.detection.source import MixedRegions, RegionSource, RenderedRegions, ShardRegions
from trainers.meter.source import MeterSource, open_meters
from trainers.pages.source import RenderedPages
from trainers.recognition.source import DrawnLines, LineSource, ShardLines


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
        """What a resumed run must keep: all that decides the weights."""
        return self.model_dump(exclude={"validate_every", "log_every", "checkpoint_every", "checkpoint_minutes"})


class PagesSettings(Settings):
    """One source of pages or of text lines: Parquet shards, or rendered as they are needed."""

    shards: str | None = Field(default=None, description="folder of Parquet files with an `image` column, or one file")
    skews: str | None = Field(default=None, description="Parquet file (set, name, skew_degrees) for real pages")
    rendered: bool = Field(default=False, description="render each page from its index when it is needed")
    lines: str | dict[str, float] | None = Field(
        default=None, description="folder of Parquet files with lines, or several: {FOLDER: share in training}"
    )
    rendered_lines: bool = Field(default=False, description="render each line from its index when it is needed")
    texts: str | None = Field(default=None, description="for rendered lines: Parquet file with sentences in `text`")
    balance: float = Field(
        default=0,
        ge=0,
        le=1,
        description="training lines of `lines`: 0 takes each as often, 1 balances word frequencies; rendered lines "
        "(true or false): the rarer a syllable, the more of it",
    )
    regions: str | dict[str, float] | None = Field(
        default=None, description="folder of Parquet files with pages and their regions, or several: {FOLDER: share}"
    )
    rendered_regions: bool = Field(default=False, description="render each page with its regions when it is needed")
    meters: str | dict[str, float] | None = Field(
        default=None,
        description="folder of Parquet files with meters, `rendered_photos` or `rendered_strips`, or several: "
        "{FOLDER: share}",
    )
    meter_kind: Literal["photo", "strip"] | None = Field(default=None, description="of `meters`: these alone")
    bucket: int = Field(
        default=64, ge=1, description="so many training lines of `lines` in a row are about equally long: a batch"
    )

    @model_validator(mode="after")
    def _one_kind(self):
        kinds = (self.shards is not None, self.rendered, self.lines is not None, self.rendered_lines)
        kinds += (self.regions is not None, self.rendered_regions, self.meters is not None)
        if sum(kinds) != 1:
            raise ValueError(
                "give one of `shards: FOLDER`, `rendered: true`; or for lines: `lines: FOLDER`, `rendered_lines: true`"
                "; or for pages with regions: `regions: FOLDER`, `rendered_regions: true`; or `meters: FOLDER`"
            )
        if self.skews and not self.shards:
            raise ValueError("`skews` belongs to `shards`")
        if self.texts and not self.rendered_lines:
            raise ValueError("`texts` belongs to `rendered_lines`")
        if self.balance and not (self.rendered_lines or self.lines is not None):
            raise ValueError("`balance` belongs to `lines` and `rendered_lines`")
        if self.rendered_lines and self.balance not in (0, 1):
            raise ValueError("`balance` of `rendered_lines` is true or false")
        if self.meter_kind and self.meters is None:
            raise ValueError("`meter_kind` belongs to `meters`")
        for name, shares in (("lines", self.lines), ("regions", self.regions), ("meters", self.meters)):
            if isinstance(shares, dict) and (not shares or min(shares.values()) <= 0):
                raise ValueError(f"the shares of `{name}` must be above 0")
        return self


class DataSettings(Settings):
    """Where pages or lines come from and how many processes make samples of them."""

    train: PagesSettings | None = None
    validation: PagesSettings | None = None
    processes: int = Field(default=2, ge=0, description="without Ray: sample-making processes (0: none, in the worker)")


Source = PageSource | LineSource | RegionSource | MeterSource
OpenPages = Callable[[PagesSettings, Split, int], Source]


class ScalingSettings(Settings):
    """How a run is spread by Ray Train. CPUs are logical; several workers and tasks may share one."""

    workers: int = Field(default=1, ge=1)
    use_gpu: bool = False
    cpus_per_worker: float = Field(default=1.0, gt=0, description="CPUs of a train worker (the loop itself)")
    data_tasks: int = Field(
        default=2, ge=0, description="tasks that make samples for a train worker at once (0: it makes its own)"
    )
    cpus_per_data_task: float = Field(default=0.25, gt=0)
    max_failures: int = Field(default=3, ge=0, description="how often a crashed run goes on from its last checkpoint")
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

    def build_task(self, open_source: OpenPages | None = None) -> Task:
        """The task with its page sources opened, by `open_source` in the place of `open_pages`."""
        task = task_class(self.task)
        open_source = open_source or open_pages
        pages = {
            split: open_source(source, split, self.train.seed)
            for split, source in (("train", self.data.train), ("validation", self.data.validation))
            if source is not None
        }
        return task(task.Settings(**self.settings), pages, self.train.seed)

    def changed(self, values: Mapping[str, Any], source: str) -> "Config":
        """A copy with dotted settings (`train.lr`) changed, checked like a file; errors begin with `source`.

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
    """Check a config's content, the task's settings included; errors begin with `source`. Raises ConfigError."""
    config = validate(Config, content, source)
    validate(task_class(config.task).Settings, config.settings, source, "settings.")
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


def open_pages(source: PagesSettings, split: Split, seed: int) -> Source:
    """The source of pages or lines that the settings describe; those for training come in a new order each pass."""
    shuffle_seed = seed if split == "train" else None
    if source.rendered:
        return RenderedPages(split, seed)
    if source.rendered_lines:
        return DrawnLines(split, seed, texts=source.texts, balance=bool(source.balance))
    if source.lines is not None:
        return ShardLines(source.lines, shuffle_seed=shuffle_seed, bucket=source.bucket, balance=source.balance)
    if source.rendered_regions:
        return RenderedRegions(split, seed)
    if isinstance(source.regions, dict):
        parts = [(ShardRegions(at, shuffle_seed=shuffle_seed), share) for at, share in source.regions.items()]
        return MixedRegions(parts, seed)
    if source.regions is not None:
        return ShardRegions(source.regions, shuffle_seed=shuffle_seed)
    if source.meters is not None:
        return open_meters(source.meters, split, seed, kind=source.meter_kind)
    return ShardPages(source.shards, skews=source.skews, shuffle_seed=shuffle_seed)
