"""Constraints of a trial: numbers by name, each met where it is at most 0."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

from tpeak.errors import InvalidValue
from tpeak.wire import number_in, number_out, plain

MOST = 16
NAME_CHARACTERS = 255
"""What the server takes of them, and of a name."""


def add_to(constraints: dict[str, float], key: str, value: float) -> None:
    """Add one, by Optuna's rules: the first value of a name stands, with a warning of another one.

    Raises TypeError for a value that is no number, InvalidValue, a ValueError, for NaN or what the server would refuse.
    """
    name, number = plain(key), _as_float(value)
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARACTERS:
        raise InvalidValue(f"a constraint's key must be a string of 1 to {NAME_CHARACTERS} characters")
    if math.isnan(number):
        raise InvalidValue(f"constraint {name!r} must not be NaN; what cannot be computed is violated by infinity")
    if name in constraints:
        if constraints[name] == number:
            return
        warnings.warn(f"constraint {name!r} has a value already, which is kept", stacklevel=3)
        return
    if len(constraints) == MOST:
        raise InvalidValue(f"a trial has at most {MOST} constraints; add up the violated ones of several")
    constraints[name] = number


def checked(constraints: Mapping[str, float]) -> dict[str, float]:
    """All of them, checked as each one is."""
    found: dict[str, float] = {}
    for key, value in constraints.items():
        add_to(found, key, value)
    return found


def feasible(constraints: Mapping[str, float]) -> bool:
    """Whether none is violated; NaN, which only other clients tell, says nothing."""
    return not any(value > 0 for value in constraints.values())


def to_wire(constraints: Mapping[str, float]) -> dict[str, Any]:
    """The fields of a tell, without names where they are the places."""
    if not constraints:
        return {}
    values = {"constraints": [number_out(value) for value in constraints.values()]}
    names = list(constraints)
    return values if names == _places(len(names)) else {**values, "constraint_names": names}


def from_wire(row: Mapping[str, Any]) -> dict[str, float]:
    """The constraints of the trial that the server describes."""
    values = row.get("constraints") or []
    names = row.get("constraint_names") or _places(len(values))
    return {name: number_in(value) for name, value in zip(names, values, strict=True)}


def _places(count: int) -> list[str]:
    return [str(place) for place in range(count)]


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"a constraint's value must be a number, got a {type(value).__name__}") from None
