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
