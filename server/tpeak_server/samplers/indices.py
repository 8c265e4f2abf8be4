"""Values of a distribution by index, from the lowest or the first choice: 0, 1, 2, ..."""

from __future__ import annotations

from typing import Any

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution
from tpeak_server.domain.errors import InvalidValue

ENDLESS = 2**62
"""How many values a continuous parameter has: more than are ever tried."""


def size_of(distribution: Distribution) -> int:
    """How many values it has."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if distribution.single:
        return 1
    return (
        ENDLESS if distribution.step is None else round((distribution.high - distribution.low) / distribution.step) + 1
    )


def value_at(distribution: Distribution, index: int) -> float:
    """The internal value with this index."""
    if isinstance(distribution, CategoricalDistribution):
        return float(index)
    return float(min(distribution.low + index * (distribution.step or 0), distribution.high))


def index_of(distribution: Distribution, own: Distribution, value: float) -> int | None:
    """The index of another distribution's internal value, None where it has none; continuous ones are told by bits."""
    if own != distribution:
        return index_of_external(distribution, own.to_external(value))
    if not distribution.contains(value):
        return None
    if isinstance(distribution, CategoricalDistribution):
        return int(value)
    if distribution.single:
        return 0
    return hash(value) if distribution.step is None else round((value - distribution.low) / distribution.step)


def index_of_external(distribution: Distribution, external: Any) -> int | None:
    """The index of an external value, None where it is none of the distribution's."""
    try:
        return index_of(distribution, distribution, distribution.to_internal(external))
    except InvalidValue:
        return None
