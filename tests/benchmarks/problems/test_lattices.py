"""Small grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from problems.lattices import problems
from problems.problem import Problem
from studies.matches import grid_of


class Given:
    """The parameters have these values."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return float(self._params[name])

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self._params[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._params[name]


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem.name)
def test_a_grid_has_as_many_points_as_it_says_and_one_best_one(problem: Problem) -> None:
    grid = grid_of(problem)
    values = [
        problem.objective(Given(dict(zip(grid, point, strict=True)))) for point in itertools.product(*grid.values())
    ]
    assert len(values) == int(problem.name.rpartition("-")[2])
    assert sorted(values)[0] == 0.0 < sorted(values)[1]
