"""The range that a parameter is drawn from: FloatDistribution, IntDistribution, CategoricalDistribution.

The rules are the server's own, so that a contradiction shows before anything is sent.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from tpeak.errors import InvalidDistribution, InvalidValue
from tpeak.wire import MAX_EXACT_INT

Choice: TypeAlias = bool | int | float | str | None

GRID_TOLERANCE = 1e-8
"""How far from the grid, in steps, a float still counts as on it: 0.1 has no exact double."""


@dataclass(frozen=True, slots=True)
class FloatDistribution:
    """Floats in [low, high], on a logarithmic scale if `log`, on the grid low + k * step if `step`.

    `high` is lowered to the grid. Raises InvalidDistribution, a ValueError, where the range contradicts itself.
    """

    kind: ClassVar[str] = "float"

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _set(self, low=_number(self.low, "low"), high=_number(self.high, "high"), log=bool(self.log))
        _check_range(self.low, self.high, log=self.log)
        if self.step is not None:
            self._round_to_grid(_number(self.step, "step"))

    def _round_to_grid(self, step: float) -> None:
        if self.log:
            raise InvalidDistribution("log and step cannot be combined; leave one of them out")
        if not (step > 0 and math.isfinite(step)):
            raise InvalidDistribution(f"step must be positive and finite, got {step}")
        steps = (self.high - self.low) / step
        if not steps <= MAX_EXACT_INT:
            raise InvalidDistribution("step must divide the range into at most 2^53 parts")
        top = self.low + math.floor(steps + GRID_TOLERANCE) * step
        if self.high - top > GRID_TOLERANCE * step:
            _warn_of_lowered(self.high, top, step)
        _set(self, step=step, high=min(self.high, top))

    def contains(self, value: Any) -> bool:
        """Whether the value is a number in the range and, with a step, on the grid."""
        if not _is_number(value) or not self.low <= value <= self.high:
            return False
        return self.step is None or _on_grid((value - self.low) / self.step)

    def external(self, value: Any) -> float:
        """The value as this distribution gives it to an objective. Raises InvalidValue for another kind's."""
        if not _is_number(value) or not math.isfinite(value):
            raise InvalidValue(f"a float parameter needs a finite number, got {value!r}")
        return float(value)

    def single(self) -> bool:
        """Whether the range holds exactly one value."""
        return self.low == self.high

    def spec(self) -> dict[str, Any]:
        """The wire's form, without what is default."""
        spec: dict[str, Any] = {"type": "float", "low": self.low, "high": self.high}
        if self.log:
            spec["log"] = True
        if self.step is not None:
            spec["step"] = self.step
        return spec


@dataclass(frozen=True, slots=True)
class IntDistribution:
    """Integers low, low + step, ... up to high, on a logarithmic scale if `log`.

    Floats are cut to integers, as Optuna does. Raises InvalidDistribution, a ValueError, where the range contradicts
    itself.
    """

    kind: ClassVar[str] = "int"

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _set(self, low=_integer(self.low, "low"), high=_integer(self.high, "high"))
        _set(self, log=bool(self.log), step=_integer(self.step, "step"))
        _check_range(self.low, self.high, log=self.log)
        if self.step <= 0:
            raise InvalidDistribution(f"step must be positive, got {self.step}")
        if self.log and self.step != 1:
            raise InvalidDistribution("log and step cannot be combined; leave one of them out")
        top = self.low + (self.high - self.low) // self.step * self.step
        if top != self.high:
            _warn_of_lowered(self.high, top, self.step)
        _set(self, high=top)

    def contains(self, value: Any) -> bool:
        """Whether the value is one of low, low + step, ..., high."""
        return _is_number(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0

    def external(self, value: Any) -> int:
        """The value as this distribution gives it to an objective. Raises InvalidValue for another kind's."""
        if not _is_number(value) or not math.isfinite(value) or value != int(value):
            raise InvalidValue(f"an int parameter needs an integer, got {value!r}")
        return int(value)

    def single(self) -> bool:
        """Whether the range holds exactly one value."""
        return self.low == self.high

    def spec(self) -> dict[str, Any]:
        """The wire's form, without what is default."""
        spec: dict[str, Any] = {"type": "int", "low": self.low, "high": self.high}
        if self.log:
            spec["log"] = True
        if self.step != 1:
            spec["step"] = self.step
        return spec


@dataclass(frozen=True, slots=True)
class CategoricalDistribution:
    """One of several choices, without an order: null, booleans, finite numbers or strings.

    1 and 1.0 are the same choice, 1 and True are not. Raises InvalidDistribution, a ValueError, for no choices, for
    the same one twice, and for objects of other types (give their names, and look the objects up in the objective).
    """

    kind: ClassVar[str] = "categorical"

    choices: tuple[Choice, ...]

    def __init__(self, choices: Sequence[Choice]) -> None:
        _set(self, choices=tuple(_choice(choice) for choice in choices))
        if not self.choices:
            raise InvalidDistribution("choices must not be empty")
        seen = set()
        for choice in self.choices:
            if _identity(choice) in seen:
                raise InvalidDistribution(f"the choice {choice!r} is there twice")
            seen.add(_identity(choice))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CategoricalDistribution):
            return NotImplemented
        return [_identity(choice) for choice in self.choices] == [_identity(choice) for choice in other.choices]

    def __hash__(self) -> int:
        return hash(self.choices)

    def contains(self, value: Any) -> bool:
        """Whether the value is a choice."""
        return any(_identity(choice) == _identity(value) for choice in self.choices)

    def external(self, value: Any) -> Choice:
        """The choice that equals the value, 1.0 for 1 if the choice was so written. Raises InvalidValue for none."""
        for choice in self.choices:
            if _identity(choice) == _identity(value):
                return choice
        raise InvalidValue(f"{value!r} is none of the choices {list(self.choices)!r}")

    def single(self) -> bool:
        """Whether there is exactly one choice."""
        return len(self.choices) == 1

    def spec(self) -> dict[str, Any]:
        """The wire's form."""
        return {"type": "categorical", "choices": list(self.choices)}


