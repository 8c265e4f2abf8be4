"""What a study knows from others when it begins: some of their complete trials, by rank, and where they are from.

They are copies: what becomes of the sources later changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution

MAX_SOURCES = 16
"""Studies that a study may learn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmSource:
    """One source: `params` maps names here to names there, what it does not name has the same name in both.

    `trials` were taken over of the `seen` that were complete. Two are equal if the same was asked for.
    """

    study: int
    params: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    name: str = field(default="", compare=False)
    seen: int = field(default=0, compare=False)
    trials: int = field(default=0, compare=False)

    def spec(self) -> dict[str, Any]:
        """The source as it is stored."""
        return {
            "study": self.study,
            "params": dict(self.params),
            "weight": self.weight,
            "name": self.name,
            "seen": self.seen,
            "trials": self.trials,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmTrial:
    """A trial of the source at that index: its rank among the complete ones there, 0 the best, and its values.

    The values are external, under the names that the parameters have here.
    """

    source: int
    number: int
    rank: int
    params: Mapping[str, Any]


def internal(wanted: Distribution, value: Any) -> float:
    """Another study's value as an internal one, NaN where the distribution has no such choice or takes no such kind.

    A number may lie outside of the range, as a study's own may after a change: samplers look at what is inside.
    """
    if isinstance(wanted, CategoricalDistribution):
        return wanted.to_internal(value) if wanted.has(value) else math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    return float(value)
