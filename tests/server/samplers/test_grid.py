from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.samplers.tries import ENDS, Values, World
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.errors import InvalidValue
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers.grid import GridSampler

RANGES: dict[str, Distribution] = {
    "kind": CategoricalDistribution(choices=("b", "a", None, True, 1)),
    "layers": IntDistribution(low=1, high=9),
    "rate": FloatDistribution(low=1e-5, high=1.0, log=True),
}
GRIDS = st.fixed_dictionaries(
    {
        "kind": st.lists(st.sampled_from([0, 1, 2]), min_size=1, unique=True).map(
            lambda chosen: [["a", None, True][index] for index in chosen]
        ),
        "layers": st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True),
        "rate": st.lists(st.floats(1e-5, 1.0), min_size=1, max_size=3, unique=True),
    }
)


def objective(values: Values) -> Iterator[tuple[str, Distribution]]:
    yield from RANGES.items()


def external(world: World, number: int) -> tuple[Any, ...]:
    return tuple(RANGES[name].to_external(world.met[number][name]) for name in sorted(RANGES))


@settings(max_examples=40, deadline=None)
@given(GRIDS, st.integers(0, 2**32), st.booleans())
def test_every_point_is_met_once_whatever_its_trial_ends_as(
    grid: dict[str, list[Any]], seed: int, declared: bool
) -> None:
    rng = random.Random(seed)
    world = World(GridSampler(search_space=grid), objective, seed)
    if declared:
        world.ranges |= dict(enumerate(RANGES.items()))
    running: list[int] = []
    while True:
        number = world.ask() if len(running) < 5 else None
        running += [] if number is None else [number]
        if not running:
            break
        number = rng.choice(running)
        if not world.step(number):
            world.end(number, rng.choice(ENDS))
            running.remove(number)
    points = itertools.product(*(grid[name] for name in sorted(grid)))
    assert Counter(external(world, number) for number in world.met) == Counter(points)


def test_the_order_is_the_seed_s() -> None:
    def order(seed: int) -> list[float]:
        world = World(GridSampler(search_space={"layers": list(range(1, 10))}), objective, seed)
        world.ranges[0] = ("layers", RANGES["layers"])
        return [world.trials[number].values[0] for number in range(9) if world.ask() == number]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_true_is_another_value_than_one() -> None:
    world = World(GridSampler(search_space={"kind": [1, True]}), objective)
    world.ranges[0] = ("kind", RANGES["kind"])
    assert [world.ask(), world.ask(), world.ask()] == [0, 1, None]
    assert {world.trials[0].values[0], world.trials[1].values[0]} == {3.0, 4.0}


def test_a_value_out_of_the_range_is_used_and_one_without_meaning_is_refused() -> None:
    world = World(
        GridSampler(search_space={"x": [7, "many"]}), lambda values: iter([("x", IntDistribution(low=0, high=3))])
    )
    world.ranges[0] = ("x", IntDistribution(low=0, high=3))
    given = []
    for number in range(2):
        assert world.ask() == number
        assert world.trials[number].ids == ()
        given.append(world.trials[number].fixed["x"])
    assert set(given) == {7, "many"}
    # The service takes what was given; the sampler says the same where it is asked.
    assert world.step(given.index(7))
    assert world.met[given.index(7)] == {"x": 7.0}
    with pytest.raises(InvalidValue, match="an int parameter needs an integer, got 'many'"):
        world.step(given.index("many"))


def test_a_parameter_that_the_grid_lacks_is_refused() -> None:
    world = World(GridSampler(search_space={"layers": [1]}), objective)
    world.ask()
    with pytest.raises(InvalidValue, match="the grid has no parameter 'kind'; it has \\['layers'\\]"):
        world.step(0)


def test_a_point_of_another_sampler_is_met_too() -> None:
    world = World(GridSampler(search_space={"layers": [1, 2]}), lambda values: iter([("layers", RANGES["layers"])]))
    world.ask()
    world.step(0)
    world.end(0, TrialState.COMPLETE)
    world.sampler = GridSampler(search_space={"layers": [int(world.met[0]["layers"])]})
    assert world.ask() is None
