"""What holds of every sampler that draws from ranges, whatever the history; those that count points have their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.samplers.evolving import history_of, spaces
from tpeak_server.domain.distributions import Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers import build
from tpeak_server.samplers.seam import Stream

Allows = Callable[[Distribution, float], bool]
Columns = Callable[..., dict[str, Floats]]
Views = Callable[..., View]

FIXED = {"a": 1}
"""A parameter that many of the spaces have, in whatever range."""

SAMPLERS: list[dict[str, Any]] = [
    {"name": "random"},
    {"name": "qmc", "scramble": True},
    {"name": "tpe", "n_startup_trials": 3},
    {"name": "gp", "n_startup_trials": 3},
    {"name": "auto", "n_startup_trials": 3},
    {"name": "cmaes", "popsize": 4},
    {"name": "nsgaii", "population_size": 4},
    {"name": "partial_fixed", "fixed_params": FIXED, "base_sampler": {"name": "tpe", "n_startup_trials": 3}},
    {"name": "partial_fixed", "fixed_params": FIXED, "base_sampler": {"name": "auto", "n_startup_trials": 3}},
]


def named(spec: Mapping[str, Any]) -> str:
    """What the sampler is called in a test's name."""
    base = spec.get("base_sampler")
    return spec["name"] if base is None else f"{spec['name']} over {base['name']}"


@pytest.mark.parametrize("spec", SAMPLERS, ids=named)
@settings(max_examples=12, deadline=None)
@given(space=spaces, count=st.integers(0, 40), seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3]))
def test_values_are_in_range_on_the_grid_and_the_same_again_by_seed_and_number(
    allows: Allows,
    columns_of: Columns,
    spec: dict[str, Any],
    space: dict[str, Distribution],
    count: int,
    seed: int,
    missing: float,
) -> None:
    """The histories have pruned, lost and infeasible trials, and results that are infinite or no numbers."""
    view = history_of(space, count, seed=seed, kind=spec["name"], size=4, missing=missing)
    pending = columns_of(space, 3, seed=seed, missing=missing)
    streams = [Stream(seed, number) for number in (500, 501)]
    found = build(spec).suggest(view, space, pending, streams)
    assert len(found) == 2
    for one in found:
        assert one.values.keys() <= space.keys()
        drawn = one.values.keys() - spec.get("fixed_params", {}).keys()
        assert all(allows(space[name], one.values[name]) for name in drawn)
    assert found == build(spec).suggest(view, space, pending, streams)


@pytest.mark.parametrize("spec", SAMPLERS, ids=named)
def test_another_number_and_another_seed_draw_another_point(view_of: Views, spec: dict[str, Any]) -> None:
    space: dict[str, Distribution] = {
        "x": FloatDistribution(low=0.0, high=1.0),
        "y": IntDistribution(low=1, high=10**6),
    }
    nothing = view_of({name: np.empty(0) for name in space}, [])
    pending = {name: np.empty(0) for name in space}
    streams = [Stream(seed, number) for seed in (1, 2) for number in (20, 21)]
    drawn = [build(spec).suggest(nothing, space, pending, [stream])[0] for stream in streams]
    assert len({tuple(sorted(one.values.items())) for one in drawn}) == 4


@pytest.mark.parametrize("name", ["auto", "gp", "tpe"])
def test_what_is_left_to_be_drawn_finds_the_least_point_for_a_fixed_value(view_of: Views, name: str) -> None:
    space: dict[str, Distribution] = {name: FloatDistribution(low=-5.0, high=5.0) for name in "xy"}
    sampler = build({"name": "partial_fixed", "fixed_params": {"y": 2.0}, "base_sampler": {"name": name}})
    columns: dict[str, Floats] = {name: np.empty(0) for name in space}
    losses: list[float] = []
    for number in range(40):
        view = view_of(columns, losses)
        (one,) = sampler.suggest(view, space, {name: np.empty(0) for name in space}, [Stream(1, number)])
        columns = {name: np.append(column, one.values[name]) for name, column in columns.items()}
        losses.append((one.values["x"] - one.values["y"] / 2) ** 2)
    assert set(columns["y"].tolist()) == {2.0}
    assert abs(columns["x"][np.argmin(losses)] - 1.0) < 0.2


def test_auto_finds_the_least_point_of_a_bowl_in_a_third_of_the_trials_of_tpe(view_of: Views) -> None:
    space: dict[str, Distribution] = {f"x{i}": FloatDistribution(low=-5.0, high=5.0) for i in range(4)}

    def best(name: str, trials: int) -> float:
        columns: dict[str, Floats] = {name: np.empty(0) for name in space}
        sampler, losses = build({"name": name}), list[float]()
        for number in range(trials):
            nothing = {name: np.empty(0) for name in space}
            (one,) = sampler.suggest(view_of(columns, losses), space, nothing, [Stream(3, number)])
            columns = {name: np.append(column, one.values[name]) for name, column in columns.items()}
            losses.append(sum((one.values[f"x{i}"] - i / 2) ** 2 for i in range(4)))
        return min(losses)

    assert best("auto", 30) < best("tpe", 90)
    assert best("auto", 30) < 0.1
