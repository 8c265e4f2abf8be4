"""Asynchronous successive halving (ASHA: Li et al. 2020, MLSys), with the arguments of Optuna 5.0's.

Rung r is at `min_resource * reduction_factor ** (min_early_stopping_rate + r)`, a step or a cost. What a trial has
there is its value at the first step at or beyond the rung, and it competes with all trials that got as far, whatever
became of them since: those too that reached the rung before "auto" became a number, or several rungs in one report,
whom Optuna leaves out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.domain.settings import AUTO
from tpeak_server.pruners.reasons import counted, told_apart
from tpeak_server.pruners.resource import GREATEST_COST, MOST_POWER, Resource, amounts, at_power, shown
from tpeak_server.pruners.seam import Peers

Reached: TypeAlias = Callable[[float, int], Sequence[float]]
"""From an amount and a trial's number to what the others have at the first step at or beyond it, ascending."""

AUTO_SHARE = 100
""""auto" is this share of the deepest step, or the greatest cost, of complete trials (as in Optuna)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessiveHalvingPruner:
    """Prunes a trial that reaches a rung and is not among its best one in `reduction_factor`, or the best one.

    Where the last report reached several rungs, the lowest that prunes it says why. NaN at a rung is pruned, and so is
    everything until more than `bootstrap_count` trials have reached it. While `min_resource` is "auto", it keeps every
    trial.
    """

    min_resource: float | str = AUTO
    reduction_factor: int = 4
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0
    resource: Resource = Resource.STEP

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of the curve; see the seam."""
        return self.decide_among(curve, partial(peers.reached, resource=self.resource), sign=sign)

    def decide_among(self, curve: Curve, reached: Reached, *, sign: float, among: str = "") -> Decision:
        """The decision where the others are those of `reached`; `among` says in the reason which these are."""
        reports, known = amounts(curve, self.resource)
        for rung, amount in self._rungs(reports, known):
            at = bisect_left(reports, amount)
            place = f"{among} at rung {rung} ({shown(self.resource, amount)})"
            failure = self._failure(curve.losses[at], reached(amount, curve.number), sign, place)
            if failure is not None:
                return Decision(prune=True, reason=f"step {curve.steps[at]}: {failure}")
        return KEEP

    def told(self, deepest: float) -> Mapping[str, float]:
        """The least resource, a hundredth of the deepest and at least one step, where it is "auto"; see the seam."""
        if self.min_resource != AUTO:
            return {}
        if self.resource is Resource.STEP:
            return {"min_resource": max(int(deepest) // AUTO_SHARE, 1)}
        cost = min(deepest, GREATEST_COST)
        return {"min_resource": cost / AUTO_SHARE or cost}

    def _rungs(self, reports: Sequence[float], known: float) -> Iterator[tuple[int, float]]:
        """The rungs that the reports reach and the `known` amount does not, with their amounts, ascending."""
        if isinstance(self.min_resource, str) or not reports:
            return
        for power in range(self.min_early_stopping_rate, MOST_POWER + 1):
            amount = at_power(self.min_resource, self.reduction_factor, power)
            if amount > reports[-1] or amount == math.inf:
                return
            if amount > known:
                yield power - self.min_early_stopping_rate, amount

    def _failure(self, loss: float, others: Sequence[float], sign: float, place: str) -> str | None:
        """Why a trial with this loss does not pass the rung, where the others have theirs; None if it does."""
        if math.isnan(loss):
            return f"the value{place} is NaN"
        competing = len(others) + 1
        if competing <= self.bootstrap_count:
            return f"all of the first {counted(self.bootstrap_count, 'trial')}{place} stop there, this is {competing}"
        promoted = max(competing // self.reduction_factor, 1)
        if not others or loss <= others[promoted - 1]:
            return None
        value, limit = told_apart(sign * loss, sign * others[promoted - 1])
        return f"{value} is not among the best {promoted} of {competing} trials{place}, limit {limit}"
