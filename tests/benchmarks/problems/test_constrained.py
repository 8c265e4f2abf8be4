"""Problems with constraints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from problems.constrained import problems
from problems.problem import Problem, RandomTrial, scale_of

BEST: dict[str, Sequence[float]] = {
    "mystery": (2.744998, 2.352297),
    "gramacy": (0.195123, 0.404665),
    "gardner": (1.5 * math.pi, 1.253236),
    "g04": (78.0, 33.0, 29.995256025681599, 45.0, 36.775812905788207),
    "g08": (1.227971352607526, 4.245373366122749),
    "g09": (2.330499, 1.951372, -0.477541, 4.365726, -0.624487, 1.038131, 1.594227),
    "pressure-vessel": (13, 7, 42.0984456, 176.6365958),
    "g24": (2.32952019747762, 3.17849307411774),
}
"""As published; rounded, so that they may be just outside."""


class Point:
    """The parameters in the order in which they are asked for."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = iter(values)
        self.constraints: dict[str, float] = {}

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return next(self._values)

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(next(self._values))

    def set_constraint(self, key: str, value: float) -> None:
        self.constraints[key] = value


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem.name)
def test_the_published_best_point_is_best_and_feasible(problem: Problem) -> None:
    point = Point(BEST[problem.name])
    assert abs(problem.objective(point)) < 2e-4
    assert all(value < 2e-4 for value in point.constraints.values())


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem.name)
def test_no_feasible_point_is_below_zero_and_there_are_some(problem: Problem) -> None:
    rng = np.random.default_rng(1)
    trials = [RandomTrial(rng) for _ in range(2000)]
    values = [problem.objective(trial) for trial in trials]
    feasible = [value for value, trial in zip(values, trials, strict=True) if trial.feasible]
    assert len(feasible) > 5
    assert min(feasible) > 0.0
    assert scale_of(problem).typical > 0.0
