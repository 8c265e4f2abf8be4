"""What one tree-structured Parzen estimator does otherwise than another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tpeak_server.samplers.distances import Distance
from tpeak_server.samplers.tpe.bandwidth import BandwidthRule
from tpeak_server.samplers.tpe.weights import PRIOR_WEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the finished trials become two densities.

    The good trials are `good_share` of those that finished, at most `most_good`. With `rank_power` above 0 a good trial
    weighs more the better it is; with `latin_start` the startup points are Latin hypercubes. An
    *eager* estimator starts with half of the startup trials finished, if the others run. A *reference* estimator
    knows a trial only where it has every parameter, counts running trials among the bad ones when it fits them, and
    evaluates every density to the last digits. `distances` are between the choices of some parameters.
    """

    good_share: float = 0.1
    most_good: int = 25
    rank_power: float = 0.0
    good_bandwidth: BandwidthRule = field(default_factory=BandwidthRule)
    bad_bandwidth: BandwidthRule = field(default_factory=BandwidthRule)
    prior_weight: float = PRIOR_WEIGHT
    n_candidates: int = 24
    n_crossed: int = 0
    n_mutations: int = 0
    most_uniform: float = math.inf
    most_kernels: int = 8192
    distances: Mapping[str, Distance] = field(default_factory=dict)
    latin_start: bool = True
    eager: bool = False
    reference: bool = False

    @property
    def exact(self) -> bool:
        """Whether every density is evaluated to the last digits, which kernels of any narrowness need, too."""
        return self.reference or not (self.good_bandwidth.clip and self.bad_bandwidth.clip)


OPTUNA5 = Rules(latin_start=False, reference=True)
"""Optuna 5.0's."""

OWN = Rules()
"""The project's own."""
