import math

import numpy as np

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, Space
from tpeak_server.samplers.nearest import distances

SPACE: Space = {
    "rate": FloatDistribution(low=1e-4, high=1.0, log=True),
    "x": FloatDistribution(low=0.0, high=10.0),
    "solver": CategoricalDistribution(choices=("adam", "sgd")),
    "single": IntDistribution(low=3, high=3),
}
HERE = {"rate": 1e-2, "x": 5.0, "solver": 0.0, "single": 3.0}


def apart(**changes: float) -> float:
    columns = {name: np.array([value]) for name, value in {**HERE, **changes}.items()}
    return round(float(distances(SPACE, columns, 1, HERE)[0]), 12)


def test_a_point_is_at_no_distance_from_itself() -> None:
    assert apart() == 0.0


def test_a_distance_is_in_ranges_and_logarithmic_where_the_range_is() -> None:
    assert (apart(x=8.0), apart(rate=1e-3), apart(x=8.0, rate=1e-4)) == (0.3, 0.25, round(math.hypot(0.3, 0.5), 12))


def test_another_choice_and_what_is_lacking_are_one_range_apart() -> None:
    assert (apart(solver=1.0), apart(solver=math.nan), apart(x=math.nan)) == (1.0, 1.0, 1.0)


def test_what_the_point_itself_lacks_is_one_range_apart_from_all() -> None:
    columns = {name: np.array([value, value]) for name, value in HERE.items()}
    assert distances(SPACE, columns, 2, {"x": 5.0, "rate": 1e-2}).tolist() == [1.0, 1.0]


def test_no_points_have_no_distances() -> None:
    assert distances(SPACE, {}, 0, HERE).tolist() == []
