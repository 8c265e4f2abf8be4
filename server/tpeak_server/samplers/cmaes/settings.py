"""The settings of CMA-ES that are neither numbers nor words: a point to start from, and trials of another study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tpeak_server.domain.errors import Invalid, pointer
from tpeak_server.domain.settings import shown

Params: TypeAlias = Mapping[str, float]

MOST_PARAMETERS = 1000
MOST_TRIALS = 1000
MOST_NUMBERS = 10_000
"""In all trials together: they are stored with the study and are part of every reply about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A finished trial of another study: numeric parameters and the objective's value."""

    params: Params
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A setting that maps numeric parameters to values."""

    name: str
    default: None = None
    optional: bool = True

    def checked(self, value: object, where: str) -> dict[str, float]:
        """The values as floats. Raises Invalid, which points at what is wrong."""
        return _params(self.name, value, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A setting that lists trials, `{"params": {...}, "value": 0.5}`."""

    name: str
    default: None = None
    optional: bool = True

    def checked(self, value: object, where: str) -> list[dict[str, Any]]:
        """The trials with all numbers as floats. Raises Invalid, which points at what is wrong."""
        if not isinstance(value, list) or not 0 < len(value) <= MOST_TRIALS:
            raise Invalid(f"{self.name} must list 1 to {MOST_TRIALS} trials, got {shown(value)}", where=where)
        trials = [_trial(trial, f"{where}/{index}") for index, trial in enumerate(value)]
        numbers = sum(len(trial["params"]) + 1 for trial in trials)
        if numbers > MOST_NUMBERS:
            raise Invalid(f"{self.name} has {numbers} numbers, more than {MOST_NUMBERS}", where=where)
        return trials


def sources_of(spec: Sequence[Mapping[str, Any]] | None) -> list[Source]:
    """The trials of a setting that was checked."""
    return [Source(**trial) for trial in spec or ()]


def _trial(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or value.keys() != {"params", "value"}:
        raise Invalid(f"a trial must have params and value, got {shown(value)}", where=where)
    number = _number("value", value["value"], f"{where}/value")
    return {"params": _params("params", value["params"], f"{where}/params"), "value": number}


def _params(name: str, value: object, where: str) -> dict[str, float]:
    if not isinstance(value, Mapping) or len(value) > MOST_PARAMETERS:
        raise Invalid(
            f"{name} must map at most {MOST_PARAMETERS} parameters to numbers, got {shown(value)}", where=where
        )
    return {key: _number(str(key), number, where + pointer([key])) for key, number in value.items()}


def _number(name: str, value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
        raise Invalid(f"{name} must be a finite number, got {shown(value)}", where=where)
    try:
        return float(value)
    except OverflowError:
        raise Invalid(f"{name} must be a finite number, got {shown(value)}", where=where) from None
