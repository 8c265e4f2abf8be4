"""Which finished trials are good."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers.tpe.fronts import covering, nondominated
from tpeak_server.samplers.tpe.rules import Rules

MOST_GOOD = 25
"""Fronts are peeled off until they hold this many."""

LARGEST_FRONTS = {2: 2048, 3: 256, 4: 100}
"""By the number of objectives, the largest front of which is found what covers most: it takes some seconds at worst."""


def finished(view: View) -> int:
    """How many trials are complete or pruned: what startup and the good share count."""
    return int(np.count_nonzero(view.outcome != Outcome.LOST))


def split(view: View, rules: Rules) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The indices of the good trials, the best one first, and of the bad ones in trial order; every trial is in one."""
    count = math.ceil(rules.good_share * finished(view))
    if rules.reference and view.loss.shape[1] > 1:
        order = _ranked(view, lambda loss: _optunas_keys(loss, count))
    else:
        order, count = ranking(view), min(count, rules.most_good)
    return order[:count], np.sort(order[count:])


def ranking(view: View) -> NDArray[np.int64]:
    """All trials from best to worst (n,); ties stay in trial order.

    Complete trials by loss (NaN last), then pruned ones by their deepest step, within it by the loss there (NaN last;
    no report at all comes after every step), then infeasible and lost ones by violation.
    """
    return _ranked(view, _domination_keys)


def _ranked(view: View, keys_of_several: Callable[[Floats], Floats]) -> NDArray[np.int64]:
    """The ranking (n,), with sort keys (n,) of complete trials' losses (n, objectives) where there are several."""
    infeasible = ~(view.violation <= 0)
    pruned = ~infeasible & (view.outcome == Outcome.PRUNED)
    group = np.where(infeasible, 2, np.where(pruned, 1, 0))
    reported = view.last_step >= 0
    depth = np.where(reported, -view.last_step.astype(np.float64), np.inf)
    first = np.select(
        [infeasible, pruned], [view.violation, depth], _rank_of_loss(view.loss, group == 0, keys_of_several)
    )
    second = np.where(pruned & reported, view.last_loss, 0.0)
    return np.lexsort((_nan_last(second), _nan_last(first), group))


def _nan_last(keys: Floats) -> Floats:
    """NaN ranks with +inf, where the trial order decides."""
    return np.where(np.isnan(keys), np.inf, keys)


def _rank_of_loss(loss: Floats, wanted: NDArray[np.bool_], keys_of_several: Callable[[Floats], Floats]) -> Floats:
    """A sort key (n,) for the losses (n, objectives) of the wanted trials: the loss itself if there is one only."""
    if loss.shape[1] == 1:
        return loss[:, 0]
    keys = np.full(len(loss), np.inf)
    keys[wanted] = keys_of_several(_nan_last(loss[wanted]))
    return keys


def _domination_keys(loss: Floats) -> Floats:
    """Sort keys (n,) of several objectives: by front of non-domination, within a front by the mean rank.

    Fronts are peeled off only until they hold the good trials; the rest shares one key beyond them.
    """
    mean_rank = _mean_rank(loss)
    keys = np.full(len(loss), np.inf)
    left = np.arange(len(loss))
    front = 0
    while len(left) and len(loss) - len(left) < MOST_GOOD:
        best = nondominated(loss[left])
        keys[left[best]] = front * len(loss) + mean_rank[left[best]]
        left = left[~best]
        front += 1
    return keys


def _optunas_keys(loss: Floats, count: int) -> Floats:
    """Sort keys (n,) by which Optuna's `count` good trials come first.

    They are whole fronts, in which equal trials are together, and of the last one those that cover most; of a front too
    large for that, those with the best mean rank.
    """
    keys = np.full(len(loss), np.inf)
    left = np.arange(len(loss))
    front = 0
    while len(left) and count > 0:
        unique, which = np.unique(loss[left], axis=0, return_inverse=True)
        best = nondominated(unique)[which.reshape(-1)]
        members = left[best]
        if len(members) > count:
            small = len(members) <= LARGEST_FRONTS.get(loss.shape[1], 0)
            chosen = covering(loss[members], count) if small else _mean_rank(loss[members]).argsort(kind="stable")
            members = members[chosen[:count]]
        keys[members] = front
        left, count, front = left[~best], count - len(members), front + 1
    return keys


def _mean_rank(loss: Floats) -> Floats:
    """The rank (n,) of each trial, averaged over the objectives."""
    rank: Floats = loss.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable").mean(axis=1)
    return rank
