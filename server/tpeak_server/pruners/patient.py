"""Prune only what has not improved for a while: the semantics of Optuna 5.0's PatientPruner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.pruners.reasons import counted, told_apart
from tpeak_server.pruners.resource import Resource
from tpeak_server.pruners.seam import Automatic, Peers, Pruner


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientPruner:
    """Lets `wrapped_pruner` decide on a trial that has stopped improving, or prunes it where that is None.

    It has where the best of its last `patience` + 1 steps is worse than the best before them by more than `min_delta`,
    in the user's units. NaN is ignored; where one side is nothing but NaN, the trial is kept.
    """

    wrapped_pruner: Pruner | None
    patience: int
    min_delta: float = 0.0

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of the curve; see the seam."""
        first = len(curve.steps) - self.patience - 1
        if first <= 0:
            return KEEP
        before, since = _least(curve.losses[:first]), _least(curve.losses[first:])
        if not before + self.min_delta < since:
            return KEEP
        stalled = self._reason(sign * before, sign * since)
        start = f"step {curve.steps[-1]}: "
        if self.wrapped_pruner is None:
            return Decision(prune=True, reason=start + stalled)
        wrapped = self.wrapped_pruner.decide(curve, peers, sign=sign)
        if not wrapped.prune:
            return KEEP
        return Decision(prune=True, reason=f"{start}{stalled}; {(wrapped.reason or '').removeprefix(start)}")

    @property
    def resource(self) -> Resource:
        """That of the wrapped rule; see the seam."""
        return self.wrapped_pruner.resource if isinstance(self.wrapped_pruner, Automatic) else Resource.STEP

    def told(self, deepest: float) -> Mapping[str, float]:
        """The numbers of the wrapped rule; see the seam."""
        return self.wrapped_pruner.told(deepest) if isinstance(self.wrapped_pruner, Automatic) else {}

    def _reason(self, before: float, since: float) -> str:
        shown_before, shown_since = told_apart(before, since)
        margin = f" by more than {self.min_delta:g}" if self.min_delta else ""
        steps = counted(self.patience + 1, "step")
        return f"the best of the last {steps}, {shown_since}, is worse than {shown_before} before{margin}"


def _least(losses: Sequence[float]) -> float:
    """The least of the losses that are not NaN; NaN if there is none."""
    return min((loss for loss in losses if not math.isnan(loss)), default=math.nan)
