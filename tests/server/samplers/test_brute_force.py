from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.samplers.tries import ENDS, Objective, Values, World
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.errors import InvalidDistribution
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers.brute_force import BruteForceSampler
from tpeak_server.samplers.seam import Stream

Shape = Any
"""A tree as nested lists: a node is the list of what is below each of its values, a leaf is empty."""

SHAPES = st.recursive(st.just([]), lambda below: st.lists(below, min_size=1, max_size=4), max_leaves=20)


def distribution_of(count: int, depth: int) -> Distribution:
    """One with so many values, of another kind at each depth."""
    if depth % 3 == 0:
        return IntDistribution(low=0, high=count - 1)
    if depth % 3 == 1:
        return CategoricalDistribution(choices=tuple("abcd"[:count]))
    return (
        FloatDistribution(low=0.1, high=0.1 + 0.1 * (count - 1), step=0.1)
        if count > 1
        else IntDistribution(low=5, high=5)
    )


def index_of(distribution: Distribution, value: float) -> int:
    if isinstance(distribution, FloatDistribution):
        return round((value - distribution.low) / 0.1)
    return int(value) - (5 if isinstance(distribution, IntDistribution) and distribution.low == 5 else 0)


def objective_of(shape: Shape) -> Objective:
    """Asks for one parameter a level; branches share names, and need not share ranges."""

    def objective(values: Values) -> Iterator[tuple[str, Distribution]]:
        node, depth = shape, 0
        while node:
            name, distribution = f"p{depth}", distribution_of(len(node), depth)
            yield name, distribution
            node, depth = node[index_of(distribution, values[name])], depth + 1

    return objective


def leaves(shape: Shape) -> int:
    return sum(map(leaves, shape)) if shape else 1


def work(world: World, rng: random.Random, states: tuple[TrialState, ...]) -> None:
    """Some workers at once, until nothing runs and nothing is left."""
    running: list[int] = []
    while True:
        number = world.ask() if len(running) < 4 else None
        if number is not None:
            running.append(number)
        if not running:
            return
        number = rng.choice(running)
        if rng.random() < 0.9 and not world.step(number):
            world.end(number, rng.choice(states))
            running.remove(number)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(0, 2**32))
def test_every_leaf_is_reached_once_however_many_are_at_work(shape: Shape, seed: int) -> None:
    world = World(BruteForceSampler(), objective_of(shape), seed)
    work(world, random.Random(seed), ENDS)
    met = Counter(tuple(values.items()) for values in world.met.values())
    assert (len(met), set(met.values())) == (leaves(shape), {1})


@settings(max_examples=30, deadline=None)
@given(SHAPES, st.integers(0, 2**32))
def test_what_is_kept_between_calls_changes_nothing(shape: Shape, seed: int) -> None:
    class Anew:
        version, walks = "anew", True

        def __init__(self) -> None:
            self.kept = BruteForceSampler()

        def suggest(self, *arguments: Any, **more: Any) -> Any:
            found = self.kept.suggest(*arguments, **more)
            assert BruteForceSampler().suggest(*arguments, **more) == found
            return found

    work(World(Anew(), objective_of(shape), seed), random.Random(seed), ENDS)


def test_a_known_way_comes_with_the_ask() -> None:
    world = World(BruteForceSampler(), objective_of([[[], []], [[], []]]))
    first = world.ask()
    assert first == 0
    assert world.trials[0].ids == ()
    assert world.ask() is None, "nobody knows what comes first"
    while world.step(0):
        pass
    second = world.ask()
    assert second == 1
    assert len(world.trials[1].ids) in (1, 2)


def test_a_trial_that_ended_early_does_not_end_what_others_have_shown() -> None:
    world = World(BruteForceSampler(), objective_of([[[], []]]))
    world.ask()
    world.step(0)
    world.end(0, TrialState.FAILED)
    assert world.ask() is None, "as far as anybody knows it was a leaf"
    strict = World(BruteForceSampler(avoid_premature_stop=True), objective_of([[[], []]]))
    strict.ask()
    strict.step(0)
    strict.end(0, TrialState.FAILED)
    work(strict, random.Random(0), (TrialState.COMPLETE,))
    assert sorted(values["p1"] for values in list(strict.met.values())[1:]) == [0.0, 1.0]


def test_the_order_depends_on_the_seed() -> None:
    orders = set()
    for seed in range(4):
        world = World(BruteForceSampler(), objective_of([[]] * 12), seed)
        work(world, random.Random(0), (TrialState.COMPLETE,))
        orders.add(tuple(values["p0"] for values in world.met.values()))
    assert len(orders) == 4


def test_a_search_with_held_values_has_only_their_leaves() -> None:
    sampler = BruteForceSampler().holding({"p1": "b"})
    world = World(sampler, objective_of([[[], []], [[], [[], []]]]))
    work(world, random.Random(0), (TrialState.COMPLETE,))
    held = [tuple(values.values()) for values in world.met.values() if values["p1"] == 1.0]
    assert sorted(held) == [(0.0, 1.0), (1.0, 1.0, 0.1), (1.0, 1.0, 0.2)]


def test_a_continuous_parameter_is_refused() -> None:
    world = World(BruteForceSampler(), lambda values: iter([("x", FloatDistribution(low=0.0, high=1.0))]))
    world.ask()
    with pytest.raises(InvalidDistribution, match="'x' is continuous: give it a step") as refused:
        world.step(0)
    assert refused.value.where == "/distribution"


def test_a_large_range_is_no_large_tree() -> None:
    world = World(BruteForceSampler(), lambda values: iter([("x", IntDistribution(low=-(2**53), high=2**53))]))
    for number in range(20):
        assert world.ask() == number
        assert world.step(number)
        world.end(number, TrialState.COMPLETE)
    assert len({values["x"] for values in world.met.values()}) == 20


def test_one_way_is_as_likely_as_another_of_as_many_leaves() -> None:
    counts: Counter[float] = Counter()
    for seed in range(400):
        world = World(BruteForceSampler(), objective_of([[[], []], [[], []], [[], []]]), seed)
        world.ask()
        while world.step(0):
            pass
        world.end(0, TrialState.COMPLETE)
        (drawn,) = world.sampler.suggest(world.view, world.space, world.nothing(), [Stream(seed, 1)])
        counts[drawn.values["p0"]] += 1
    # Where the first trial went one of two leaves is left: a little less weight, 1/6 + 1/10 of 1, than 1/6 + 1/5.
    assert sorted(counts) == [0.0, 1.0, 2.0]
    assert np.ptp(list(counts.values())) < 70
