"""Hyperband (Li et al. 2018, JMLR): brackets of successive halving that begin to prune at different rungs.

With the arguments and brackets of Optuna 5.0's, but for two things: a trial's bracket follows from the study's seed
and not from its name, and the number of brackets is computed in integers. In floating-point numbers, Optuna counts one
less at some powers of the reduction factor: log(243) / log(3) is slightly below 5.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.domain.settings import AUTO
from tpeak_server.pruners.resource import GREATEST_COST, MOST_POWER, Resource, at_power
from tpeak_server.pruners.seam import Peers
from tpeak_server.pruners.successive_halving import SuccessiveHalvingPruner

MOST_RESOURCE = 2**53
"""No step lies beyond."""

DRAWN = 2**64
"""What a trial's hash is below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """The rule of one bracket, and which trials it compares: one function for good, whose answers peers may keep."""

    rule: SuccessiveHalvingPruner
    members: Callable[[int], bool]


class HyperbandPruner:
    """Prunes a trial by the rule of the bracket that it falls into, among the trials of that bracket.

    Bracket b is successive halving from `min_resource * reduction_factor ** b` on, a step or a cost; there is one for
    each such amount up to `max_resource`. Where `max_resource` is "auto" or less than `min_resource`, there is none,
    and every trial is kept.
    """

    def __init__(
        self,
        *,
        min_resource: float = 1,
        max_resource: float | str = AUTO,
        reduction_factor: int = 3,
        bootstrap_count: int = 0,
        resource: Resource = Resource.STEP,
        seed: int = 0,
    ) -> None:
        self.resource = resource
        self._max_resource = max_resource
        self._seed = seed
        brackets = 0 if isinstance(max_resource, str) else _brackets(min_resource, max_resource, reduction_factor)
        self._ends = tuple(accumulate(_shares(brackets, reduction_factor)))
        self._brackets = tuple(
            Bracket(
                rule=SuccessiveHalvingPruner(
                    min_resource=min_resource,
                    reduction_factor=reduction_factor,
                    min_early_stopping_rate=bracket,
                    bootstrap_count=bootstrap_count,
                    resource=resource,
                ),
                members=partial(self._is_in, bracket),
            )
            for bracket in range(brackets)
        )

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of the curve; see the seam."""
        if not self._brackets:
            return KEEP
        number = self.bracket_of(curve.number)
        bracket = self._brackets[number]
        reached = partial(peers.reached, resource=self.resource, bracket=number, members=bracket.members)
        return bracket.rule.decide_among(curve, reached, sign=sign, among=f" of bracket {number}")

    def told(self, deepest: float) -> Mapping[str, float]:
        """The most resource, one more than the deepest step or the greatest cost, where it is "auto"; see the seam."""
        if self._max_resource != AUTO:
            return {}
        if self.resource is Resource.STEP:
            return {"max_resource": min(max(int(deepest) + 1, 1), MOST_RESOURCE)}
        return {"max_resource": min(deepest, GREATEST_COST)}

    def bracket_of(self, number: int) -> int:
        """The bracket of a trial: drawn from the study's seed and the trial's number, once for all."""
        drawn = int.from_bytes(hashlib.blake2b(f"{self._seed} {number}".encode(), digest_size=8).digest(), "big")
        end = self._ends[-1]
        # Costs may have rungs so far apart that the shares are beyond what is drawn.
        return bisect_right(self._ends, drawn % end if end <= DRAWN else drawn * end // DRAWN)

    def _is_in(self, bracket: int, number: int) -> bool:
        return self.bracket_of(number) == bracket


def _brackets(min_resource: float, max_resource: float, reduction_factor: int) -> int:
    """How many brackets there are: s_max + 1 in the paper, and none where the least resource is beyond the most."""
    return sum(at_power(min_resource, reduction_factor, power) <= max_resource for power in range(MOST_POWER + 1))


def _shares(brackets: int, reduction_factor: int) -> list[int]:
    """Of how many trials each bracket gets how many: n in the paper's Algorithm 1, of a largest bracket first."""
    # Rounded up in integers, with s + 1 = brackets - bracket.
    return [-(-brackets * reduction_factor ** (left - 1) // left) for left in range(brackets, 0, -1)]
