"""What samplers and pruners see of a study: arrays, signed so that smaller is better.

| symbol | shape | meaning |
|---|---|---|
| n | | finished trials that teach: complete, pruned, and lost or infeasible ones |
| m | | pending trials |
| loss | (n, objectives) | direction.sign * value; NaN where the trial has none (pruned, lost) |
| last_step | (n,) | the deepest reported step, -1 without a report |
| last_loss | (n,) | the first objective's value reported there as a loss, NaN without a report |
| violation | (n,) | sum of the positive constraint values; 0 feasible, inf lost |
| columns[name] | (n,) | the parameter's internal value, NaN where the trial does not have it |
| pending[name] | (m,) | the same for pending trials, in trial order |

Categorical columns hold indices into the *current* distribution's choices, NaN for a choice that is gone; numeric
columns may hold values outside of the current range where the range was another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.trial import UNFINISHED, TrialState

Floats: TypeAlias = NDArray[np.float64]


class Outcome(IntEnum):
    """How a trial that teaches the sampler ended."""

    COMPLETE = 0
    PRUNED = 1
    LOST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Where one trial is, or was: the ids of its parameters' distributions and their internal values, in the order that
    they came, of which so many were `proposed` at once; what it was given beside them (external), and the names that
    its worker used, in order, if it said.
    """

    state: TrialState
    origin: str
    ids: tuple[int, ...]
    values: Sequence[float]
    proposed: int
    fixed: Mapping[str, Any]
    used: tuple[str, ...] | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in UNFINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """All trials of a study but deleted ones, by number, and what their distributions' ids stand for."""

    trials: Mapping[int, Tried]
    ranges: Mapping[int, tuple[str, Distribution]]

    def known(self, tried: Tried) -> dict[str, tuple[Distribution, float]]:
        """A trial's parameters by name, in the order that they came."""
        return {self.ranges[i][0]: (self.ranges[i][1], value) for i, value in zip(tried.ids, tried.values, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The finished trials of a study at one `seq`, in trial order. Nobody writes to its arrays.

    `tried` is every trial there is, whatever its state, where the sampler or a discrete space asks for it, else None.
    """

    seq: int
    numbers: NDArray[np.int64]
    outcome: NDArray[np.int8]
    loss: Floats
    last_step: NDArray[np.int64]
    last_loss: Floats
    violation: Floats
    columns: Mapping[str, Floats]
    tried: Tries | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One drawn point: internal values by name, and where they come from (`startup`, `tpe`, `random`).

    `distributions` are those of the values where they are not the ones of the space asked for; `fixed` are external
    values for names of which no distribution is known yet.
    """

    values: Mapping[str, float]
    origin: str
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A trial's intermediate losses by ascending step: NaN and infinities as they were reported."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether to prune, and why, in words that a user understands."""

    prune: bool
    reason: str | None = None


KEEP = Decision(prune=False)
