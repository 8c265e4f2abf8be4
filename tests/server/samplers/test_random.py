import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.observations import View
from tpeak_server.samplers import RandomSampler
from tpeak_server.samplers.seam import Stream


def draws(
    distribution: Distribution, view_of: Callable[..., View], stream_of: Callable[[int], Stream], count: int = 2000
) -> list[float]:
    space = {"x": distribution}
    view = view_of({"x": np.empty(0)}, [])
    drawn = RandomSampler().suggest(view, space, {"x": np.empty(0)}, [stream_of(number) for number in range(count)])
    assert {suggestion.origin for suggestion in drawn} == {"random"}
    return [suggestion.values["x"] for suggestion in drawn]


def test_a_float_is_uniform_in_its_range(view_of: Callable[..., View], stream_of: Callable[[int], Stream]) -> None:
    drawn = draws(FloatDistribution(low=-1, high=3), view_of, stream_of)
    counts = np.histogram(drawn, bins=4, range=(-1, 3))[0]
    assert all(420 < count < 580 for count in counts)


def test_a_logarithmic_float_is_uniform_over_its_decades(
    view_of: Callable[..., View], stream_of: Callable[[int], Stream]
) -> None:
    drawn = draws(FloatDistribution(low=1e-4, high=1, log=True), view_of, stream_of)
    decades = Counter(math.floor(math.log10(value)) for value in drawn)
    assert sorted(decades) == [-4, -3, -2, -1]
    assert all(420 < count < 580 for count in decades.values())


def test_a_stepped_float_takes_every_grid_value_alike(
    view_of: Callable[..., View], stream_of: Callable[[int], Stream]
) -> None:
    counts = Counter(draws(FloatDistribution(low=0, high=1, step=0.25), view_of, stream_of))
    assert sorted(counts) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(320 < count < 480 for count in counts.values())


def test_an_int_takes_every_value_alike(view_of: Callable[..., View], stream_of: Callable[[int], Stream]) -> None:
    counts = Counter(draws(IntDistribution(low=2, high=10, step=4), view_of, stream_of))
    assert sorted(counts) == [2.0, 6.0, 10.0]
    assert all(580 < count < 760 for count in counts.values())


def test_every_choice_is_as_likely_as_the_others(
    view_of: Callable[..., View], stream_of: Callable[[int], Stream]
) -> None:
    counts = Counter(draws(CategoricalDistribution(choices=("a", "b", "c", None)), view_of, stream_of))
    assert sorted(counts) == [0.0, 1.0, 2.0, 3.0]
    assert all(420 < count < 580 for count in counts.values())


def test_fixed_names_are_not_drawn(view_of: Callable[..., View], stream_of: Callable[[int], Stream]) -> None:
    space = {"x": FloatDistribution(low=0, high=1), "y": IntDistribution(low=7, high=7)}
    nothing = {name: np.empty(0) for name in space}
    drawn = RandomSampler().suggest(view_of(nothing, []), space, nothing, [stream_of(0)], fixed={"x": 0.5})
    assert drawn[0].values == {"y": 7.0}


def test_an_empty_space_gives_an_empty_point(view_of: Callable[..., View], stream_of: Callable[[int], Stream]) -> None:
    drawn = RandomSampler().suggest(view_of({}, []), {}, {}, [stream_of(0), stream_of(1)])
    assert [suggestion.values for suggestion in drawn] == [{}, {}]
