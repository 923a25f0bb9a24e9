"""Search spaces: what is tried for each searched setting, also in the words of Optuna and Ray Tune.

    train.lr: {loguniform: [1.0e-4, 1.0e-2]}
    settings.architecture: {choice: [glyphnet, mobilevit_xxs]}
    settings.width: {int: [8, 32], step: 4, when: {settings.architecture: glyphnet}}

Values may be lists ([least, most] pairs), which Optuna cannot hold: choices go to it as JSON text.
"""

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import AfterValidator, Field, FiniteFloat, model_serializer, model_validator

from common.config import ConfigError, Settings, nearest

MOST_POINTS = 10_000  # of a grid; more is a slip of the pen
_KINDS = ("grid", "choice", "uniform", "loguniform", "int")
_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")  # YAML 1.1 takes 1e-3, without a point, for text


def _checked(values: list[Any]) -> list[Any]:
    if not values:
        raise ValueError("nothing to try")
    values = [float(v) if isinstance(v, str) and _EXPONENT.fullmatch(v) else v for v in values]
    keys = []
    for value in values:
        parts = value if isinstance(value, list) else [value]
        if not all(part is None or isinstance(part, bool | int | float | str) for part in parts):
            raise ValueError(f"{value!r} is not a number, text, true or false, null or list of these")
        if _key(value) in keys:
            raise ValueError(f"{value!r} occurs twice")
        keys.append(_key(value))
    return values


Values = Annotated[list[Any], AfterValidator(_checked)]
Floats = tuple[FiniteFloat, FiniteFloat]
Integers = tuple[int, int]  # named here, because within Parameter `int` is a field


class Parameter(Settings):
    """What is tried for one setting: exactly one of grid, choice, uniform, loguniform and int."""

    grid: Values | None = Field(default=None, description="every one of these values; with search: grid only")
    choice: Values | None = Field(default=None, description="one of these values")
    uniform: Floats | None = Field(default=None, description="[low, high]: a number between, ends included")
    loguniform: Floats | None = Field(default=None, description="[low, high] above 0: its logarithm is uniform")
    int: Integers | None = Field(default=None, description="[low, high]: a whole number between, ends included")
    step: FiniteFloat | None = Field(default=None, gt=0, description="of uniform and int; divides high - low")
    log: bool = Field(default=False, description="of int without step: its logarithm is uniform")
    when: dict[str, Any] = Field(
        default_factory=dict,
        description="tried only where all these searched settings, written before it, have this value or one of a list",
    )

    @model_validator(mode="after")
    def _fits_together(self):
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_KINDS)}")
        kind = given[0]
        if self.step is not None and kind not in ("uniform", "int"):
            raise ValueError("step belongs to uniform and int")
        if self.log and (kind != "int" or self.step is not None):
            raise ValueError("log belongs to int without step; for other numbers write loguniform")
        if kind in ("grid", "choice"):
            return self
        low, high = self.ends
        if low >= high:
            raise ValueError(f"low {low:g} is not below high {high:g}")
        if low <= 0 and (kind == "loguniform" or self.log):
            raise ValueError(f"low {low:g} has no logarithm; it must be above 0")
        if self.step is not None:
            steps = (high - low) / self.step
            if abs(steps - round(steps)) > 1e-6 or (kind == "int" and self.step % 1):
                raise ValueError(f"{low:g} to {high:g} is not a whole number of steps of {self.step:g}")
            if steps > MOST_POINTS:
                raise ValueError(f"more than {MOST_POINTS:,} steps; leave step out")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, serialize) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}

    @property
    def kind(self) -> str:
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @property
    def choices(self) -> list[Any] | None:
        """The values of grid or choice; None for numbers in a range."""
        return self.choice if self.grid is None else self.grid

    @property
    def ends(self) -> tuple[float, float]:
        """(low, high) of a number in a range."""
        ends = self.uniform or self.loguniform or self.int
        if ends is None:
            raise TypeError(f"{self.kind} has no range")
        return ends

    def values(self) -> Sequence[Any] | None:
        """All values, ascending or as written; None when they are not finite."""
        if self.choices is not None:
            return self.choices
        if self.int is not None:
            return range(self.int[0], self.int[1] + 1, int(self.step or 1))
        low, high = self.ends
        if self.step is None:
            return None
        steps = round((high - low) / self.step)
        return [round(low + index * (high - low) / steps, 12) for index in range(steps + 1)]

    def distribution(self) -> BaseDistribution:
        """Return the parameter's distribution for Optuna."""
        if self.choices is not None:
            return CategoricalDistribution([json.dumps(value) for value in self.choices])
        if self.int is not None:
            return IntDistribution(*self.int, log=self.log, step=int(self.step or 1))
        low, high = self.ends
        return FloatDistribution(low, high, log=self.kind == "loguniform", step=self.step)

    def holds(self, value: Any) -> bool:
        """Return whether the value is allowed."""
        if (values := self.values()) is not None:
            return _key(value) in map(_key, values)
        low, high = self.ends
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    def encode(self, value: Any) -> Any:
        """Return a value in Optuna's form. Raises ValueError if it is not one of the choices."""
        if self.choices is None:
            return int(value) if self.kind == "int" else float(value)
        for choice in self.choices:
            if _key(choice) == _key(value):
                return json.dumps(choice)
        raise ValueError(f"{value!r} is none of {self.choices}")

    def decode(self, encoded: Any) -> Any:
        """Return the value of Optuna's form."""
        return encoded if self.choices is None else json.loads(encoded)

    def clip(self, value: Any) -> Any:
        """Return the nearest number within the range (and step); choices unchanged."""
        if self.choices is not None:
            return value
        low, high = self.ends
        value = min(max(value, low), high)
        if (values := self.values()) is not None:
            return values[round((value - low) / (high - low) * (len(values) - 1))]
        return value

    def domain(self) -> Any:
        """Return a Domain of Ray Tune for a range, and a list for finite values: Ray's PBT steps through lists but
        multiplies samples of a Domain, even texts and pairs."""
        from ray import tune

        if (self.choices is not None or self.step is not None) and (values := self.values()) is not None:
            return list(values)
        if self.int is not None:
            return (tune.lograndint if self.log else tune.randint)(self.int[0], self.int[1] + 1)
        low, high = self.ends
        return (tune.uniform if self.kind == "uniform" else tune.loguniform)(low, high)


