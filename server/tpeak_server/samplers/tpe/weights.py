"""How much each trial counts in its mixture."""

from __future__ import annotations

import numpy as np

from tpeak_server.domain.observations import Floats

RECENT = 25
"""The newest trials, which keep their full weight; before them it falls off (Bergstra et al. 2013, hyperopt)."""

PRIOR_WEIGHT = 1.0


def weights_by_age(count: int) -> Floats:
    """The weights (count,) of trials in trial order: a ramp from 1 / count up to 1, then ones for the recent ones."""
    ramp = np.linspace(1.0 / max(count, 1), 1.0, max(count - RECENT, 0))
    return np.concatenate([ramp, np.ones(min(count, RECENT))])


def weights_by_rank(ranks: Floats, power: float) -> Floats:
    """The weights (n,) of good trials by their ranks 0, 1, ... n - 1: falling from the best, with the mean 1.

    An improvement over the worst of them is worth more the larger it is (the expected improvement of Watanabe, section
    3.2, with ranks in place of values, which any monotonic change of the objective leaves as they are).
    """
    if not len(ranks):
        return ranks
    weights = (1.0 - ranks / len(ranks)) ** power
    scaled: Floats = weights / weights.mean()
    return scaled
