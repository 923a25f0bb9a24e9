"""Sweeps: one YAML, checked completely before anything starts.

    config: ../train/deskew.yaml          # the training config, beside this file
    set: {train.validation_samples: 256}  # changes of it; of scaling and logging for the trials only
    space: {train.lr: {loguniform: [1.0e-4, 1.0e-2]}, settings.width: {int: [8, 32], step: 4}}
    search: tpe                           # random, grid, tpe
    scheduler: {kind: asha, grace: 0.1}   # none, asha, pbt
    budget: {epochs: 5}                   # of one full trial
    trials: 20

`tuners/settings.py` lists all keys; `tuners/space.py` says what can be tried for a setting.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from common.config import ConfigError, assign, explain, find_yaml, nearest, parse_assignment, read_yaml
from common.project import config_folder
from trainers.core.config import Config, parse_config, task_class
from trainers.data.image_shards import SourceError
from trainers.data.splits import SPLITS
from tuners.settings import Budget, SweepSettings, scheduler_of_word
from tuners.space import Space

NEVER = 1e9  # minutes
_TRAINING_KEYS = ("settings", "train", "data", "scaling", "logging", "card")
_NOT_SEARCHED = {
    "train.total_steps": "the budget decides it: write budget.epochs or budget.samples",
    "train.validate_every": "the budget decides it: write budget.validations",
    "train.validation_samples": "all trials are measured on the same samples: write it under `set`",
    "train.log_every": "it changes no result",
    "train.checkpoint_every": "it changes no result",
    "train.checkpoint_minutes": "it changes no result",
}


@dataclass(frozen=True)
class Plan:
    """A checked sweep.

    Attributes:
        settings: complete: `training`'s content in place of its path, what is left of `set`; metric, mode and budget
            (samples and validations) as decided.
        training: the training config, `set` applied, but for what says only where and how fast trials train
            (`scaling`, `logging`, `data.processes`).
        base: `training` with these too: the trials' config.
        space: what is searched.
        samples: training samples of a full trial.
        validations: of a full trial; fewer where its steps do not divide.
    """

    settings: SweepSettings
    training: Config
    base: Config
    space: Space
    metric: str
    mode: Literal["max", "min"]
    samples: int
    validations: int

    @property
    def host(self) -> Literal["actor", "trainer"]:
        """Where trials train, `auto` decided."""
        if self.settings.host == "auto":
            return "actor" if self.base.scaling.workers == 1 else "trainer"
        return self.settings.host

    @property
    def population(self) -> bool:
        """Whether trials copy one another while they train (PBT)."""
        return self.settings.scheduler.kind == "pbt"

    def present_values(self) -> dict[str, Any]:
        """Return the training config's own values by dotted setting, the task's defaults included."""
        settings = task_class(self.training.task).Settings(**self.training.settings)
        groups = {"settings": settings.model_dump(mode="json"), "train": self.training.train.model_dump()}
        return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}

    def trial_config(self, values: Mapping[str, Any]) -> Config:
        """Return the training config of a full trial with these values.

        The trial sees `samples` samples whatever its batch, warms up over the same share of its steps as the base
        (unless warmup_steps is searched), validates and saves `validations` times or a few less, always at its end.

        Raises:
            ConfigError: the values do not fit the training config.
        """
        config = self.base.changed(values, "space")
        if config.train.global_batch % config.scaling.workers:
            raise ConfigError(
                f"space: train.global_batch {config.train.global_batch} does not divide among "
                f"{config.scaling.workers} workers"
            )
        steps = math.ceil(self.samples / config.train.global_batch)
        every = math.ceil(steps / self.validations)  # rounded up, so that no validation falls short of its rung
        budget = _lengths(self.base, steps, values)
        budget |= {f"train.{name}": every for name in ("validate_every", "checkpoint_every", "log_every")}
        budget["train.checkpoint_minutes"] = NEVER
        return config.changed(budget | {"logging.tensorboard": False, "logging.mlflow": False}, "budget")

    def tuned_config(self, values: Mapping[str, Any]) -> Config:
        """Return the training with these values, ready to run in full: with another batch size it sees as many
        samples."""
        config = self.training.changed(values, "space")
        before, now = self.training.train, config.train
        if now.global_batch == before.global_batch:
            return config
        steps = math.ceil(before.total_steps * before.global_batch / now.global_batch)
        return config.changed(_lengths(self.training, steps, values), "tuned config")

    def to_yaml(self) -> str:
        """Return the whole sweep, the training config included; see `from_yaml`."""
        return yaml.safe_dump(self.settings.model_dump(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> "Plan":
        """Return the plan written by `to_yaml`; the training data need not exist. Raises ConfigError."""
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"this sweep cannot be read as YAML: {error}") from error
        return _plan(content, Path())

    def differences(self, other: "Plan") -> list[str]:
        """Keys in which two sweeps differ so that their trials could not be compared; not trials, hours, patience,
        max_concurrent, nor where and how fast they train and what is logged."""
        mine, others = self._decisive(), other._decisive()
        return sorted(key for key in mine.keys() | others.keys() if mine.get(key) != others.get(key))

    def _decisive(self) -> dict[str, Any]:
        settings = task_class(self.base.task).Settings(**self.base.settings)
        sources = {split: self.base.source(split) for split in SPLITS}
        groups = {
            "config.settings": settings.model_dump(),
            "config.train": self.base.train.fixed(),
            "config.data": {split: source and source.model_dump() for split, source in sources.items()},
            "space": {name: parameter.model_dump() for name, parameter in self.space.parameters.items()},
            "scheduler": self.settings.scheduler.model_dump(),
            "budget": self.settings.budget.model_dump(),
        }
        keys = {f"{group}.{key}": value for group, values in groups.items() for key, value in values.items()}
        keys |= {name: getattr(self.settings, name) for name in ("metric", "mode", "search", "seed")}
        return keys | {"config.task": self.base.task, "host": self.host}


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """Read and check a sweep.

    Args:
        path: YAML file, or the name of one that comes with ocray (`deskew_lr`).
        overrides: assignments to the sweep (`trials=8`, `scheduler.kind=asha`, `space.train.lr={loguniform: [1e-4,
            1e-2]}`; `space.KEY=null` takes a setting out) or to its training config (`train.lr=1e-3`, `data.…`,
            `scaling.…`); values are YAML.

    Raises:
        ConfigError: anything that could be known to fail; the message begins with the path and names the key.
    """
    path = find_yaml(path, config_folder("tune"), "sweep")
    content = read_yaml(path, "a sweep is a mapping (config, space, search, scheduler, budget, trials, …)")
    try:
        for assignment in overrides:
            _override(content, *parse_assignment(assignment))
        return _plan(content, Path(path).parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _override(content: dict, key: str, value: Any) -> None:
    group, _, rest = key.partition(".")
    if group in _TRAINING_KEYS:
        group, rest = "set", key
    if group in ("set", "space") and rest:  # their keys hold dots themselves
        entries = content[group] = dict(content.get(group) or {})
        entries[rest] = value
        if group == "space" and value is None:
            del entries[rest]
        return
    if group == "scheduler":
        content[group] = scheduler_of_word(content.get(group))
    if key == "config" and isinstance(value, str):
        value = str(Path(value).resolve())
    assign(content, key, value)


def _plan(content: Any, folder: Path) -> Plan:
    if isinstance(content, dict):  # `hours: null` and `hours:` mean the default
        content = {key: value for key, value in content.items() if value is not None}
    try:
        settings = SweepSettings.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, SweepSettings)) from error
    training, base = _training(settings, folder)
    space = Space(settings.space)
    task = task_class(base.task)
    metric = settings.metric or task.best_metric
    mode = settings.mode or (task.best_mode if metric == task.best_metric else None)
    if mode is None:
        raise ConfigError(f"mode is missing: is the most (max) or the least (min) {metric} the best?")
    samples = _samples(settings.budget, base)
    epochs = settings.budget.epochs or 0
    validations = settings.budget.validations or (int(epochs) if epochs >= 2 and epochs % 1 == 0 else 10)
    decided = {
        "config": training.model_dump(exclude_none=True),
        "set": {key: value for key, value in settings.set.items() if _is_hosting(key)},
        "metric": metric,
        "mode": mode,
        "budget": Budget(samples=samples, validations=validations),
    }
    plan = Plan(settings.model_copy(update=decided), training, base, space, metric, mode, samples, validations)
    _check_keys(plan, settings.set)
    _check_search(plan)
    _check_values(plan)
    if plan.population:
        _check_population(plan)
    return plan


def _training(settings: SweepSettings, folder: Path) -> tuple[Config, Config]:
    content, source = settings.config, "config"
    if isinstance(content, str):
        source = str(folder / content)
        content = read_yaml(source, "a training config is a mapping (task, settings, train, data, …)")
    if settings.set:
        source = f"{source} with `set`"
    for key, value in settings.set.items():
        if not _is_hosting(key):
            assign(content, key, value)
    training = parse_config(content, source)
    return training, training.changed({key: value for key, value in settings.set.items() if _is_hosting(key)}, source)


def _is_hosting(key: str) -> bool:
    """Return whether a setting only affects where and how fast to train: it may differ between trials and the tuned
    run."""
    return key.startswith(("scaling.", "logging.")) or key == "data.processes"


def _samples(budget: Budget, base: Config) -> int:
    if budget.samples is not None:
        return budget.samples
    if budget.epochs is None:
        return base.train.total_steps * base.train.global_batch
    source = base.source("train")
    try:
        samples = source and source.count()
    except (SourceError, OSError) as error:
        raise ConfigError(f"budget.epochs: {error}") from error
    if samples is None:
        raise ConfigError("budget.epochs needs a source of shards to count (data.train); use budget.samples")
    return max(1, round(budget.epochs * samples))


def _lengths(base: Config, steps: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """total_steps, and the warm-up in the base's proportion to it unless it is among the values."""
    lengths: dict[str, Any] = {"train.total_steps": steps}
    if "train.warmup_steps" not in values:
        lengths["train.warmup_steps"] = round(steps * base.train.warmup_steps / base.train.total_steps)
    return lengths


