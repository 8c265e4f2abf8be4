"""Losses as a Gaussian process can take them: of mean 0 and deviation 1, and not led astray by the worst."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats, Outcome, View

ABOVE_MEDIAN = 1.0
"""How far above the median losses are told apart, in units of the median's distance to the least."""

WORTHWHILE = 3e-3
"""The least gain that is worth a trial, a share of how far the median of the first trials is from the best one."""

FIRST = 10
"""So many trials are taken to be what one finds without knowing anything."""

ROUNDING = 1e-14
"""Differences of this share of the largest loss are rounding, and not told apart."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """Losses (n,) of mean 0 and deviation 1, and the least gain that is worth a trial in the same units."""

    losses: Floats
    worthwhile: float


def shaped(view: View, objective: int = 0) -> Shaped:
    """The losses (n,) of one objective, cut above the median.

    What is bad needs no precise model. Trials that are not complete and feasible, or have no finite loss, are as bad as
    the worst of them.
    """
    loss = view.loss[:, objective]
    return _cut(loss, (view.outcome == Outcome.COMPLETE) & (view.violation <= 0) & np.isfinite(loss))


def excess(view: View) -> Shaped:
    """By how much trials (n,) violate their constraints, as a loss: what to reduce while none is feasible.

    However little it is, it is worth a trial.
    """
    return replace(_cut(view.violation, np.isfinite(view.violation)), worthwhile=0.0)


def violated(view: View) -> Floats:
    """How trials (n,) stand to their constraints: feasible ones at -1, others above 0 by the order of violation."""
    ranks = np.searchsorted(np.sort(view.violation), view.violation)
    return np.where(view.violation <= 0, -1.0, (1.0 + ranks) / len(ranks))


def _cut(loss: Floats, counts: NDArray[np.bool_]) -> Shaped:
    """The losses (n,), standardised and cut above the median of those that count."""
    if not counts.any():
        return Shaped(np.zeros(len(loss)), worthwhile=0.0)
    # Halved, so that no difference overflows.
    known = 0.5 * loss[counts]
    least, median = float(known.min()), float(np.median(known))
    worthwhile = WORTHWHILE * (float(np.median(known[:FIRST])) - least)
    # Once most trials are next to the best one, the median tells nothing apart but them.
    above = max(ABOVE_MEDIAN * (median - least), worthwhile - (median - least))
    limit = median + min(above, float(known.max()) - median)
    cut = np.full(len(loss), limit)
    cut[counts] = np.minimum(known, limit)
    losses = standardised(cut)
    scale = float(np.ptp(losses)) / (limit - least) if limit > least else 0.0
    return Shaped(losses, worthwhile * scale)


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
