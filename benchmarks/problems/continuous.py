"""Functions of the BBOB suite (package `ioh`) in 2, 5 and 10 dimensions, for samplers that know floats alone.

Their second instances: other functions than those of the family `synthetic`. The values are as there.
"""

from __future__ import annotations

from problems.problem import Problem, Trial
from problems.synthetic import bbob_value

FAMILY = "continuous"

FUNCTIONS = {
    1: "sphere",
    6: "attractive-sector",
    8: "rosenbrock",
    10: "ellipsoid",
    12: "bent-cigar",
    15: "rastrigin",
    17: "schaffers",
    21: "gallagher",
}
"""By their numbers there; separable and rotated, with one valley, many or none."""

DIMENSIONS = (2, 5, 10)

INSTANCE = 2


def problems() -> list[Problem]:
    """The problems of this family."""
    return [_problem(number, name, dimensions) for number, name in FUNCTIONS.items() for dimensions in DIMENSIONS]


def _problem(number: int, name: str, dimensions: int) -> Problem:
    def objective(trial: Trial) -> float:
        x = [trial.suggest_float(f"x{i}", -5.0, 5.0) for i in range(dimensions)]
        return bbob_value(number, dimensions, x, INSTANCE)

    return Problem(name=f"{name}-{dimensions}d", family=FAMILY, objective=objective)
