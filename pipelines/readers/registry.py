"""Finding a reader: by the YAML of its settings, or by the card of a job that it read."""

import importlib
from pathlib import Path
from typing import Any

from common.config import ConfigError, find_yaml, read_yaml, validate
from common.project import config_folder
from pipelines import readers
from pipelines.readers.base import Reader

CONFIGS = config_folder("pipelines")
DEFAULT = "documents"  # of a YAML, and of an old job's card, that names none


def reader_names() -> tuple[str, ...]:
    """Return the readers that come with ocray: the folders of `pipelines/readers` with a `reader.py`."""
    folders = (Path(folder) for folder in readers.__path__)
    return tuple(sorted(path.parent.name for folder in folders for path in folder.glob("*/reader.py")))


def load_reader(reference: str | Path) -> Reader[Any, Any]:
    """Return the reader of a YAML: a name from `configs/pipelines/` (`documents`, `meters`) or a file. Its key `reader`
    is one of `reader_names`, or `module:Class` for a reader of another package.

    Raises:
        ConfigError: no such file, YAML that does not parse, an unknown reader or key (the nearest known one is named)
            or a value out of range.
    """
    path = find_yaml(reference, CONFIGS, "configuration")
    content = read_yaml(path)
    try:
        found = reader_class(content.get("reader", DEFAULT))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return found(validate(found.settings_type, content, str(path)))


def job_reader(card: dict[str, Any]) -> type[Reader[Any, Any]]:
    """Return the reader of a job, by what its `job.json` holds.

    Raises:
        ConfigError: it cannot be imported.
    """
    try:
        return reader_class(card.get("config", {}).get("reader", DEFAULT))
    except ConfigError as error:
        raise ConfigError(f"the job's {error}") from error


def reader_class(reference: object) -> type[Reader[Any, Any]]:
    """Return the reader that `NAME`, one of `reader_names`, or `module:Class` names.

    Raises:
        ConfigError: there is none.
    """
    if not isinstance(reference, str) or (":" not in reference and reference not in reader_names()):
        known = ", ".join(reader_names())
        raise ConfigError(f"reader is {reference!r}; known: {known}, or module:Class for one of another package")
    if ":" not in reference:
        module = importlib.import_module(f"{readers.__name__}.{reference}.reader")
        return next(
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Reader) and value.__dict__.get("name") == reference
        )
    module_name, _, class_name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"reader {reference} cannot be imported ({error}); put the folder that holds it on PYTHONPATH"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Reader)):
        raise ConfigError(f"reader {reference} is not a Reader; see pipelines.readers.base")
    return found
