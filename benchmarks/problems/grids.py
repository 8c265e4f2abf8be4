"""Losses on a grid as a function of a trial: between the grid's points they are interpolated.

A multilinear function is least at one of the grid's points, so that the best value is known exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from problems.problem import Trial

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One parameter and its `count` grid points: evenly from low to high (of `whole` numbers, logarithms if `log`),
    or the choices.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    count: int = 0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def grid(self) -> list[Any]:
        """The parameter's values at the grid points."""
        if self.choices:
            return list(self.choices)
        ends = np.geomspace if self.log else np.linspace
        values = ends(self.low, self.high, self.count)
        return [round(value) for value in values] if self.whole else values.tolist()

    def position(self, trial: Trial) -> float:
        """Where the trial's value lies on the grid, 0 .. count - 1."""
        if self.choices:
            return float(self.choices.index(trial.suggest_categorical(self.name, self.choices)))
        if self.whole:
            value: float = trial.suggest_int(self.name, round(self.low), round(self.high), log=self.log)
        else:
            value = trial.suggest_float(self.name, self.low, self.high, log=self.log)
        scale = np.log if self.log else np.asarray
        return float(np.interp(scale(value), scale(self.grid()), range(self.count)))


def points(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """The parameters at every grid point, the last axis changing fastest."""
    names = [axis.name for axis in axes]
    return [dict(zip(names, point, strict=True)) for point in itertools.product(*(axis.grid() for axis in axes))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Axes that every trial has, and one choice that brings axes of its own; without branches there is no choice."""

    common: Sequence[Axis] = ()
    choice: str = ""
    branches: Mapping[str, Sequence[Axis]]

    def axes(self, branch: str) -> list[Axis]:
        """All axes of a branch, those in common first: the dimensions of its losses."""
        return [*self.common, *self.branches[branch]]

    def loss(self, trial: Trial, losses: Mapping[str, Floats]) -> float:
        """The interpolated loss, from each branch's losses on its grid."""
        names = tuple(self.branches)
        branch = trial.suggest_categorical(self.choice, names) if self.choice else names[0]
        values = losses[branch]
        for axis in self.axes(branch):
            values = _at(values, axis.position(trial))
        return float(values)


def _at(values: Floats, position: float) -> Floats:
    """The values at a position along the first dimension."""
    before = min(int(position), len(values) - 1)
    share = position - before
    if share == 0.0:
        at: Floats = values[before]
        return at
    between: Floats = (1.0 - share) * values[before] + share * values[before + 1]
    return between
