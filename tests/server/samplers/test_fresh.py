from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.samplers.tries import ENDS, Values, World
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.observations import Floats, Suggestion
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers import build
from tpeak_server.samplers.seam import Stream

KIND = CategoricalDistribution(choices=("plain", "deep"))
STEP = FloatDistribution(low=0.5, high=1.5, step=0.5)
DEPTH = IntDistribution(low=1, high=4)
LEAVES = {(0.0, 0.5), (0.0, 1.0), (0.0, 1.5), (1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (1.0, 4.0)}
SAMPLERS = [{"name": "random"}, {"name": "tpe", "n_startup_trials": 3}]


def objective(values: Values) -> Iterator[tuple[str, Distribution]]:
    yield "kind", KIND
    yield ("step", STEP) if values["kind"] == 0 else ("depth", DEPTH)


class Open(World):
    """A study whose running trials are pending, as samplers see it that do not walk."""

    def nothing(self) -> dict[str, Floats]:
        known = self.view.tried
        assert known is not None
        running = [known.known(one) for one in self.trials.values() if one.state is TrialState.RUNNING]
        return {
            name: np.array([one[name][1] if name in one else np.nan for one in running], dtype=np.float64)
            for name in self.space
        }


def declared(settings: dict[str, Any], seed: int) -> Open:
    world = Open(build(settings), objective, seed)
    world.ranges |= {0: ("kind", KIND), 1: ("step", STEP), 2: ("depth", DEPTH)}
    return world


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["name"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_one_worker_meets_each_leaf_once_until_nothing_is_left(sampler: dict[str, Any], seed: int) -> None:
    world, rng = declared(sampler, seed), random.Random(seed)
    while (number := world.ask()) is not None:
        while world.step(number):
            pass
        world.end(number, rng.choice(ENDS))
    assert Counter(tuple(values.values()) for values in world.met.values()) == Counter(LEAVES)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["name"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_several_workers_meet_no_finished_leaf_again(sampler: dict[str, Any], seed: int) -> None:
    world, rng = declared(sampler, seed), random.Random(seed)
    running: list[int] = []
    finished: set[tuple[float, ...]] = set()
    finished_before: dict[int, set[tuple[float, ...]]] = {}
    while True:
        number = world.ask() if len(running) < 3 else None
        if number is not None:
            running.append(number)
            finished_before[number] = set(finished)
        if not running:
            break
        number = rng.choice(running)
        if not world.step(number):
            world.end(number, rng.choice(ENDS))
            running.remove(number)
            leaf = tuple(world.met[number].values())
            assert leaf not in finished_before[number]
            finished.add(leaf)
    assert finished == LEAVES


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["name"])
def test_a_batch_is_drawn_as_its_points_are_one_by_one(sampler: dict[str, Any]) -> None:
    world = declared(sampler, 3)
    for _ in range(4):
        number = world.ask()
        assert number is not None
        while world.step(number):
            pass
        world.end(number, TrialState.COMPLETE)
    view, space, pending = world.view, world.space, world.nothing()
    streams = [Stream(3, number) for number in range(4, 20)]
    batch = world.sampler.suggest(view, space, pending, streams)
    assert 3 <= len(batch) < 16
    for number, drawn in enumerate(batch):
        (again,) = world.sampler.suggest(view, space, pending, [streams[number]])
        assert again == drawn
        pending = {name: np.append(column, drawn.values[name]) for name, column in pending.items()}


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["name"])
def test_points_repeat_where_that_is_asked_for(sampler: dict[str, Any]) -> None:
    world = declared({**sampler, "deduplicate": False}, 1)
    for number in range(30):
        assert world.ask() == number
        while world.step(number):
            pass
        world.end(number, TrialState.COMPLETE)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["name"])
def test_trials_that_showed_no_parameter_exhaust_nothing(sampler: dict[str, Any]) -> None:
    world = declared(sampler, 1)
    for number in range(5):
        assert world.ask() == number
        world.end(number, TrialState.FAILED)
    assert world.ask() == 5


def test_a_range_that_changes_has_no_end() -> None:
    world = declared({"name": "random"}, 1)
    world.ranges[3] = ("depth", IntDistribution(low=1, high=2))
    for number in range(30):
        assert world.ask() == number
        while world.step(number):
            pass
        world.end(number, TrialState.COMPLETE)


def test_where_values_are_given_only_what_they_leave_is_exhausted() -> None:
    world = declared({"name": "random"}, 1)
    for depth in (1.0, 2.0, 3.0, 4.0):
        number = world.ask()
        assert number is not None
        world.met[number] = {"kind": 1.0, "depth": depth}
        world.trials[number] = World._tried(world, _drawn({"kind": 1.0, "depth": depth}))
        world.end(number, TrialState.COMPLETE)
    arguments = (world.view, world.space, world.nothing(), [Stream(1, 9)])
    assert world.sampler.suggest(*arguments, fixed={"kind": 1.0}) == []
    (drawn,) = world.sampler.suggest(*arguments, fixed={"kind": 0.0})
    assert drawn.values["step"] in (0.5, 1.0, 1.5)


def _drawn(values: dict[str, float]) -> Suggestion:
    return Suggestion(values=values, origin="random")
