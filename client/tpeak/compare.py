"""Trials beside each other: which dominate, which have the same parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tpeak.constraints import feasible
from tpeak.frozen import FrozenTrial
from tpeak.states import StudyDirection


def same_params(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the parameters have the same names and, but for rounding, the same values."""
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def pareto_front(trials: list[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """The trials that meet their constraints and that no other such one dominates."""
    trials = [trial for trial in trials if feasible(trial.constraints)]
    signs = [1.0 if direction == StudyDirection.MINIMIZE else -1.0 for direction in directions]
    losses = [tuple(sign * value for sign, value in zip(signs, trial.values or (), strict=True)) for trial in trials]
    front: list[tuple[float, ...]] = []
    for loss in sorted(set(losses)):  # what dominates another comes before it
        if not any(_dominates(better, loss) for better in front):
            front.append(loss)
    kept = set(front)
    return [trial for trial, loss in zip(trials, losses, strict=True) if loss in kept]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-5)  # numpy.isclose's, which Optuna goes by
    return bool(one == other)
