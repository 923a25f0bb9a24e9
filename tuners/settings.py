"""What the YAML of a sweep may say, key by key; `tuners/plan.py` checks that it fits together."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from common.config import Settings
from tuners.space import Parameter


class Scheduler(Settings):
    """Which trials end early, and on what grounds. Shares are of a full trial's samples, 0..1."""

    kind: Literal["none", "asha", "pbt"] = "none"
    grace: float = Field(default=0.1, gt=0, le=1, description="asha: share that every trial trains")
    reduction: float = Field(default=3, gt=1, description="asha: one of this many trials continues at each rung")
    interval: float = Field(default=0.1, gt=0, lt=1, description="pbt: share between two comparisons")
    quantile: float = Field(default=0.25, gt=0, le=0.5, description="pbt: share of the population that copies the best")
    resample: float = Field(default=0.25, ge=0, le=1, description="pbt: how often a value is drawn anew, not changed")

    @model_validator(mode="after")
    def _own_keys(self):
        if foreign := sorted(self.model_fields_set - self._keys()):
            raise ValueError(f"{', '.join(foreign)} does not belong to kind {self.kind}")
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, serialize) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name in self._keys()}

    def _keys(self) -> set[str]:
        own = {"none": set(), "asha": {"grace", "reduction"}, "pbt": {"interval", "quantile", "resample"}}
        return {"kind"} | own[self.kind]


class Budget(Settings):
    """How long a full trial trains; without epochs and samples as long as the training config says."""

    epochs: float | None = Field(default=None, gt=0, description="passes over the training pages, which are shards")
    samples: int | None = Field(default=None, ge=1, description="training samples")
    validations: int | None = Field(
        default=None, ge=1, description="per full trial; default: one an epoch for 2 or more whole epochs, else 10"
    )

    @model_validator(mode="after")
    def _one_length(self):
        if self.epochs is not None and self.samples is not None:
            raise ValueError("give epochs or samples, not both (--set budget.epochs=null takes one out)")
        return self


def scheduler_of_word(value: Any) -> Any:
    """`asha` is short for `{kind: asha}`."""
    return {"kind": value} if isinstance(value, str) else value


class SweepSettings(Settings):
    """A sweep as its YAML says it."""

    config: str | dict[str, Any] = Field(description="training config: path from this file's folder, or its content")
    set: dict[str, Any] = Field(default_factory=dict, description="dotted setting → value in the training config")
    space: dict[str, Parameter] = Field(default_factory=dict, description="dotted setting → what is tried")
    metric: str | None = Field(default=None, description="validation metric; default: the task's best_metric")
    mode: Literal["max", "min"] | None = Field(default=None, description="needed with another metric than the task's")
    search: Literal["random", "grid", "tpe"] = "random"
    scheduler: Annotated[Scheduler, BeforeValidator(scheduler_of_word)] = Scheduler()
    budget: Budget = Budget()
    trials: int | None = Field(default=None, ge=1, description="how many; default with search: grid: all points")
    hours: float | None = Field(default=None, gt=0, description="of the whole sweep")
    patience: int | None = Field(
        default=None, ge=1, description="stop after this many ended trials without a better one"
    )
    max_concurrent: int | None = Field(
        default=None, ge=1, description="trials at once; default: what the cluster holds"
    )
    host: Literal["auto", "actor", "trainer"] = Field(
        default="auto",
        description="where a trial trains: in an actor, which the next trial takes over, or in the workers of its own "
        "TorchTrainer; auto: actor when scaling.workers is 1",
    )
    seed: int = Field(default=0, ge=0, description="of the searcher; the trials train with train.seed")
