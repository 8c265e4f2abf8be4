"""Asynchronous successive halving (ASHA: Li et al. 2020, MLSys), with the arguments of Optuna 5.0's.

Rung r is at step `min_resource * reduction_factor ** (min_early_stopping_rate + r)`. What a trial has there is its
value at the first step at or beyond the rung, and it competes with all trials that got as far, whatever became of them
since: those too that reached the rung before "auto" became a number, or several rungs in one report, whom Optuna
leaves out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.domain.settings import AUTO
from tpeak_server.pruners.reasons import counted, told_apart
from tpeak_server.pruners.seam import Peers

Reached: TypeAlias = Callable[[int, int], Sequence[float]]
"""From a step and a trial's number to what the others have at the first step at or beyond it, ascending."""

STEPS_A_RESOURCE = 100
""""auto" is this share of the deepest step of complete trials (as in Optuna)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessiveHalvingPruner:
    """Prunes a trial that reaches a rung and is not among its best one in `reduction_factor`, or the best one.

    Where the last report reached several rungs, the lowest that prunes it says why. NaN at a rung is pruned, and so is
    everything until more than `bootstrap_count` trials have reached it. While `min_resource` is "auto", it keeps every
    trial.
    """

    min_resource: int | str = AUTO
    reduction_factor: int = 4
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of the curve; see the seam."""
        return self.decide_among(curve, peers.reached, sign=sign)

    def decide_among(self, curve: Curve, reached: Reached, *, sign: float, among: str = "") -> Decision:
        """The decision where the others are those of `reached`; `among` says in the reason which these are."""
        for rung, step in self._rungs(curve):
            at = bisect_left(curve.steps, step)
            place = f"{among} at rung {rung} (step {step})"
            failure = self._failure(curve.losses[at], reached(step, curve.number), sign, place)
            if failure is not None:
                return Decision(prune=True, reason=f"step {curve.steps[at]}: {failure}")
        return KEEP

    def told(self, deepest: int) -> Mapping[str, int]:
        """The least resource, a hundredth of the deepest step and at least 1, where it is "auto"; see the seam."""
        return {"min_resource": max(deepest // STEPS_A_RESOURCE, 1)} if self.min_resource == AUTO else {}

    def _rungs(self, curve: Curve) -> Iterator[tuple[int, int]]:
        """The rungs that the last report reached, with their steps, ascending."""
        if isinstance(self.min_resource, str) or not curve.steps:
            return
        for rung in count():
            step = self.min_resource * self.reduction_factor ** (self.min_early_stopping_rate + rung)
            if step > curve.steps[-1]:
                return
            if curve.before is None or step > curve.before:
                yield rung, step

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
