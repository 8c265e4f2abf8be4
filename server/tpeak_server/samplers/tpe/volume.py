"""The good trials of several objectives: whole fronts, and of the last one those that together cover most.

| symbol | shape | meaning |
|---|---|---|
| loss | (n, k) | of n trials in k objectives |
| unit | (n, k) | the same, 0 at the best and 1 at the worst of these trials |
| lower, upper | (c, k) | corners of disjoint cells that together are what is not covered yet |

A trial covers the box from its point up to the reference, a tenth of the range beyond the worst in each objective. A
subset that covers most is chosen greedily (Guerreiro et al. 2016), each time the trial that adds most to the volume.
The good ones then weigh by the volume that each covers alone (Ozaki et al., JAIR 2022).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.tpe.fronts import mean_rank, no_worse, nondominated

REFERENCE = 1.1
"""In units of the range of each objective among the trials that are compared."""

MOST_SORTED = 4096
"""Of how many trials that may be among the best the fronts are found: that takes 0.1 s at worst."""

MOST_COMPARED = {2: 4096, 3: 4096, 4: 1024, 5: 256, 6: 128}
"""By the number of objectives, of how many trials is found what covers most: that takes some 50 ms at worst."""

MOST_WEIGHED = 3
"""Up to so many objectives trials weigh by what each covers alone: with more, most of a front covers about as much."""

LEAST_WEIGHT = 1e-12
"""Of what the heaviest weighs, as in Ozaki et al.: a dominated trial is good only where there are too few others."""

STRONG = 64
"""Of how many trials it is counted first which other ones they dominate."""


def best_of_several(loss: Floats, count: int) -> NDArray[np.int64]:
    """The indices of the `count` best trials (n, k), or all, front by front.

    Where more than MOST_SORTED may be among them, or a front has more than MOST_COMPARED, those with the best mean rank
    are looked at; of seven and more objectives these are taken.
    """
    return _best_of_several(loss.tobytes(), loss.shape, count)


@lru_cache(maxsize=4)
def _best_of_several(data: bytes, shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """The same; every parameter that is drawn by itself asks for it again."""
    loss = np.frombuffer(data).reshape(shape)
    left = _possible(loss, count)
    found = [left[:0]]
    while count > 0 and len(left):
        undominated = nondominated(loss[left])
        front = left[undominated]
        found.append(_best_of_front(loss, front, count))
        left, count = left[~undominated], count - len(front)
    return np.concatenate(found)


def _possible(loss: Floats, count: int) -> NDArray[np.int64]:
    """The trials (n, k) that few enough dominate: each that does is in an earlier front."""
    return _first_by_rank(loss, _dominated_by_few(loss, count), MOST_SORTED)


def _dominated_by_few(loss: Floats, count: int) -> NDArray[np.int64]:
    if len(loss) <= count + STRONG:
        return np.arange(len(loss))
    strong = loss[np.argpartition(mean_rank(loss), STRONG)[:STRONG]]
    dominating = no_worse(strong, loss) & ~no_worse(loss, strong).T
    return np.flatnonzero(dominating.sum(axis=0) < count)


def _best_of_front(loss: Floats, front: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(front) <= count:
        return front
    front = _first_by_rank(loss, front, MOST_COMPARED.get(loss.shape[1], count))
    return front if len(front) == count else front[covering_unit(loss[front], count)]


def _first_by_rank(loss: Floats, trials: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the trials, in trial order: those with the best mean rank among them."""
    if len(trials) <= most:
        return trials
    return np.sort(trials[mean_rank(loss[trials]).argsort(kind="stable")[:most]])


def covering_unit(loss: Floats, count: int) -> NDArray[np.int64]:
    """The indices (count,) of trials (n, k) that together cover most, that which adds most first; of equals the first.

    Whatever the units of the objectives, the choice is the same.
    """
    unit = unit_losses(loss)
    lower, upper = np.zeros((1, unit.shape[1])), np.full((1, unit.shape[1]), REFERENCE)
    adds = (REFERENCE - unit).prod(axis=1)
    chosen = np.empty(count, dtype=np.int64)
    for at in range(count):
        best = chosen[at] = int(np.argmax(adds))
        reached = (upper > unit[best]).all(axis=1)
        corner = np.maximum(lower[reached], unit[best])
        # What is covered now are the reached cells from their corners up; nobody adds that any more.
        for low, high in zip(corner, upper[reached], strict=True):
            adds -= np.maximum(high - np.maximum(unit, low), 0.0).prod(axis=1)
        adds[best] = -np.inf
        rest_lower, rest_upper, _ = _slabs(lower[reached], upper[reached], corner)
        lower = np.concatenate([lower[~reached], rest_lower])
        upper = np.concatenate([upper[~reached], rest_upper])
    return chosen


