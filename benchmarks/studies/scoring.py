"""What a finished trial counts for: one number, so that a study is as good as its least one so far.

| problem | the number |
|---|---|
| one objective | the value |
| with constraints | the value, and `NONE_FEASIBLE` times a typical one at most; so much where the trial is infeasible |
| several objectives | the share of the front's volume that this trial and those before it leave out |
"""

from __future__ import annotations

from collections.abc import Mapping

from problems.problem import Problem, feasible, scale_of
from studies.hypervolume import Dominated

NONE_FEASIBLE = 2.0
"""The regret of a study that has found no feasible point; no feasible one is worse."""


class Score:
    """The trials of one study in the order in which they finish."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._dominated = Dominated(problem.reference)

    def of(self, value: float | tuple[float, ...], constraints: Mapping[str, float]) -> float:
        """What the next trial counts for."""
        if isinstance(value, tuple):
            if feasible(constraints):
                self._dominated.add(value)
            return 1.0 - self._dominated.volume / self._problem.volume
        if not self._problem.constrained:
            return value
        worst = NONE_FEASIBLE * scale_of(self._problem).typical
        return min(value, worst) if feasible(constraints) else worst