def _check_keys(plan: Plan, changed: Iterable[str]) -> None:
    for name in plan.space.parameters:
        group, _, rest = name.partition(".")
        if group not in ("train", "settings") or not rest:
            hint = nearest(group, ("train", "settings"))
            raise ConfigError(f"space.{name}: only settings.* and train.* can be searched{hint}")
        if name in _NOT_SEARCHED:
            raise ConfigError(f"space.{name} cannot be searched: {_NOT_SEARCHED[name]}")
        if name in changed:
            raise ConfigError(f"{name} is both searched and set; --set space.{name}=null takes it out of the space")


def _check_search(plan: Plan) -> None:
    settings, workers = plan.settings, plan.base.scaling.workers
    if settings.host == "actor" and workers > 1:
        raise ConfigError(f"host: actor trains with one worker, and scaling.workers is {workers}; write host: trainer")
    if settings.search == "grid":
        plan.space.grid()
        return
    for name, parameter in plan.space.parameters.items():
        if parameter.grid is not None:
            raise ConfigError(f"space.{name}: grid needs search: grid; write choice for search: {settings.search}")
    if settings.trials is None and settings.hours is None:
        raise ConfigError(f"search: {settings.search} has no end; give trials or hours")


def _check_values(plan: Plan) -> None:
    grid = plan.settings.search == "grid"
    points = plan.space.grid() if grid else plan.space.corners() + plan.space.drawn_corners(50)
    problems: dict[str, None] = {}
    for point in points:
        try:
            plan.trial_config(point)
        except ConfigError as error:
            problems[str(error)] = None
    if problems:
        raise ConfigError("; ".join(list(problems)[:3]))