Distribution: TypeAlias = FloatDistribution | IntDistribution | CategoricalDistribution


def from_spec(spec: Mapping[str, Any]) -> Distribution:
    """The distribution that `spec()` describes. Raises InvalidDistribution for an unknown type."""
    settings = {name: value for name, value in spec.items() if name != "type"}
    match spec["type"]:
        case "float":
            return FloatDistribution(**settings)
        case "int":
            return IntDistribution(**settings)
        case "categorical":
            return CategoricalDistribution(**settings)
    raise InvalidDistribution(f"this client does not know the distribution {spec['type']!r}; is the server newer?")


def specs(distributions: Mapping[str, Distribution]) -> dict[str, dict[str, Any]]:
    """The wire's form of a space. Raises TypeError where something in it is no distribution."""
    for name, distribution in distributions.items():
        if not isinstance(distribution, Distribution):
            raise TypeError(
                f"{name!r} must be a distribution of tpeak.distributions, got a {type(distribution).__name__}"
            )
    return {name: distribution.spec() for name, distribution in distributions.items()}


def from_specs(space: Mapping[str, Mapping[str, Any]]) -> dict[str, Distribution]:
    """The space that `specs` describes."""
    return {name: from_spec(spec) for name, spec in space.items()}


def check_compatible(first: Distribution, now: Distribution) -> None:
    """Raise InvalidDistribution where one parameter cannot be both: another kind, scale or set of choices."""
    if first.kind != now.kind:
        raise InvalidDistribution(f"the parameter is {first.kind} and cannot be {now.kind} too; use another name")
    if isinstance(first, CategoricalDistribution):
        if first != now:
            raise InvalidDistribution("the choices of a parameter cannot change within a trial; use another name")
    elif not isinstance(now, CategoricalDistribution) and first.log != now.log:
        raise InvalidDistribution("a parameter cannot change its scale (log) within a trial; use another name")


def _set(distribution: object, **fields: Any) -> None:
    for name, value in fields.items():
        object.__setattr__(distribution, name, value)  # frozen for everyone else


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidDistribution(f"{where} must be a number, got {value!r}") from None


def _integer(value: Any, where: str) -> int:
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidDistribution(f"{where} must be an integer, got {value!r}") from None
    if abs(whole) > MAX_EXACT_INT:
        raise InvalidDistribution(f"{where} must lie within -2^53 .. 2^53, got {whole}")
    return whole


def _choice(choice: Any) -> Choice:
    if hasattr(choice, "tolist"):  # a numpy scalar; numpy itself is not imported here
        choice = choice.tolist()
    if not (choice is None or isinstance(choice, (bool, int, float, str))):
        raise InvalidDistribution(
            f"a choice must be None, a bool, a number or a string, got a {type(choice).__name__}: give names as "
            "choices and look the objects up in the objective"
        )
    if isinstance(choice, float) and not math.isfinite(choice):
        raise InvalidDistribution(f"a choice must be finite, got {choice}")
    return choice


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(high - low)):
        raise InvalidDistribution(f"low, high and their difference must be finite, got low={low}, high={high}")
    if low > high:
        raise InvalidDistribution(f"low ({low}) must not be above high ({high})")
    if log and low <= 0:
        raise InvalidDistribution(f"a logarithmic range needs low > 0, got {low}")


def _warn_of_lowered(high: float, top: float, step: float) -> None:
    warnings.warn(f"high={high} is not on the grid of step={step}; the range ends at {top}", stacklevel=5)


def _on_grid(steps: float) -> bool:
    return abs(steps - round(steps)) <= GRID_TOLERANCE * max(1.0, abs(steps))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _identity(choice: Any) -> tuple[bool, Any] | None:
    """Equal for the same choice: 1 is 1.0 on the wire, but True is not 1."""
    return None if choice is None else (isinstance(choice, bool), choice)
