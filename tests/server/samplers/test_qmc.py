from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers import build
from tpeak_server.samplers.seam import Stream

SPACE: Space = {
    "a": FloatDistribution(low=-1.0, high=3.0),
    "b": FloatDistribution(low=1e-6, high=1.0, log=True),
    "c": FloatDistribution(low=0.1, high=0.7, step=0.1),
    "d": IntDistribution(low=2, high=11, step=3),
    "e": IntDistribution(low=1, high=1000, log=True),
    "f": CategoricalDistribution(choices=("x", "y", None)),
    "g": IntDistribution(low=4, high=4),
}
UNIT: Space = {name: FloatDistribution(low=0.0, high=1.0) for name in "uvwx"}
KINDS = [(kind, scramble) for kind in ("sobol", "halton") for scramble in (False, True)]


def draws(space: Space, numbers: list[int], view: View, *, seed: int = 1, **settings: Any) -> list[dict[str, float]]:
    pending = {name: np.empty(0) for name in space}
    streams = [Stream(seed, number) for number in numbers]
    drawn = build({"name": "qmc", **settings}).suggest(view, space, pending, streams)
    assert {suggestion.origin for suggestion in drawn} == {"qmc"}
    return [dict(suggestion.values) for suggestion in drawn]


@pytest.fixture
def nothing(view_of: Callable[..., View]) -> View:
    return view_of({}, [])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**53), st.lists(st.integers(0, 20_000), min_size=1, max_size=5), st.sampled_from(KINDS))
def test_points_are_inside_and_on_the_grid_and_depend_on_seed_and_number_alone(
    allows: Callable[[Distribution, float], bool],
    view_of: Callable[..., View],
    seed: int,
    numbers: list[int],
    kind: tuple[str, bool],
) -> None:
    given = {"qmc_type": kind[0], "scramble": kind[1], "seed": seed}
    view = view_of({}, [])
    together = draws(SPACE, numbers, view, **given)
    assert all(allows(SPACE[name], value) for point in together for name, value in point.items())
    assert all(point.keys() == SPACE.keys() for point in together)
    assert together[::-1] == draws(SPACE, numbers[::-1], view, **given)
    assert together == [draws(SPACE, [number], view, **given)[0] for number in numbers]


@pytest.mark.parametrize("kind", ["sobol", "halton"])
def test_only_a_scrambled_sequence_depends_on_the_seed(nothing: View, kind: str) -> None:
    one, other = (draws(UNIT, [3, 4], nothing, seed=seed, qmc_type=kind) for seed in (1, 2))
    assert one == other
    one, other = (draws(UNIT, [3, 4], nothing, seed=seed, qmc_type=kind, scramble=True) for seed in (1, 2))
    assert one != other


def test_an_unscrambled_sequence_is_scipy_s(nothing: View) -> None:
    numbers = [*range(8), 300]
    for kind, engine in (("sobol", qmc.Sobol(4, scramble=False)), ("halton", qmc.Halton(4, scramble=False))):
        drawn = np.array([list(point.values()) for point in draws(UNIT, numbers, nothing, qmc_type=kind)])
        np.testing.assert_allclose(drawn, engine.random(512)[numbers], atol=1e-12)


@pytest.mark.parametrize(("kind", "scramble"), KINDS)
def test_the_discrepancy_is_far_below_that_of_random_points(nothing: View, kind: str, scramble: bool) -> None:
    def discrepancy(points: list[dict[str, float]]) -> float:
        return float(qmc.discrepancy(np.array([list(point.values()) for point in points]), method="CD"))

    numbers = list(range(128))
    ours = [discrepancy(draws(UNIT, numbers, nothing, seed=s, qmc_type=kind, scramble=scramble)) for s in range(5)]
    pending = {name: np.empty(0) for name in UNIT}
    randoms = [
        discrepancy([dict(one.values) for one in build({"name": "random"}).suggest(
            nothing, UNIT, pending, [Stream(seed, number) for number in numbers]
        )])
        for seed in range(5)
    ]  # fmt: skip
    assert max(ours) < 0.35 * min(randoms)


def test_every_choice_and_every_integer_is_met_evenly(nothing: View) -> None:
    points = draws({"d": SPACE["d"], "f": SPACE["f"]}, list(range(256)), nothing, scramble=True)
    for name, values in (("d", (2.0, 5.0, 8.0, 11.0)), ("f", (0.0, 1.0, 2.0))):
        counts = [sum(point[name] == value for point in points) for value in values]
        assert sum(counts) == 256
        assert max(counts) - min(counts) <= 1


def test_a_late_parameter_is_drawn_by_the_independent_sampler(nothing: View) -> None:
    space = {"u": UNIT["u"], "late": FloatDistribution(low=0.0, high=1.0)}
    pending = {name: np.empty(0) for name in space}
    stream = Stream(1, 5, "late")
    arguments = (nothing, space, pending, [stream])
    (drawn,) = build({"name": "qmc"}).suggest(*arguments, fixed={"u": 0.5})
    assert drawn == build({"name": "random"}).suggest(*arguments, fixed={"u": 0.5})[0]
    tpe = {"name": "tpe", "n_startup_trials": 0}
    (drawn,) = build({"name": "qmc", "independent_sampler": tpe}).suggest(*arguments, fixed={"u": 0.5})
    assert drawn.origin == "tpe"


def test_results_change_nothing(nothing: View, view_of: Callable[..., View], columns_of: Callable[..., Any]) -> None:
    columns: dict[str, Floats] = columns_of(SPACE, 6, missing=0.3)
    loss = [1.0, np.inf, -np.inf, np.nan, np.nan, 0.0]
    outcome = [Outcome.COMPLETE] * 3 + [Outcome.PRUNED, Outcome.LOST, Outcome.COMPLETE]
    view = view_of(columns, loss, outcome=np.array(outcome, dtype=np.int8))
    assert draws(SPACE, [0, 9], view) == draws(SPACE, [0, 9], nothing)
