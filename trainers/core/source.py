"""Settings of data sources: `data.train` and `data.validation` of a training config.

Each kind of source is a class in the folder of the model that uses it, with its own fields, bounds and `open()`. A
task lists the kinds that it accepts (`Task.source_kinds`); `kind` in the config chooses one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from common.config import Settings
from trainers.data.splits import Split


class SourceSettings(Settings, ABC):
    """Base of the settings of one kind of source. Subclasses narrow `kind` to a literal, which is its default."""

    kind: Any

    @abstractmethod
    def open(self, split: Split, seed: int) -> Any:
        """Open the source that a task reads its samples from.

        It gives a sample for any index ≥ 0, and always the same sample for the same index.

        Args:
            split: training samples come in a new order each pass, validation samples in the files' order.
            seed: of that order, and of what is rendered.

        Raises:
            SourceError: the data is missing or has another layout.
        """

    def count(self) -> int | None:
        """Count the samples in the files; None where there are no files. Raises SourceError."""
        return None

    def describe(self) -> str:
        """Return a description of the source: its kind, and each setting that differs from the default."""
        options = ", ".join(f"{key} {value}" for key, value in self.model_dump(exclude_defaults=True).items())
        return f"{self.kind} {options}".strip()


def shuffle_seed(split: Split, seed: int) -> int | None:
    """Return the seed of the order of samples; None for the files' order."""
    return seed if split == "train" else None


def shares_of(at: str | Mapping[str, float]) -> dict[str, float]:
    """Each location with its share; a single location has share 1."""
    return {at: 1.0} if isinstance(at, str) else dict(at)


def _above_zero(at: str | dict[str, float]) -> str | dict[str, float]:
    if isinstance(at, dict) and (not at or min(at.values()) <= 0):
        raise ValueError("the shares must be above 0")
    return at


Locations = Annotated[str | dict[str, float], AfterValidator(_above_zero)]
"""A folder of Parquet files, or one file, as a path or URI; or several, {LOCATION: share of the training samples}."""
