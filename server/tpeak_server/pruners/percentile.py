"""Prune what is not among the best p percent at its step: the semantics of Optuna 5.0's PercentilePruner.

The trial's best value so far stands against the percentile of the complete trials' values at the very step. Where
that percentile is undefined because an infinity takes part in numpy's interpolation (the median of 1, 2, inf is NaN
there, and Optuna then keeps every trial), this rule interpolates on the extended real line: that median is 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.pruners.interval import looks
from tpeak_server.pruners.reasons import counted, told_apart
from tpeak_server.pruners.seam import Peers

MEDIAN = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentilePruner:
    """Prunes a trial whose best value so far is not among the best `percentile` (0 to 100) at that step.

    It waits until `n_startup_trials` trials are complete and for step `n_warmup_steps`, looks once in every
    `interval_steps` steps, and only where at least `n_min_trials` complete trials have a value at the step. NaN is
    ignored; a trial with nothing but NaN is pruned.
    """

    percentile: float
    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = 1

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of the curve; see the seam."""
        complete = peers.complete
        if complete == 0 or complete < self.n_startup_trials:
            return KEEP
        if not looks(curve, self.n_warmup_steps, self.interval_steps):
            return KEEP
        step = curve.steps[-1]
        numbers = [loss for loss in curve.losses if not math.isnan(loss)]
        if not numbers:
            return Decision(prune=True, reason=f"step {step}: every value so far is NaN")
        others = peers.losses_at(step)
        if len(others) < self.n_min_trials:
            return KEEP
        best, limit = min(numbers), _percentile_loss(others, self.percentile, sign)
        # NaN between -inf and inf: there is no limit, so nothing is beyond it.
        if math.isnan(limit) or best <= limit:
            return KEEP
        return Decision(prune=True, reason=self._reason(step, sign * best, sign * limit, len(others)))

    def _reason(self, step: int, best: float, limit: float, peers: int) -> str:
        shown_best, shown_limit = told_apart(best, limit)
        trials = counted(peers, "complete trial")
        if self.percentile == MEDIAN:
            side = "above" if best > limit else "below"
            return f"step {step}: best {shown_best} is {side} the median {shown_limit} of {trials}"
        share = f"the best {self.percentile:g} % of {trials}"
        return f"step {step}: best {shown_best} is not among {share} (limit {shown_limit})"


def _percentile_loss(losses: Sequence[float], percentile: float, sign: float) -> float:
    """The loss that `percentile` percent of the ascending losses do not exceed, interpolated linearly.

    Rounds as numpy does in the user's values, so that a tie with the limit is a tie for Optuna too.
    """
    last = len(losses) - 1

    def value(rank: int) -> float:
        return losses[rank] if sign > 0 else -losses[last - rank]

    position = last * ((percentile if sign > 0 else 100.0 - percentile) / 100.0)
    below = math.floor(position)
    return sign * _between(value(below), value(min(below + 1, last)), position - below)


def _between(low: float, high: float, share: float) -> float:
    """The point at `share` of the way from low to high; an infinite end wins, two opposite ones give NaN."""
    if share == 0.0 or low == high:
        return low
    gap = high - low
    if math.isinf(gap):
        return low * (1.0 - share) + high * share
    return low + gap * share if share < 0.5 else high - gap * (1.0 - share)
