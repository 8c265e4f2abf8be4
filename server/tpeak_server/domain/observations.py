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

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


class Outcome(IntEnum):
    """How a trial that teaches the sampler ended."""

    COMPLETE = 0
    PRUNED = 1
    LOST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Complete trials of other studies, which the study began with.

    Of each: the `source` that it is from (w,) and its `rank` there (w,), 0 the best of all that were `seen` there
    (sources,); `weight` (sources,) is how much the source is to count; `columns` (w,) are as a view's.
    """

    source: NDArray[np.int64]
    rank: NDArray[np.int64]
    seen: NDArray[np.int64]
    weight: Floats
    columns: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The finished trials of a study at one `seq`, in trial order. Nobody writes to its arrays."""

    seq: int
    numbers: NDArray[np.int64]
    outcome: NDArray[np.int8]
    loss: Floats
    last_step: NDArray[np.int64]
    last_loss: Floats
    violation: Floats
    columns: Mapping[str, Floats]
    warm: Warm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One drawn point: internal values by name, and where they come from (`startup`, `tpe`, `random`)."""

    values: Mapping[str, float]
    origin: str


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
