"""The signed-rank test of Wilcoxon (1945), one-sided: whether differences lie above zero.

| symbol | shape | meaning |
|---|---|---|
| n | | differences, zeros included |
| doubled | (n,) | twice the rank of each by size, the mean one among equals: an integer |
| above | | twice the sum of the ranks of the positive ones |
| halves | | half of twice the ranks of the zeros, which count half on each side (scipy's "zsplit") |
| ties | (groups,) | how many have the same size |

The p-value is that of scipy.stats.wilcoxon(differences, alternative="greater", zero_method="zsplit"), which enumerates
2^n permutations in Python where a few differences tie: seconds of CPU. The same distribution is found here by
counting; and scipy's checks of its input alone take about the millisecond that a decision has.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tpeak_server.domain.observations import Floats

MOST_EXACT, MOST_TIED = 50, 13
"""Up to so many differences scipy finds the exact distribution: without and with ties or zeros among them."""


def p_value(differences: Floats) -> float:
    """The probability, were each difference as likely to be negative, of a sum of ranks as high as this one.

    Args:
        differences: (n,) with n >= 1, infinite perhaps, but never NaN.
    """
    n = len(differences)
    _, group, ties = np.unique(np.abs(differences), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(ties) - ties + 1)[group]
    zero = differences == 0.0
    above = int(doubled[differences > 0.0].sum())
    tied = len(ties) < n or bool(zero.any())
    if n <= (MOST_TIED if tied else MOST_EXACT):
        return _exact(doubled[~zero], above)
    halves = doubled[zero].sum() / 2.0
    return _normal(n, (above + halves) / 2.0, ties)


def _exact(doubled: NDArray[np.int64], above: int) -> float:
    """The share of the choices of signs whose sum of doubled ranks is at least `above`."""
    choices = np.zeros(int(doubled.sum()) + 1)
    choices[0] = 1.0
    for rank in doubled:
        choices[rank:] = choices[rank:] + choices[:-rank]
    # Exact: no count exceeds 2^50.
    return float(choices[above:].sum() / 2.0 ** len(doubled))


def _normal(n: int, ranks: float, ties: NDArray[np.int64]) -> float:
    """The normal approximation, its variance corrected for ties, without a correction for continuity."""
    mean = n * (n + 1) / 4.0
    tied = float((ties.astype(float) ** 3 - ties).sum())
    deviation = math.sqrt((n * (n + 1) * (2 * n + 1) - tied / 2.0) / 24.0)
    return float(ndtr((mean - ranks) / deviation))
