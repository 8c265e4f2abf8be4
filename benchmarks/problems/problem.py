"""What a benchmark problem is: a function of a trial whose best value is known.

| term | meaning |
|---|---|
| value | what the objective returns: how far above the best point of the whole space, which has 0 |
| typical | the median value of points drawn uniformly, of the feasible ones where there are constraints |
| regret | value / typical: 0 for the best point, 1 for the median of what random search draws |
| constraint | what the objective says by `trial.set_constraint`: the point is feasible where all are at most 0 |
| volume | of several values, each to be small: what the whole front dominates below the reference point |
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np

DRAWS = 2001
"""Random points behind the typical value: its standard error is then about a fortieth of the values' spread."""


T = TypeVar("T")


class Trial(Protocol):
    """What an objective may ask for: the part that is common to tpeak and Optuna."""

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """A float in [low, high]."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        """An integer in [low, high]."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        ...

    def set_constraint(self, key: str, value: float) -> None:
        """Says how far the trial is from being feasible in one respect: it is where this is at most 0."""
        ...

    @property
    def constraints(self) -> Mapping[str, float]:
        """What was said."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A function to minimize, whose least value is 0.

    `noise` is the standard deviation of what is added to every value that a sampler is told, in units of the typical
    value; `workers` evaluate at the same time. Of several objectives, which have no noise, the best value is not 0 but
    a front: `reference` and `volume` measure how much of it was found.
    """

    name: str
    family: str
    objective: Callable[[Trial], float | tuple[float, ...]]
    noise: float = 0.0
    workers: int = 1
    constrained: bool = False
    reference: tuple[float, ...] = ()
    volume: float = 1.0

    @property
    def objectives(self) -> int:
        """How many values the objective returns."""
        return len(self.reference) or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A problem's typical value, 1 of several objectives, and a fingerprint that changes when the problem does."""

    typical: float
    fingerprint: str


@cache
def scale_of(problem: Problem) -> Scale:
    """The problem's scale, from points drawn with a seed that is always the same."""
    rng = np.random.default_rng(0)
    trials = [RandomTrial(rng) for _ in range(DRAWS)]
    values = [np.atleast_1d(problem.objective(trial)) for trial in trials]
    numbers = [
        number for trial, each in zip(trials, values, strict=True) for number in (*each, *trial.constraints.values())
    ]
    measure = [problem.reference, problem.volume] if problem.reference else []
    said = repr([problem.noise, problem.workers, *measure, *(f"{number:.6g}" for number in numbers)])
    feasible = [float(each[0]) for trial, each in zip(trials, values, strict=True) if trial.feasible]
    return Scale(
        typical=1.0 if problem.reference else statistics.median(feasible),
        fingerprint=hashlib.blake2b(said.encode(), digest_size=6).hexdigest(),
    )


class RandomTrial:
    """Draws every parameter uniformly, on its scale and grid."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.params: dict[str, Any] = {}
        self.constraints: dict[str, float] = {}

    @property
    def feasible(self) -> bool:
        """Whether no constraint is violated."""
        return feasible(self.constraints)

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """A float in [low, high]."""
        if step is not None:
            return self._once(name, low + step * float(self._rng.integers(round((high - low) / step) + 1)))
        if log:
            return self._once(name, float(np.exp(self._rng.uniform(np.log(low), np.log(high)))))
        return self._once(name, self._rng.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        """An integer in [low, high]."""
        if log:
            exact = float(np.exp(self._rng.uniform(np.log(low - 0.5), np.log(high + 0.5))))
            return self._once(name, min(max(round(exact), low), high))
        return self._once(name, low + step * int(self._rng.integers((high - low) // step + 1)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self._once(name, choices[int(self._rng.integers(len(choices)))])

    def set_constraint(self, key: str, value: float) -> None:
        """Says how far the trial is from being feasible in one respect."""
        self.constraints[key] = value

    def _once(self, name: str, value: T) -> T:
        known: T = self.params.setdefault(name, value)
        return known


def feasible(constraints: Mapping[str, float]) -> bool:
    """Whether none of them is violated."""
    return all(value <= 0.0 for value in constraints.values())
