"""Hyperband (Li et al. 2018, JMLR): brackets of successive halving that begin to prune at different steps.

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
from tpeak_server.pruners.seam import Peers
from tpeak_server.pruners.successive_halving import SuccessiveHalvingPruner

MOST_RESOURCE = 2**53
"""No step lies beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """The rule of one bracket, and which trials it compares: one function for good, whose answers peers may keep."""

    rule: SuccessiveHalvingPruner
    members: Callable[[int], bool]


class HyperbandPruner:
    """Prunes a trial by the rule of the bracket that it falls into, among the trials of that bracket.

    Bracket b is successive halving from step `min_resource * reduction_factor ** b` on; there is one for each such step
    up to `max_resource`. Where `max_resource` is "auto" or less than `min_resource`, there is none, and every trial is
    kept.
    """

    def __init__(
        self,
        *,
        min_resource: int = 1,
        max_resource: int | str = AUTO,
        reduction_factor: int = 3,
        bootstrap_count: int = 0,
        seed: int = 0,
    ) -> None:
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
        reached = partial(peers.reached, bracket=number, members=bracket.members)
        return bracket.rule.decide_among(curve, reached, sign=sign, among=f" of bracket {number}")

    def told(self, deepest: int) -> Mapping[str, int]:
        """The most resource, one more than the deepest step, where it is "auto"; see the seam."""
        return {"max_resource": min(max(deepest + 1, 1), MOST_RESOURCE)} if self._max_resource == AUTO else {}

    def bracket_of(self, number: int) -> int:
        """The bracket of a trial: drawn from the study's seed and the trial's number, once for all."""
        drawn = hashlib.blake2b(f"{self._seed} {number}".encode(), digest_size=8).digest()
        return bisect_right(self._ends, int.from_bytes(drawn, "big") % self._ends[-1])

    def _is_in(self, bracket: int, number: int) -> bool:
        return self.bracket_of(number) == bracket


def _brackets(min_resource: int, max_resource: int, reduction_factor: int) -> int:
    """How many brackets there are: s_max + 1 in the paper, and none where the least resource is beyond the most."""
    brackets = 0
    while min_resource * reduction_factor**brackets <= max_resource:
        brackets += 1
    return brackets


def _shares(brackets: int, reduction_factor: int) -> list[int]:
    """Of how many trials each bracket gets how many: n in the paper's Algorithm 1, of a largest bracket first."""
    # Rounded up in integers, with s + 1 = brackets - bracket.
    return [-(-brackets * reduction_factor ** (left - 1) // left) for left in range(brackets, 0, -1)]
