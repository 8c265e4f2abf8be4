"""Several objectives: which trials no other one dominates, and which of these cover most.

| symbol | shape | meaning |
|---|---|---|
| loss | (n, k) | of n trials in k objectives |
| boxes | (n, k) | what each trial dominates: its extent below the reference point |

A subset that covers most is chosen greedily (Guerreiro et al. 2016), each time the trial that adds most to the volume.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats

MARGIN = 0.1
"""The reference point is a tenth beyond the worst loss in each objective, as Optuna's is."""

LEAST_REFERENCE = 1e-12
"""In place of a reference of 0, as in Optuna."""

AT_ONCE = 64
"""Points that are compared with all others in one go."""


def nondominated(loss: Floats) -> NDArray[np.bool_]:
    """Which points (n,) no other point dominates; of equal points the first."""
    order = np.lexsort(loss.T[::-1])  # what dominates another, or is equal and the first, comes before it
    ahead = {2: _of_two, 3: _of_three}.get(loss.shape[1], _of_many)(loss[order])
    kept = np.zeros(len(loss), dtype=bool)
    kept[order[ahead]] = True
    return kept


def _of_two(loss: Floats) -> NDArray[np.bool_]:
    """The same of sorted points (n, 2): each must be below all before it."""
    lowest = np.minimum.accumulate(loss[:, 1])
    return np.concatenate([[True], loss[1:, 1] < lowest[:-1]])[: len(loss)]


def _of_three(loss: Floats) -> NDArray[np.bool_]:
    """The same of sorted points (n, 3): each is compared with one step of the stairs that those before it make."""
    kept = np.zeros(len(loss), dtype=bool)
    seconds: list[float] = []  # ascending
    thirds: list[float] = []  # descending, the lowest up to there
    for at, (_, second, third) in enumerate(loss.tolist()):
        step = bisect_right(seconds, second)
        if step and thirds[step - 1] <= third:
            continue
        kept[at] = True
        first = step - 1 if step and seconds[step - 1] == second else step
        last = step
        while last < len(thirds) and thirds[last] >= third:
            last += 1
        seconds[first:last], thirds[first:last] = [second], [third]
    return kept


def _of_many(loss: Floats) -> NDArray[np.bool_]:
    """The same of sorted points (n, k): some at a time, which drop those that they dominate."""
    kept = np.zeros(len(loss), dtype=bool)
    left = np.arange(len(loss))
    while len(left):
        some, left = left[:AT_ONCE], left[AT_ONCE:]
        worse = np.triu(no_worse(loss[some], loss[some]), 1).any(axis=0)
        some = some[~worse]
        kept[some] = True
        left = left[~no_worse(loss[some], loss[left]).any(axis=0)]
    return kept


def no_worse(one: Floats, other: Floats) -> NDArray[np.bool_]:
    """Where (n, m) a point (n, k) is nowhere worse than another (m, k)."""
    found = one[:, None, 0] <= other[:, 0]
    for objective in range(1, one.shape[1]):
        found &= one[:, None, objective] <= other[:, objective]
    return found


def mean_rank(loss: Floats) -> Floats:
    """The rank (n,) of each trial (n, k), averaged over the objectives; equal losses rank in trial order."""
    rank: Floats = loss.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable").mean(axis=1)
    return rank


def covering(loss: Floats, count: int) -> NDArray[np.int64]:
    """The indices (count,) of trials that together cover most; equal ones cover nothing more and come last.

    Of infinite extents none is the largest: there it is the first ones by their losses.
    """
    return _covering(loss.tobytes(), loss.shape, count)


@lru_cache(maxsize=4)
def _covering(data: bytes, shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """The same; every parameter that is drawn by itself asks for it again."""
    loss = np.frombuffer(data).reshape(shape)
    unique, first = np.unique(loss, axis=0, return_index=True)
    if len(unique) <= count:
        repeated = np.setdiff1d(np.arange(len(loss)), first)
        return np.concatenate([first, repeated[: count - len(unique)]])
    worst = unique.max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        reference = np.maximum((1.0 + MARGIN) * worst, (1.0 - MARGIN) * worst)
        boxes = np.where(reference == 0.0, LEAST_REFERENCE, reference) - unique
        return first[:count] if not np.isfinite(boxes).all() else first[_greedy(boxes, count)]


def _greedy(boxes: Floats, count: int) -> NDArray[np.int64]:
    volumes = boxes.prod(axis=1)
    # What a box adds shrinks as others are chosen. So what it added once is a bound, and most need no second look.
    adds = volumes.copy()
    chosen: list[int] = []
    for _ in range(count):
        known = np.zeros(len(boxes), dtype=bool)
        while not known[best := int(np.argmax(adds))]:
            adds[best] = volumes[best] - _volume(np.minimum(boxes[chosen], boxes[best]))
            known[best] = True
        chosen.append(best)
        adds[best] = -np.inf
    return np.array(chosen)


def _volume(boxes: Floats) -> float:
    """The volume of the union of boxes that share a corner.

    Each in turn adds itself without what the later ones cover of it (While et al. 2012).
    """
    boxes = boxes[np.argsort(boxes[:, -1], kind="stable")]
    if boxes.shape[1] == 2:
        return float(np.diff(boxes[:, 1], prepend=0.0) @ np.maximum.accumulate(boxes[::-1, 0])[::-1])
    boxes = boxes[nondominated(-boxes)]
    return sum(float(box.prod()) - _volume(np.minimum(boxes[at + 1 :], box)) for at, box in enumerate(boxes))
