"""The range that a parameter is drawn from: float, int or categorical.

A value has two forms. *External* is what an objective sees (0.1, 3, "adam"); *internal* is one float, which the
tables and the samplers hold: the number itself, or for a categorical the index of the choice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from tpeak_server.domain.errors import InvalidDistribution, InvalidValue

Choice: TypeAlias = bool | int | float | str | None

MAX_EXACT_INT = 2**53
"""Largest integer up to which every integer is exactly a double."""

GRID_TOLERANCE = 1e-8
"""How far from the grid, in steps, a float still counts as on it: 0.1 has no exact double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatDistribution:
    """Floats in [low, high], on a logarithmic scale if `log`, on the grid low + k * step if `step`."""

    kind: ClassVar[str] = "float"

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)
        if self.step is not None:
            if self.log:
                raise InvalidDistribution("log and step cannot be combined; leave one of them out", where="step")
            if not (self.step > 0 and math.isfinite(self.step)):
                raise InvalidDistribution(f"step must be positive and finite, got {self.step}", where="step")
            steps = (self.high - self.low) / self.step
            if not steps <= MAX_EXACT_INT:
                raise InvalidDistribution("step must divide the range into at most 2^53 parts", where="step")
            if not self.single:
                object.__setattr__(self, "high", self._last_on_grid(steps, self.step))

    def _last_on_grid(self, steps: float, step: float) -> float:
        """The greatest of low, low + step, ... up to high, which lies that many steps above low."""
        # The slack covers the rounding of low + last * step: a range that is read again must be the same.
        slack = GRID_TOLERANCE + self._rounding(step) + 4 * math.ulp(steps)
        return min(self.high, self.low + math.floor(steps + slack) * step)

    def to_internal(self, value: Any) -> float:
        """The float itself. Raises InvalidValue for anything that is not a finite number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InvalidValue(f"a float parameter needs a finite number, got {_shown(value)}")
        return float(value)

    def to_external(self, internal: float) -> float:
        return internal

    def contains(self, internal: float) -> bool:
        """Whether the value lies in the range and, with a step, on the grid."""
        if not self.low <= internal <= self.high:
            return False
        if self.step is None:
            return True
        return _on_grid((internal - self.low) / self.step, self._rounding(self.step))

    def _rounding(self, step: float) -> float:
        """How far, in steps, a sum low + k * step is rounded: at its greatest part, which may be far above a step."""
        return math.ulp(max(abs(self.low), abs(self.high))) / step

    @property
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


@dataclass(frozen=True, slots=True, kw_only=True)
class IntDistribution:
    """Integers low, low + step, ... up to high, on a logarithmic scale if `log`."""

    kind: ClassVar[str] = "int"

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)
        if max(abs(self.low), abs(self.high)) > MAX_EXACT_INT:
            raise InvalidDistribution("an int range must lie within -2^53 .. 2^53", where="high")
        if self.step <= 0:
            raise InvalidDistribution(f"step must be positive, got {self.step}", where="step")
        if self.log and self.step != 1:
            raise InvalidDistribution("log and step cannot be combined; leave one of them out", where="step")
        object.__setattr__(self, "high", self.low + (self.high - self.low) // self.step * self.step)

    def to_internal(self, value: Any) -> float:
        """The integer as a float. Raises InvalidValue for anything that is not an integral number up to 2^53."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
            raise InvalidValue(f"an int parameter needs an integer, got {_shown(value)}")
        if abs(value) > MAX_EXACT_INT:
            raise InvalidValue("an int parameter must lie within -2^53 .. 2^53")
        return float(value)

    def to_external(self, internal: float) -> int:
        return int(internal)

    def contains(self, internal: float) -> bool:
        """Whether the value is one of low, low + step, ..., high."""
        return (
            self.low <= internal <= self.high
            and (int(internal) - self.low) % self.step == 0
            and internal == int(internal)
        )

    @property
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalDistribution:
    """One of several choices, without an order."""

    kind: ClassVar[str] = "categorical"

    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise InvalidDistribution("choices must not be empty", where="choices")
        seen = set()
        for index, choice in enumerate(self.choices):
            if isinstance(choice, float) and not math.isfinite(choice):
                raise InvalidDistribution("a choice must be finite", where=f"choices/{index}")
            if identity(choice) in seen:
                raise InvalidDistribution(f"the choice {_shown(choice)} is there twice", where=f"choices/{index}")
            seen.add(identity(choice))

    def __eq__(self, other: object) -> bool:
        """Whether the choices are the same, as the wire tells them apart: for Python True is 1."""
        return isinstance(other, CategoricalDistribution) and self._identities() == other._identities()

    def __hash__(self) -> int:
        return hash(self._identities())

    def _identities(self) -> tuple[tuple[bool, Any] | None, ...]:
        return tuple(map(identity, self.choices))

    def has(self, value: Any) -> bool:
        """Whether this is one of the choices."""
        return any(identity(choice) == identity(value) for choice in self.choices)

    def to_internal(self, value: Any) -> float:
        """The index of the choice. Raises InvalidValue for anything that is not a choice."""
        for index, choice in enumerate(self.choices):
            if identity(choice) == identity(value):
                return float(index)
        raise InvalidValue(f"{_shown(value)} is none of the choices {_shown(list(self.choices))}")

    def to_external(self, internal: float) -> Choice:
        return self.choices[int(internal)]

    def contains(self, internal: float) -> bool:
        """Whether this is an index of a choice."""
        return 0 <= internal < len(self.choices)

    @property
    def single(self) -> bool:
        """Whether there is exactly one choice."""
        return len(self.choices) == 1

    def spec(self) -> dict[str, Any]:
        """The wire's form."""
        return {"type": "categorical", "choices": list(self.choices)}


Distribution: TypeAlias = FloatDistribution | IntDistribution | CategoricalDistribution
Space: TypeAlias = Mapping[str, Distribution]


def from_spec(spec: Mapping[str, Any]) -> Distribution:
    """The distribution that `spec()` describes. Raises InvalidDistribution where it contradicts itself."""
    settings = {name: value for name, value in spec.items() if name != "type"}
    match spec["type"]:
        case "float":
            return FloatDistribution(**settings)
        case "int":
            return IntDistribution(**settings)
        case "categorical":
            return CategoricalDistribution(choices=tuple(settings["choices"]))
    raise InvalidDistribution(f"no such type of distribution: {_shown(spec['type'])}", where="type")


def canonical(distribution: Distribution) -> str:
    """One text per distinct distribution: what interning compares."""
    return json.dumps(distribution.spec(), separators=(",", ":"), ensure_ascii=False)


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidDistribution("low and high must be finite", where="low")
    if low > high:
        raise InvalidDistribution(f"low ({low}) must not be above high ({high})", where="low")
    if not math.isfinite(high - low):
        raise InvalidDistribution("high - low must be finite", where="high")
    if log and low <= 0:
        raise InvalidDistribution(f"a logarithmic range needs low > 0, got {low}", where="low")


def _on_grid(steps: float, rounding: float) -> bool:
    return abs(steps - round(steps)) <= GRID_TOLERANCE * max(1.0, abs(steps)) + rounding


def identity(choice: Any) -> tuple[bool, Any] | None:
    """Equal for the same choice: 1 is 1.0 on the wire, but True is not 1."""
    return None if choice is None else (isinstance(choice, bool), choice)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