def _check_population(plan: Plan) -> None:
    settings = plan.settings
    if settings.search != "random":
        raise ConfigError(f"search: {settings.search} does not go with scheduler pbt, which chooses values itself")
    if plan.host == "trainer":
        raise ConfigError("scheduler pbt needs host: actor and scaling.workers: 1, where a trial can be copied")
    if plan.base.scaling.data_tasks:
        raise ConfigError(
            "scheduler pbt needs scaling.data_tasks: 0 (write it under `set`): its members take all CPUs, and "
            "tasks that make their samples would find none"
        )
    if settings.max_concurrent is not None:
        raise ConfigError(
            "max_concurrent does not go with scheduler pbt: all members take turns on what Ray has; leave it out"
        )
    if settings.trials is None or settings.trials < 2:
        raise ConfigError("scheduler pbt needs trials, the size of its population: 2 or more")
    plan.space.tune_domains()
    usual = _shapes(plan.base)
    for name, parameter in plan.space.parameters.items():
        if name in ("train.global_batch", "train.initial_weights"):
            raise ConfigError(f"space.{name}: scheduler pbt changes settings during training, and this one cannot be")
        for value in parameter.choices or parameter.ends:
            if name.startswith("settings.") and _shapes(plan.base.changed({name: value}, "space")) != usual:
                raise ConfigError(
                    f"space.{name} changes the network, and scheduler pbt copies weights from trial to trial; "
                    "search it with another scheduler"
                )


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    task = task_class(config.task)
    network = task(task.Settings(**config.settings), {}, config.train.seed).network()
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
