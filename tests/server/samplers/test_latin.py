from collections.abc import Callable

import numpy as np
import pytest

from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.samplers.latin import draw_latin
from tpeak_server.samplers.seam import Stream

SPACE: Space = {
    "rate": FloatDistribution(low=1e-4, high=1, log=True),
    "solver": CategoricalDistribution(choices=("adam", "sgd")),
    "x": FloatDistribution(low=0, high=10),
}


def design(
    space: Space, stream_of: Callable[[int], Stream], size: int, first: int = 0, count: int | None = None
) -> dict[str, list[float]]:
    numbers = range(first, first + (size if count is None else count))
    drawn = draw_latin(space, [stream_of(number) for number in numbers], {}, size, origin="startup")
    return {name: [one.values[name] for one in drawn] for name in space}


@pytest.mark.parametrize("first", [0, 10, 70])
def test_each_point_of_a_design_has_a_part_of_every_range_to_itself(
    stream_of: Callable[[int], Stream], first: int
) -> None:
    columns = design(SPACE, stream_of, 10, first)
    assert sorted(int(x) for x in columns["x"]) == list(range(10))
    assert sorted(int((np.log10(rate) + 4) / 0.4) for rate in columns["rate"]) == list(range(10))
    assert sorted(columns["solver"]) == [0.0] * 5 + [1.0] * 5


def test_parameters_are_matched_at_random(stream_of: Callable[[int], Stream]) -> None:
    columns = design({"a": SPACE["x"], "b": SPACE["x"]}, stream_of, 100)
    assert abs(np.corrcoef(columns["a"], columns["b"])[0, 1]) < 0.3


def test_another_design_is_another_one(stream_of: Callable[[int], Stream]) -> None:
    both = design({"x": SPACE["x"]}, stream_of, 10, count=20)["x"]
    assert [int(x) for x in both[:10]] != [int(x) for x in both[10:]]


def test_the_part_of_a_late_parameter_is_the_same_as_that_of_one_known_at_the_ask(
    stream_of: Callable[[int], Stream],
) -> None:
    early = draw_latin(SPACE, [stream_of(3)], {}, 10, origin="startup")[0].values
    late = draw_latin({"x": SPACE["x"]}, [Stream(1, 3, "x")], {}, 10, origin="startup")[0].values
    assert int(early["x"]) == int(late["x"])


@pytest.mark.parametrize(
    "distribution",
    [IntDistribution(low=1, high=3), FloatDistribution(low=0, high=1, step=0.5), FloatDistribution(low=2, high=2)],
)
def test_grids_and_constants_are_drawn_on_the_grid(
    stream_of: Callable[[int], Stream], distribution: Distribution, allows: Callable[[Distribution, float], bool]
) -> None:
    values = design({"x": distribution}, stream_of, 6)["x"]
    assert all(allows(distribution, value) for value in values)


def test_fixed_names_are_not_drawn(stream_of: Callable[[int], Stream]) -> None:
    drawn = draw_latin(SPACE, [stream_of(0)], {"x": 0.5}, 10, origin="startup")
    assert set(drawn[0].values) == {"rate", "solver"}
