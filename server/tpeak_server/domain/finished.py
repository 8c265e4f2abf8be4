"""Finished trials by the thousand, as columns: what a cache learns from them, without a record of each.

| symbol | meaning |
|---|---|
| n | trials that are alike |
| k | parameters that were proposed |
| t | trials that reported |
| r | reports of all of them |
| p | values of the widest report |
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats, Tried
from tpeak_server.domain.trial import TrialState, violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Finished trials in one state, with parameters of the same distributions, all proposed at once, of which their
    workers used the same.

    `proposed` (n, k) are internal values in the order of `ids`, `values` (n, objectives) and `constraints` (n, any)
    None where the trials have none; `sampled` (n,) says which proposals were sampled here.
    """

    state: TrialState
    ids: tuple[int, ...]
    used: tuple[str, ...] | None
    numbers: NDArray[np.int64]
    proposed: Floats
    values: Floats | None
    constraints: Floats | None
    origins: Sequence[str]
    sampled: NDArray[np.bool_]

    def violations(self) -> Floats:
        """How far each is from feasible (n,)."""
        if self.constraints is None:
            return np.full(len(self.numbers), violation(self.state, None))
        return np.array([violation(self.state, one) for one in self.constraints.tolist()], dtype=np.float64)

    def tried(self) -> Iterator[tuple[int, Tried]]:
        """Each trial's number, and where it was."""
        for number, origin, values in zip(self.numbers.tolist(), self.origins, self.proposed, strict=True):
            yield (
                number,
                Tried(
                    state=self.state,
                    origin=origin,
                    ids=self.ids,
                    values=array("d", values.tobytes()),
                    proposed=len(self.ids),
                    fixed={},
                    used=self.used,
                ),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepwise:
    """What trials reported in the epoch that counts, one trial after the other and each by ascending step.

    Trial `numbers[i]` has the reports from `starts[i]` up to `starts[i + 1]`, the widest of which has `places[i]`
    values, and `costed[i]` says whether any has a cost. `steps` (r,), `values` (p, r) with NaN for what a report
    lacks, `costs` (r,) with 0 for none.
    """

    numbers: NDArray[np.int64]
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    costed: NDArray[np.bool_]
    steps: NDArray[np.int64]
    values: Floats
    costs: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Some of a study's finished trials: those that are alike together, and what any of them reported."""

    groups: Sequence[Alike]
    reports: Stepwise
