"""Values under other distributions of their names than those that they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution
from tpeak_server.domain.observations import Warm
from tpeak_server.domain.warm import WarmSource, WarmTrial, internal


def warm_view(
    sources: Sequence[WarmSource], trials: Sequence[WarmTrial], space: Mapping[str, Distribution]
) -> Warm | None:
    """The trials as samplers see them under the space's distributions, None where there are none."""
    if not trials:
        return None
    columns = {
        name: np.array([internal(distribution, t.params[name]) if name in t.params else np.nan for t in trials])
        for name, distribution in space.items()
    }
    return Warm(
        source=np.array([trial.source for trial in trials]),
        rank=np.array([trial.rank for trial in trials]),
        seen=np.array([source.seen for source in sources]),
        weight=np.array([source.weight for source in sources], dtype=np.float64),
        columns=columns,
    )


def translated(wanted: Distribution, own: Distribution, value: float) -> float:
    """A distribution's internal value as one of another distribution of the same name, NaN where it has none there."""
    if own is wanted or own == wanted:
        return value
    if isinstance(own, CategoricalDistribution) != isinstance(wanted, CategoricalDistribution):
        return math.nan
    if not isinstance(wanted, CategoricalDistribution):
        return value
    choice = own.to_external(value)
    return wanted.to_internal(choice) if wanted.has(choice) else math.nan
