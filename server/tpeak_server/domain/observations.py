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
| signs | (objectives,) | what turns a value into a loss: 1, or -1 where larger is better |
| generations[kind] | (n,) | in which generation of that kind of sampler the trial was proposed, NONE where in none |

Categorical columns hold indices into the *current* distribution's choices, NaN for a choice that is gone; numeric
columns may hold values outside of the current range where the range was another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.trial import UNFINISHED, TrialState

Floats: TypeAlias = NDArray[np.float64]

NONE = -1
"""Stands for the generation of a trial that belongs to none."""


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
class Reports:
    """What a view's trials reported of their only objective on the way, as losses, one trial after the other.

    Trial i has `losses[starts[i]:starts[i + 1]]` at the `steps` in the same places, which ascend. Losses may be NaN or
    infinite.
    """

    starts: NDArray[np.int64]
    steps: NDArray[np.int64]
    losses: Floats

    def first(self, count: int) -> Reports:
        """Those of the first trials alone."""
        end = self.starts[count]
        return Reports(starts=self.starts[: count + 1], steps=self.steps[:end], losses=self.losses[:end])


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The finished trials of a study at one `seq`, in trial order. Nobody writes to its arrays.

    `tried` is every trial there is, whatever its state, where the sampler or a discrete space asks for it, else None.
    `reports` are there where some of them were pruned, while they are few.
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
    signs: Sequence[float] = (1.0,)
    generations: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    warm: Warm | None = None
    reports: Reports | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One drawn point: internal values by name, and where they come from (`startup`, `tpe`, `cmaes 3`).

    `distributions` are those of the values where they are not the ones of the space asked for; `fixed` are external
    values for names of which no distribution is known yet.
    """

    values: Mapping[str, float]
    origin: str
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)


def origin_in(kind: str, generation: int) -> str:
    """The origin of what a sampler of this kind proposes in this generation."""
    return f"{kind} {generation}"


def generation_of(origin: str) -> tuple[str, int] | None:
    """The kind of sampler and the generation that an origin names, None where it names none."""
    kind, _, generation = origin.partition(" ")
    # An imported trial's origin is anything.
    return (kind, int(generation)) if re.fullmatch("[0-9]{1,9}", generation) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A trial's intermediate losses by ascending step: NaN and infinities as they were reported.

    `before` is the deepest step that an earlier report had, below the last one; None where there was none. `spent` are
    the sums of the costs up to each step, and none where no report has a cost. `known_step` is the deepest step of all
    earlier reports, None where there were none, and `known_cost` the sum of their costs. `number` is the trial's.
    """

    number: int
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    before: int | None = None
    spent: tuple[float, ...] = ()
    known_step: int | None = None
    known_cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether to prune, and why, in words that a user understands."""

    prune: bool
    reason: str | None = None


KEEP = Decision(prune=False)
