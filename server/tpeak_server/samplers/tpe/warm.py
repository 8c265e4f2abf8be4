"""How much the trials of other studies count beside the study's own.

| symbol | shape | meaning |
|---|---|---|
| w | | trials of other studies |
| strength | (sources,) | how many own trials a source counts as |

They help where there is nothing else and are forgotten exponentially, so that a source that misleads costs little.
"""

from __future__ import annotations

import math

import numpy as np

from tpeak_server.domain.observations import Floats, View, Warm
from tpeak_server.samplers.tpe.rules import Rules
from tpeak_server.samplers.tpe.split import finished

AS_MANY = 25
"""A source of weight 1 counts as its trials at first, but not as more than so many own ones."""

HALVED_AFTER = 8.0
"""Own finished trials after which it counts half as much."""

NEGLIGIBLE = 0.01
"""What counts for less than that share of an own trial counts for nothing, and costs no time."""

STARTUP_LEFT = 0.3
"""The share of the startup trials that other studies cannot stand in for: they show where the source is wrong."""


def strengths(warm: Warm, own: int) -> Floats:
    """How many own trials each source counts as, when so many have finished."""
    as_many: Floats = warm.weight * np.minimum(warm.seen, AS_MANY) * 0.5 ** (own / HALVED_AFTER)
    return np.where(as_many < NEGLIGIBLE, 0.0, as_many)


def startup_trials(warm: Warm | None, count: int) -> int:
    """How many startup trials are needed where `count` are without other studies."""
    if warm is None:
        return count
    return max(math.ceil(STARTUP_LEFT * count), count - int(strengths(warm, 0).sum()))


def weights(view: View, rules: Rules) -> tuple[Floats, Floats] | None:
    """The weights (w,) of other studies' trials in the good and the bad mixture; None where there are none.

    Each source is split by its own ranks, as the study's trials are.
    """
    warm = view.warm
    if warm is None or rules.reference:
        return None
    strength = strengths(warm, finished(view))
    if not strength.any():
        return None
    good, bad = np.zeros(len(warm.source)), np.zeros(len(warm.source))
    for source, (seen, counts_as) in enumerate(zip(warm.seen, strength, strict=True)):
        mine = warm.source == source
        is_good = mine & (warm.rank < min(math.ceil(rules.good_share * seen), rules.most_good))
        is_bad = mine & ~is_good
        good[is_good] = rules.good_share * counts_as / max(1, np.count_nonzero(is_good))
        bad[is_bad] = (1.0 - rules.good_share) * counts_as / max(1, np.count_nonzero(is_bad))
    return good, bad
