"""Prune what a signed-rank test finds worse than the best trial: the semantics of Optuna 5.0's WilcoxonPruner.

Steps stand for the instances of a problem, or for folds, which every trial is measured on: a value at one step is
compared with the best trial's at the same step, and no step counts for more than another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.pruners.reasons import told_apart
from tpeak_server.pruners.seam import Peers
from tpeak_server.pruners.signed_rank import p_value

LEAST_STEPS = 2
"""Fewer differences say nothing (as in Optuna)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WilcoxonPruner:
    """Prunes a trial that is worse than the best complete one on the steps that both have, at p < `p_threshold`.

    It waits until these are `n_startup_steps`, at least two. A trial whose mean over its steps is no worse than the
    best one's over all of its own is kept, and so is every trial where one of the two curves has NaN or an infinity.
    """

    p_threshold: float = 0.1
    n_startup_steps: int = 2

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of the curve; see the seam."""
        best = peers.best
        if best is None or best.number == curve.number or not _comparable(curve, best):
            return KEEP
        theirs = dict(zip(best.steps, best.losses, strict=True))
        differences = [
            loss - theirs[step] for step, loss in zip(curve.steps, curve.losses, strict=True) if step in theirs
        ]
        if len(differences) < max(LEAST_STEPS, self.n_startup_steps) or _mean(curve.losses) <= _mean(best.losses):
            return KEEP
        p = p_value(np.array(differences))
        if p >= self.p_threshold:
            return KEEP
        shown_p, shown_threshold = told_apart(p, self.p_threshold)
        reason = (
            f"step {curve.steps[-1]}: worse than the best trial, {best.number}, on {len(differences)} common steps"
            f" (Wilcoxon signed-rank test, p = {shown_p} < {shown_threshold})"
        )
        return Decision(prune=True, reason=reason)


def _comparable(curve: Curve, best: Curve) -> bool:
    """Whether both curves have steps, and finite losses alone."""
    return bool(curve.steps and best.steps) and all(map(math.isfinite, (*curve.losses, *best.losses)))


def _mean(losses: Sequence[float]) -> float:
    return sum(losses) / len(losses)
