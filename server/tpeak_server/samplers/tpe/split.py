"""Which finished trials are good."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers.tpe.fronts import covering, mean_rank, nondominated
from tpeak_server.samplers.tpe.rules import Rules
from tpeak_server.samplers.tpe.volume import best_of_several

MOST_GOOD = 25
"""Of several objectives, how many are told apart where nobody says."""

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
        count = min(count, rules.most_good)
        order = ranking(view, count)
    return order[:count], np.sort(order[count:])


def ranking(view: View, count: int = MOST_GOOD) -> NDArray[np.int64]:
    """All trials from best to worst (n,); ties stay in trial order.

    Complete trials by loss (NaN last), of several objectives the `count` best and then the others; then pruned ones by
    their deepest step, within it by the loss there (NaN last; no report at all comes after every step); then infeasible
    and lost ones by violation.
    """
    return _ranked(view, lambda loss: _own_keys(loss, count))


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


def _own_keys(loss: Floats, count: int) -> Floats:
    """Sort keys (n,) of several objectives, by which the `count` best trials come first and the rest shares one key."""
    best = best_of_several(loss, count)
    keys = np.full(len(loss), np.inf)
    keys[best] = np.arange(len(best))
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
            chosen = covering(loss[members], count) if small else mean_rank(loss[members]).argsort(kind="stable")
            members = members[chosen[:count]]
        keys[members] = front
        left, count, front = left[~best], count - len(members), front + 1
    return keys