class Space:
    """What is searched: dotted settings in the order of the file, in which conditions look back.

    Args:
        parameters: dotted setting → what is tried.

    Raises:
        ConfigError: nothing is searched, or a condition names what is not searched before it, a value that is not
            tried, or contradicts another.
    """

    def __init__(self, parameters: Mapping[str, Parameter]):
        if not parameters:
            raise ConfigError("space: nothing is searched; name at least one setting")
        self.parameters = dict(parameters)
        self._conditions: dict[str, dict[str, list[str]]] = {}  # name → searched setting → keys of allowed values
        for name, parameter in self.parameters.items():
            self._conditions[name] = {
                other: self._wanted(name, other, value) for other, value in parameter.when.items()
            }
            self._needed(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and list(self.parameters.items()) == list(other.parameters.items())

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # how Python spells an unhashable class

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Values of a new trial, by dotted setting; a conditional setting that does not apply is absent."""
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if not self._applies(name, values):
                continue
            held = parameter.distribution()
            if isinstance(held, CategoricalDistribution):
                suggested = trial.suggest_categorical(name, held.choices)
            elif isinstance(held, IntDistribution):
                suggested = trial.suggest_int(name, held.low, held.high, step=held.step, log=held.log)
            elif isinstance(held, FloatDistribution):
                suggested = trial.suggest_float(name, held.low, held.high, step=held.step, log=held.log)
            else:
                raise TypeError(f"{name}: {held}")
            values[name] = parameter.decode(suggested)
        return values

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as Optuna holds them, for `enqueue_trial` and `create_trial`."""
        return {name: self.parameters[name].encode(value) for name, value in values.items()}

    def distributions(self, values: Iterable[str]) -> dict[str, BaseDistribution]:
        """Optuna's distributions of these settings."""
        return {name: self.parameters[name].distribution() for name in values}

    def point_of(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the point of dotted settings of a training config; None if the space does not contain it."""
        point: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if self._applies(name, point):
                value = config.get(name)
                if not parameter.holds(value):
                    return None
                point[name] = parameter.decode(parameter.encode(value))
        return point

    def grid(self) -> list[dict[str, Any]]:
        """All points; the last setting changes fastest.

        Raises:
            ConfigError: a setting has no finite list of values, or there are more than MOST_POINTS points.
        """
        points: list[dict[str, Any]] = [{}]
        for name, parameter in self.parameters.items():
            values = parameter.values()
            if values is None:
                raise ConfigError(f"space.{name}: {parameter.kind} has no end of values; for a grid write grid: [...]")
            here = sum(self._applies(name, point) for point in points)
            if len(points) + here * (len(values) - 1) > MOST_POINTS:
                raise ConfigError(f"space: the grid has more than {MOST_POINTS:,} points")
            points = [
                point | added
                for point in points
                for added in ([{name: value} for value in values] if self._applies(name, point) else [{}])
            ]
        return points

    def corners(self) -> list[dict[str, Any]]:
        """Return a few points that together include every choice and both ends of every range."""
        unseen = {name: list(parameter.choices or parameter.ends) for name, parameter in self.parameters.items()}
        points: list[dict[str, Any]] = []
        for name in self.parameters:
            needed = self._needed(name)
            while unseen[name]:
                point: dict[str, Any] = {}
                for other, parameter in self.parameters.items():
                    if not self._applies(other, point):
                        continue
                    candidates = [*unseen[other], *(parameter.choices or parameter.values() or parameter.ends)]
                    point[other] = next(v for v in candidates if other not in needed or _key(v) in needed[other])
                    unseen[other] = [value for value in unseen[other] if _key(value) != _key(point[other])]
                points.append(point)
        return points

    def drawn_corners(self, count: int) -> list[dict[str, Any]]:
        """Random points of choices and ends of ranges, always the same: values that clash with one another."""
        rng = random.Random(0)
        points: list[dict[str, Any]] = [{} for _ in range(count)]
        for point in points:
            for name, parameter in self.parameters.items():
                if self._applies(name, point):
                    point[name] = rng.choice(parameter.choices or parameter.ends)
        return points

    def clip(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values with numbers brought back into their ranges (PBT multiplies them); other keys stay as they are."""
        return {
            name: self.parameters[name].clip(value) if name in self.parameters else value
            for name, value in values.items()
        }

    def tune_domains(self) -> dict[str, Any]:
        """Return what PBT samples from: a Domain of Ray Tune for a range, a list for finite values; see
        `Parameter.domain`.

        Raises:
            ConfigError: grid or conditional settings, which PBT cannot do.
        """
        for name, parameter in self.parameters.items():
            if parameter.grid is not None:
                raise ConfigError(f"space.{name}: PBT cannot search a grid; write choice")
            if parameter.when:
                raise ConfigError(f"space.{name}: PBT cannot search a conditional setting; take `when` out")
        return {name: parameter.domain() for name, parameter in self.parameters.items()}

    def _applies(self, name: str, values: Mapping[str, Any]) -> bool:
        return all(
            other in values and _key(values[other]) in wanted for other, wanted in self._conditions[name].items()
        )

    def _wanted(self, name: str, other: str, value: Any) -> list[str]:
        where = f"space.{name}.when"
        if other not in self.parameters:
            raise ConfigError(f"{where}: {other} is not searched{nearest(other, self._conditions)}")
        if other not in self._conditions:
            raise ConfigError(f"{where}: {other} is not written before {name}, as a condition on it needs")
        possible = self.parameters[other].values()
        if possible is None:
            raise ConfigError(
                f"{where}: {other} is {self.parameters[other].kind}, hardly ever a given value; use choice"
            )
        keys = {_key(one) for one in possible}
        wanted = [value] if not isinstance(value, list) or _key(value) in keys else value
        if not wanted:
            raise ConfigError(f"{where}: {other} has no value in the list")
        for one in wanted:
            if _key(one) not in keys:
                raise ConfigError(f"{where}: {other} is never {one!r}")
        return [_key(one) for one in wanted]

    def _needed(self, name: str) -> dict[str, list[str]]:
        """Return the allowed values of all settings on which `name` depends, directly or indirectly."""
        needed: dict[str, list[str]] = {}
        for other, wanted in self._conditions[name].items():
            for key, allowed in [(other, wanted), *self._needed(other).items()]:
                needed[key] = [one for one in needed.get(key, allowed) if one in allowed]
                if not needed[key]:
                    raise ConfigError(f"space.{name}.when: never true, because {key} would need two values at once")
        return needed


def _key(value: Any) -> str:
    """Equal for equal values: 1 and 1.0 are, 1 and true are not; lists and tuples by their items."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_key, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)
