"""YAML configurations: finding, reading, changing and checking them, with messages that name the key and the remedy."""

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import ExpectedError

_LONGEST_VALUE = 80  # characters of a bad value that a message shows; a whole mapping would hide the message


class ConfigError(ExpectedError):
    """A configuration that cannot be used; the message names the key and the remedy."""


class Settings(BaseModel):
    """Base of all settings: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


def find_yaml(reference: str | Path, folder: Path, kind: str) -> Path:
    """Return the YAML file that `reference` names.

    Args:
        reference: a YAML file, or the name of one in `folder`, without its suffix.
        folder: where named ones are.
        kind: what the file holds, for the message.

    Raises:
        ConfigError: no such file; the message lists the names.
    """
    path = Path(reference)
    named = folder / f"{reference}.yaml"
    if path.suffix not in (".yaml", ".yml") and named.is_file():
        return named
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        raise ConfigError(f"no {kind} {reference}; give a YAML file or one of: {known}")
    return path


def read_yaml(path: str | Path, expected: str = "it must hold a mapping of settings") -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Args:
        path: of the file.
        expected: what it should hold, for the message.

    Raises:
        ConfigError: it cannot be read, is not YAML, or holds something else.
    """
    try:
        content = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: {expected}")
    return content


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """Return key and value of an override, `train.lr=1e-3`; the value is YAML. Raises ConfigError."""
    key, separator, value = assignment.partition("=")
    if not separator:
        raise ConfigError(f"--set {assignment}: write it as KEY=VALUE, for example train.lr=1e-3")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: the value cannot be read as YAML: {error}") from error


def assign(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested mappings; missing ones are made. Raises ConfigError: a part of the key is a value."""
    *parents, last = key.split(".")
    for parent in parents:
        if content.get(parent) is None:
            content[parent] = {}
        content = content[parent]
        if not isinstance(content, dict):
            raise ConfigError(f"{key}: {parent} is a value, not a group of keys")
    content[last] = value


_Model = TypeVar("_Model", bound=BaseModel)


def validate(model: type[_Model], content: Any, source: str, prefix: str = "") -> _Model:
    """Check the content of a configuration.

    Args:
        model: what it should be.
        content: as YAML gives it.
        source: where it is from; messages begin with it.
        prefix: of its keys in messages: `settings.` where it lies under that key.

    Raises:
        ConfigError: with every problem, see `explain`.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{source}: {explain(error, model, prefix)}") from error


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Return every problem of a validation in one line.

    An unknown key comes with the nearest valid one and all that are valid there, a bad value with what it is.
    """
    return "; ".join(_problem(problem, model, prefix) for problem in error.errors())


def unknown_setting(key: str, valid: Iterable[str]) -> str:
    """Return the message for an unknown (dotted) key, with the nearest of the `valid` names and all of them."""
    names = sorted(valid)
    return f"unknown setting {key}{nearest(key.rpartition('.')[2], names)}; valid here: {', '.join(names)}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ` (did you mean NAME?)` with the most similar valid name; empty when none is similar."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]}?)" if matches else ""


def _problem(problem: Any, model: type[BaseModel], prefix: str) -> str:
    kind, context, value = problem["type"], problem.get("ctx", {}), problem["input"]
    unknown = kind == "extra_forbidden"
    location = problem["loc"][:-1] if unknown else problem["loc"]
    places, names = _follow(model, location)
    if unknown:
        names.append(str(problem["loc"][-1]))
    key = (prefix + ".".join(names)).rstrip(".")
    if unknown:
        fields = {name for place in places if _is_model(place) for name in place.model_fields}
        return unknown_setting(key, fields)
    if kind == "missing":
        return f"{key} is missing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        # `discriminator` is the quoted name of the field that says which branch is meant.
        key = f"{key}.{context['discriminator'].strip(chr(39))}".lstrip(".")
        tags = sorted({tag for place in places for tag in _tags(place)})
        if kind == "union_tag_not_found":
            return f"{key} is missing; valid here: {', '.join(tags)}"
        return f"{key} is {context['tag']!r}{nearest(context['tag'], tags)}; valid here: {', '.join(tags)}"
    message = problem["msg"].removeprefix("Value error, ")
    shown = repr(value)
    given = f" (it is {shown})" if len(shown) <= _LONGEST_VALUE else ""
    return f"{key}: {message}{given}" if key else f"{message}{given}"


def _follow(model: type[BaseModel], location: Sequence[str | int]) -> tuple[list[Any], list[str]]:
    """Return the types at pydantic's `location` in a model, and the keys that lead there as the user wrote them.

    In a union pydantic puts a label of the branch it tried into the location; the user wrote no such key.
    """
    places: list[Any] = [model]
    names: list[str] = []
    for part in location:
        if len(places) > 1 and (labelled := [place for place in places if _has_label(place, str(part))]):
            places = labelled
            continue
        places = [branch for place in places for below in _below(place, str(part)) for branch in _branches(below)]
        names.append(str(part))
    return places, names


def _branches(annotation: Any) -> Iterator[Any]:
    """Yield the types that a value may be of, None left out."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _branches(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for branch in typing.get_args(annotation):
            yield from _branches(branch)
    elif annotation is not type(None):
        yield annotation


def _below(place: Any, name: str) -> Iterator[Any]:
    """Yield the type of what `name` is the key or the index of, in a value of type `place`."""
    if _is_model(place):
        if name in place.model_fields:
            yield place.model_fields[name].annotation
        return
    origin, arguments = typing.get_origin(place), typing.get_args(place)
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
        yield arguments[1]
    elif isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset) and arguments:
        yield arguments[0]


def _has_label(place: Any, label: str) -> bool:
    """Return whether pydantic uses this label for a branch of a union: its tag, its class, `dict[…]`,
    `function-after[…, Class]`."""
    origin = typing.get_origin(place)
    name = getattr(origin or place, "__name__", "")
    validated = label.startswith("function-") and f" {name}]" in label
    return label in _tags(place) or label == name or label.startswith(f"{name}[") or validated


def _tags(place: Any) -> set[str]:
    """Return the values that mark this model in a union: those of its fields that are a Literal."""
    if not _is_model(place):
        return set()
    annotations = [field.annotation for field in place.model_fields.values()]
    literals = [typing.get_args(each) for each in annotations if typing.get_origin(each) is Literal]
    return {str(value) for values in literals for value in values}


def _is_model(place: Any) -> bool:
    return isinstance(place, type) and issubclass(place, BaseModel)