def weights_of_several(loss: Floats) -> Floats:
    """The same as `weights_by_volume`, NaN as the worst; every parameter that is drawn by itself asks for it again."""
    return _weights_of_several(np.where(np.isnan(loss), np.inf, loss).tobytes(), loss.shape)


@lru_cache(maxsize=4)
def _weights_of_several(data: bytes, shape: tuple[int, ...]) -> Floats:
    return weights_by_volume(np.frombuffer(data).reshape(shape))


def weights_by_volume(loss: Floats) -> Floats:
    """The weights (n,) of good trials (n, k), n up to some tens: by what each covers alone, with the mean 1.

    Equal trials share what they cover. Of more than MOST_WEIGHED objectives all weigh the same.
    """
    if loss.shape[1] > MOST_WEIGHED or not len(loss):
        return np.ones(len(loss))
    unique, which, counts = np.unique(unit_losses(loss), axis=0, return_inverse=True, return_counts=True)
    volumes = (_alone(unique) / counts)[which.reshape(-1)]
    weights = np.maximum(volumes, LEAST_WEIGHT * volumes.max())
    scaled: Floats = weights / weights.mean()
    return scaled


def _alone(unit: Floats) -> Floats:
    """The volume (n,) that each point (n, k) covers and no other one does."""
    k = unit.shape[1]
    lower, upper = np.zeros((1, k)), np.full((1, k), REFERENCE)
    once_lower, once_upper, owner = np.empty((0, k)), np.empty((0, k)), np.empty(0, dtype=np.int64)
    for at, point in enumerate(unit):
        # What one point has covered so far and this one covers, too, is nobody's alone.
        reached = (once_upper > point).all(axis=1)
        corner = np.maximum(once_lower[reached], point)
        rest_lower, rest_upper, cell = _slabs(once_lower[reached], once_upper[reached], corner)
        free = (upper > point).all(axis=1)
        first = np.maximum(lower[free], point)
        once_lower = np.concatenate([once_lower[~reached], rest_lower, first])
        once_upper = np.concatenate([once_upper[~reached], rest_upper, upper[free]])
        owner = np.concatenate([owner[~reached], owner[reached][cell], np.full(len(first), at)])
        rest_lower, rest_upper, _ = _slabs(lower[free], upper[free], first)
        lower, upper = np.concatenate([lower[~free], rest_lower]), np.concatenate([upper[~free], rest_upper])
    volumes = np.zeros(len(unit))
    np.add.at(volumes, owner, (once_upper - once_lower).prod(axis=1))
    return volumes


def unit_losses(loss: Floats) -> Floats:
    """The losses (n, k) from the best finite one, 0, to the worst, 1, where infinite ones are, too; a constant is 0."""
    finite = np.isfinite(loss)
    low = np.where(finite, loss, np.inf).min(axis=0)
    high = np.where(finite, loss, -np.inf).max(axis=0)
    none = low > high
    low, high = np.where(none, 0.0, low), np.where(none, 0.0, high)
    half = high / 2 - low / 2  # the range itself may be infinite
    unit: Floats = (np.clip(loss, low, high) / 2 - low / 2) / np.where(half > 0, half, 1.0)
    return unit


def _slabs(lower: Floats, upper: Floats, corner: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """The cells (c, k) without what lies from their corners (c, k) up, and of which cell each part is.

    A slab an objective, where it is not empty.
    """
    lows, highs, cells = [], [], []
    for objective in range(lower.shape[1]):
        kept = np.flatnonzero(corner[:, objective] > lower[:, objective])
        high = upper[kept].copy()
        high[:, objective] = corner[kept, objective]
        lows.append(lower[kept])
        highs.append(high)
        cells.append(kept)
        lower = lower.copy()
        lower[:, objective] = corner[:, objective]
    return np.concatenate(lows), np.concatenate(highs), np.concatenate(cells)
