"""Functions of the BBOB suite (package `ioh`), whose optima lie anywhere in [-4, 4]^d.

A value is log(1 + gap), the gap being how far the function is above its optimum. TPE looks at ranks only, so that the
logarithm changes nothing but the measure: without it the regret of a badly scaled function would be 0 for everybody.
In the mixed problems some coordinates are integers or logarithmic; their grids contain the optimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from problems.problem import Problem, Trial

FAMILY = "synthetic"

KINDS = ("float", "log", "int", "logint", "float")
"""How the coordinates of a mixed problem are asked for, in turn."""


def problems() -> list[Problem]:
    """The problems of this family."""
    return [
        *(_plain(number, dimensions) for number, dimensions in [(3, 5), (8, 5), (15, 10), (20, 5), (21, 5), (10, 10)]),
        *(_mixed(number, dimensions) for number, dimensions in [(1, 10), (8, 10)]),
    ]


def _plain(number: int, dimensions: int) -> Problem:
    def objective(trial: Trial) -> float:
        return bbob_value(number, dimensions, [trial.suggest_float(f"x{i}", -5.0, 5.0) for i in range(dimensions)])

    return Problem(name=f"bbob{number}-{dimensions}d", family=FAMILY, objective=objective)


def _mixed(number: int, dimensions: int) -> Problem:
    def objective(trial: Trial) -> float:
        optimum = _bbob(number, dimensions).optimum.x
        return bbob_value(
            number,
            dimensions,
            [_COORDINATES[KINDS[i % len(KINDS)]](trial, f"x{i}", float(optimum[i])) for i in range(dimensions)],
        )

    return Problem(name=f"bbob{number}-{dimensions}d-mixed", family=FAMILY, objective=objective)


def _log(trial: Trial, name: str, optimum: float) -> float:
    """Five decades for the ten units."""
    return 2.0 * math.log10(trial.suggest_float(name, 1e-5, 1.0, log=True)) + 5.0


def _int(trial: Trial, name: str, optimum: float) -> float:
    """Steps of a half, shifted so that the optimum is one of them."""
    nearest = round((optimum + 5.0) / 0.5)
    return optimum + 0.5 * (trial.suggest_int(name, 0, 20) - nearest)


def _logint(trial: Trial, name: str, optimum: float) -> float:
    """Ten doublings for the ten units, shifted so that the optimum is a power of two."""
    nearest = round(optimum + 5.0)
    return optimum + math.log2(trial.suggest_int(name, 1, 1024, log=True)) - nearest


_COORDINATES: dict[str, Callable[[Trial, str, float], float]] = {
    "float": lambda trial, name, optimum: trial.suggest_float(name, -5.0, 5.0),
    "log": _log,
    "int": _int,
    "logint": _logint,
}


def bbob_value(number: int, dimensions: int, x: list[float], instance: int = 1) -> float:
    """log(1 + gap) of one function."""
    function = _bbob(number, dimensions, instance)
    return math.log1p(max(0.0, function(x) - function.optimum.y))


@cache
def _bbob(number: int, dimensions: int, instance: int = 1) -> Any:
    import ioh

    return ioh.get_problem(number, instance=instance, dimension=dimensions, problem_class=ioh.ProblemClass.BBOB)
