"""Losses as a Gaussian process can take them: of mean 0 and deviation 1, and not led astray by the worst."""

from __future__ import annotations

import numpy as np

from tpeak_server.domain.observations import Floats, Outcome, View

ABOVE_MEDIAN = 1.0
"""How far above the median losses are told apart, in units of the median's distance to the least."""

ROUNDING = 1e-14
"""Differences of this share of the largest loss are rounding, and not told apart."""


def shaped(view: View, objective: int = 0) -> Floats:
    """The losses (n,) of one objective, cut above the median.

    What is bad needs no precise model. Trials that are not complete and feasible, or have no finite loss, are as bad as
    the worst of them.
    """
    loss = view.loss[:, objective]
    counts = (view.outcome == Outcome.COMPLETE) & (view.violation <= 0) & np.isfinite(loss)
    if not counts.any():
        return np.zeros(len(loss))
    # Halved, so that no difference overflows.
    known = 0.5 * loss[counts]
    median = np.median(known)
    limit = median + min(ABOVE_MEDIAN * (median - known.min()), known.max() - median)
    cut = np.full(len(loss), limit)
    cut[counts] = np.minimum(known, limit)
    return standardised(cut)


def violated(view: View) -> Floats:
    """How trials (n,) stand to their constraints: of deviation 1, feasible ones below 0 and the others above."""
    return np.where(view.violation <= 0, -1.0, 1.0)


def standardised(values: Floats) -> Floats:
    """The values (n,) with mean 0, and deviation 1 unless all are the same."""
    largest = np.abs(values).max()
    # Whatever their size, no sum or square overflows or vanishes.
    values = values / (largest if largest > 0 else 1.0)
    values -= values.mean()
    spread = np.abs(values).max()
    if not spread > ROUNDING:
        return np.zeros(len(values))
    values /= spread
    found: Floats = values / values.std()
    return found
