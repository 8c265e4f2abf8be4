"""What a rule's resources count: steps, or the cost of all reports up to one, in the user's unit (seconds, samples).

| symbol | meaning |
|---|---|
| amount | of a report: its step, or the sum of the costs up to it; of a rung: where it is, in the same unit |
| least | the least resource, "r" in the papers |
| power | how often the reduction factor multiplies the least resource |
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from enum import StrEnum

from tpeak_server.domain.observations import Curve

GREATEST_COST = sys.float_info.max

MOST_POWER = 53
"""A rung at a higher power lies beyond the greatest step, 2^53, whatever the reduction factor; in costs there is none,
so that a tiny least resource does not make thousands of rungs."""


class Resource(StrEnum):
    """What is counted; the words of the wire."""

    STEP = "step"
    COST = "cost"


def amounts(curve: Curve, resource: Resource) -> tuple[Sequence[float], float]:
    """The amounts (n,) of a curve's reports, ascending, and the one that earlier reports had reached.

    There are none in costs where no report has a cost.
    """
    if resource is Resource.COST:
        return curve.spent, curve.known_cost
    return curve.steps, -math.inf if curve.known_step is None else curve.known_step


def at_power(least: float, factor: int, power: int) -> float:
    """The amount at this power: exact where `least` is an integer, infinity where no double is as great."""
    times: int = factor**power
    try:
        return least * times
    except OverflowError:
        return math.inf


def shown(resource: Resource, amount: float) -> str:
    """An amount in a reason, `step 9` or `cost 2.5`."""
    return f"{resource} {amount:.10g}" if resource is Resource.COST else f"{resource} {amount}"
