"""What one tree-structured Parzen estimator does otherwise than another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tpeak_server.samplers.distances import Distance
from tpeak_server.samplers.tpe.bandwidth import BandwidthRule
from tpeak_server.samplers.tpe.weights import PRIOR_WEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the finished trials become two densities.

    The good trials are `good_share` of those that finished, at most `most_good`. With `rank_power` above 0 a good trial
    weighs more the better it is, of several objectives the more it covers alone. With `latin_start` the startup points
    are Latin hypercubes; `distances` are between the choices of some parameters. A *reference* estimator knows a trial
    only where it has every parameter, counts running trials among the bad ones when it fits them, and evaluates every
    density to the last digits. Of several objectives it takes whole fronts and what covers most, and knows no
    `most_good`.
    """

    good_share: float = 0.1
    most_good: int = 25
    rank_power: float = 0.0
    good_bandwidth: BandwidthRule = field(default_factory=BandwidthRule)
    bad_bandwidth: BandwidthRule = field(default_factory=BandwidthRule)
    prior_weight: float = PRIOR_WEIGHT
    n_candidates: int = 24
    most_kernels: int = 8192
    latin_start: bool = False
    distances: Mapping[str, Distance] = field(default_factory=dict)
    reference: bool = False

    @property
    def exact(self) -> bool:
        """Whether every density is evaluated to the last digits, which kernels of any narrowness need, too."""
        return self.reference or not (self.good_bandwidth.clip and self.bad_bandwidth.clip)


OPTUNA5 = Rules(reference=True)
"""Optuna 5.0's."""

OWN = Rules(
    rank_power=1.0,
    prior_weight=0.5,
    good_bandwidth=BandwidthRule(least=0.03, exponent=1.25, overall=True),
    latin_start=True,
)
"""The project's own, chosen on one half of the benchmark's problems: docs/benchmarks.md."""
