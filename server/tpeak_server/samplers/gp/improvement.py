"""How much a point is expected to improve on the best one."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr, logsumexp, ndtr, ndtri
from scipy.stats import qmc

from tpeak_server.domain.observations import Floats

SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
LOG_SQRT_2_PI = 0.5 * math.log(2.0 * math.pi)

FAR = 1e3
"""Deviations beyond which 1 - z Q(z) / phi(z) has lost its digits, and is 1 / z^2."""

AUGMENTATION = 0.05

SOFTNESS = 1e-2
"""Improvements smaller than this, of a range of 1, count for less and less, but for something."""

CERTAIN = 30.0
"""From here on log(1 + exp(-x)) is exp(-x)."""

MOST_OBJECTIVES = 16

_NORMAL_DRAWS: Floats = ndtri(qmc.Sobol(MOST_OBJECTIVES, seed=0).random(64))
"""(64, objectives): the same for all suggestions, so that candidates are compared by the same luck."""


def log_expected_improvement(mean: Floats, deviation: Floats, least: float) -> Floats:
    """The log (c,) of E[max(least - loss, 0)], precise where almost nothing is expected, too.

    The formulas are those of Ament et al. (arXiv 2310.20708).
    """
    z = (least - mean) / deviation
    return np.log(deviation) + _log_of_standard(z)


def _log_of_standard(z: Floats) -> Floats:
    """log(phi(z) + z Phi(z)); elementwise."""
    near = z > -1.0
    found = -0.5 * z * z - LOG_SQRT_2_PI
    up = z[near]
    found[near] = np.log(np.exp(found[near]) + up * ndtr(up))
    down = -z[~near]
    rest = 1.0 - down * SQRT_HALF_PI * erfcx(down / math.sqrt(2.0))
    found[~near] += np.log(np.where(down > FAR, 1.0 / (down * down), rest))
    return found


def log_feasible(mean: Floats, deviation: Floats) -> Floats:
    """The log probability (c,) that the constraints hold: that a violation so distributed is below 0."""
    found: Floats = log_ndtr(-mean / deviation)
    return found


def log_scalarised_improvement(mean: Floats, deviation: Floats, seen: Floats, weights: Floats) -> Floats:
    """The log of the improvement expected (c,) in a weighted worst loss of several objectives (k,).

    That is the augmented Chebyshev sum of Knowles (2006, ParEGO), max(weights loss) + 0.05 sum(weights loss), of losses
    that lie between 0 and 1 over what was seen (k, n). `mean` and `deviation` are (k, c).
    """
    low, high = seen.min(axis=1, keepdims=True), seen.max(axis=1, keepdims=True)
    unit = np.where(high > low, high - low, 1.0)

    def scalarised(losses: Floats) -> Floats:
        parts = weights[:, np.newaxis] * ((losses - low) / unit)
        found: Floats = parts.max(axis=-2) + AUGMENTATION * parts.sum(axis=-2)
        return found

    draws = scalarised(mean + deviation * _NORMAL_DRAWS[:, : len(mean), np.newaxis])
    gain = (scalarised(seen).min() - draws) / SOFTNESS
    # A soft maximum with 0: where no draw improves, the one that comes closest counts.
    log_soft = np.where(gain < -CERTAIN, gain, np.log(np.logaddexp(0.0, np.maximum(gain, -CERTAIN))))
    found: Floats = logsumexp(log_soft, axis=0)
    return found
