import math

import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.warm import WarmSource, internal

FLOAT = FloatDistribution(low=0.0, high=1.0)
INT = IntDistribution(low=1, high=8)
KIND = CategoricalDistribution(choices=("a", None, 16))


@pytest.mark.parametrize(
    ("distribution", "value", "wanted"),
    [
        (FLOAT, 0.25, 0.25),
        (FLOAT, 1, 1.0),
        (FLOAT, 7.5, 7.5),
        (FLOAT, "a", math.nan),
        (FLOAT, True, math.nan),
        (FLOAT, None, math.nan),
        (INT, 4, 4.0),
        (KIND, None, 1.0),
        (KIND, 16, 2.0),
        (KIND, "b", math.nan),
    ],
)
def test_a_value_of_another_study_is_one_here_where_the_kind_allows_it(
    distribution: Distribution, value: object, wanted: float
) -> None:
    assert internal(distribution, value) == pytest.approx(wanted, abs=0.0, nan_ok=True)


def test_sources_are_equal_where_the_same_was_asked_for() -> None:
    asked = WarmSource(study=7, params={"x": "y"}, weight=0.5)
    stored = WarmSource(**{**asked.spec(), "name": "older", "seen": 10, "trials": 5})
    assert stored == asked
    assert asked != WarmSource(study=7, params={"x": "y"})
    assert WarmSource(**stored.spec()).spec() == stored.spec()
