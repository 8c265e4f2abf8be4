"""What the settings of all rules share: their limits, and the wire's form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tpeak.errors import InvalidValue

DEFAULTS: Mapping[str, Any] = {"objective": None, "resource": "step"}
"""What the server has by itself. It does not travel: an older server takes all that it can do."""


def wire_form(rule: Any) -> dict[str, Any]:
    """The rule's name and all its settings; an objective only where one is named, and a resource that is not steps."""
    given = {"name": rule.name, **asdict(rule)}
    return {name: value for name, value in given.items() if name not in DEFAULTS or value != DEFAULTS[name]}


def check_counts(rule: Any, **least: int) -> None:
    """Raises InvalidValue unless each of these settings is an integer of at least so many, and so is the objective."""
    for name, lowest in least.items():
        check_count(name, getattr(rule, name), lowest)
    if rule.objective is not None:
        check_count("objective", rule.objective, 0, " or None")


def check_count(name: str, value: object, least: int, otherwise: str = "") -> None:
    """Raises InvalidValue unless the value is an integer of at least `least`; `otherwise` says what else may be."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise InvalidValue(f"{name} must be an integer of at least {least}{otherwise}, got {value!r}")


def check_resource(rule: Any, **otherwise: str) -> None:
    """Raises InvalidValue unless the rule's resource is "step" or "cost" and each of these settings counts in it.

    The settings are mapped to the words that they may be besides: "" for none.
    """
    if rule.resource not in ("step", "cost"):
        raise InvalidValue(f"resource must be 'step' or 'cost', got {rule.resource!r}")
    for name, word in otherwise.items():
        value, also = getattr(rule, name), f" or {word!r}" if word else ""
        if word and value == word:
            continue
        if rule.resource == "step":
            check_count(name, value, 1, also)
        elif isinstance(value, bool) or not hasattr(value, "__float__") or not 0.0 < value < math.inf:
            raise InvalidValue(f"{name} must be a number above 0{also}, got {value!r}")


def check_number(name: str, value: Any, least: float, most: float = math.inf) -> None:
    """Raises InvalidValue unless the value is finite and lies within least .. most."""
    if not least <= value <= most or math.isinf(value):
        limits = f"be finite and at least {least}" if math.isinf(most) else f"lie within {least} .. {most}"
        raise InvalidValue(f"{name} must {limits}, got {value!r}")
