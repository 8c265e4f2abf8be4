"""Prune what leaves a range of values: the semantics of Optuna 5.0's ThresholdPruner."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.pruners.interval import looks
from tpeak_server.pruners.reasons import told_apart
from tpeak_server.pruners.seam import Peers


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdPruner:
    """Prunes a trial whose latest value is NaN, below `lower` or above `upper`: limits in the user's values.

    A limit that is None does not limit. It waits for step `n_warmup_steps`, and looks once in every `interval_steps`
    steps.
    """

    lower: float | None = None
    upper: float | None = None
    n_warmup_steps: int = 0
    interval_steps: int = 1

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of the curve; see the seam."""
        if not looks(curve, self.n_warmup_steps, self.interval_steps):
            return KEEP
        outside = self._outside(sign * curve.losses[-1])
        return KEEP if outside is None else Decision(prune=True, reason=f"step {curve.steps[-1]}: {outside}")

    def _outside(self, value: float) -> str | None:
        """How the value lies outside of the limits; None if it does not."""
        if math.isnan(value):
            return "the value is NaN"
        for limit, beyond, side in ((self.lower, -1.0, "below the lower"), (self.upper, 1.0, "above the upper")):
            if limit is not None and beyond * value > beyond * limit:
                shown_value, shown_limit = told_apart(value, limit)
                return f"{shown_value} is {side} limit {shown_limit}"
        return None
