"""Who survives: feasible first, then by front of non-domination, then the least crowded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats

NUMBER, VIOLATION, LOSSES = 0, 1, 2
"""Columns of individuals (n, 2 + objectives)."""

AT_ONCE = 1000
"""Individuals that are compared with each other at a time: each is with each."""


def survivors(individuals: Floats, size: int) -> Floats:
    """The best `size` of the individuals (n, 2 + objectives), the best one first."""
    kept = individuals[:0]
    for start in range(0, len(individuals), AT_ONCE):
        pool = np.concatenate([kept, individuals[start : start + AT_ONCE]])
        kept = pool[ranking(pool[:, VIOLATION], pool[:, LOSSES:], size)]
    return kept


def ranking(violation: Floats, loss: Floats, size: int) -> NDArray[np.int64]:
    """The indices of the best `size` of n individuals, the best one first; ties stay in their order."""
    loss = np.where(np.isnan(loss), np.inf, loss)
    feasible = np.flatnonzero(violation <= 0)
    found: list[NDArray[np.int64]] = []
    for front in fronts(loss[feasible], size):
        members = feasible[front]
        found.append(members[np.argsort(-crowding(loss[members]), kind="stable")])
    infeasible = np.flatnonzero(~(violation <= 0))
    found.append(infeasible[np.argsort(violation[infeasible], kind="stable")])
    return np.concatenate(found)[:size]


def fronts(loss: Floats, size: int) -> list[NDArray[np.int64]]:
    """The fronts of n individuals, the best one first, as far as they are needed to have `size` of them."""
    worse_somewhere: NDArray[np.bool_] = np.any(loss[:, np.newaxis] > loss[np.newaxis], axis=2)
    # Who is worse nowhere dominates whoever is worse somewhere.
    dominates = ~worse_somewhere & worse_somewhere.T
    above = np.count_nonzero(dominates, axis=0)
    found: list[NDArray[np.int64]] = []
    while sum(map(len, found)) < min(size, len(loss)):
        front = np.flatnonzero(above == 0)
        found.append(front)
        above = above - np.count_nonzero(dominates[front], axis=0)
        above[front] = -1
    return found


def crowding(loss: Floats) -> Floats:
    """How far the neighbours of each of n individuals (n,) are apart, summed over the objectives, in extents.

    The first and the last one of an objective have an infinite distance; where all are equal, it counts for nothing.
    """
    total = np.zeros(len(loss))
    for column in loss.T:
        order = np.argsort(column, kind="stable")
        ascending = column[order]
        if len(loss) and ascending[0] == ascending[-1]:
            continue
        padded = np.concatenate([[-np.inf], ascending, [np.inf]])
        below, above = padded[:-2], padded[2:]
        finite = ascending[np.isfinite(ascending)]
        extent = finite[-1] - finite[0] if len(finite) > 1 else 0.0
        gap = np.subtract(above, below, out=np.zeros(len(loss)), where=above != below)
        total[order] += gap / (extent if 0 < extent < np.inf else 1.0)
    return total
