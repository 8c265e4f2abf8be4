import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpeak_server.domain.distributions import (
    MAX_EXACT_INT,
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.seam import Stream

pytestmark = pytest.mark.filterwarnings("error")

Columns = Callable[..., dict[str, Floats]]
Views = Callable[..., View]
Streams = Callable[[int], Stream]
Allows = Callable[[Distribution, float], bool]

DISTRIBUTIONS: list[Distribution] = [
    FloatDistribution(low=-3, high=5),
    FloatDistribution(low=1e-12, high=1, log=True),
    FloatDistribution(low=0, high=1, step=0.1),
    FloatDistribution(low=2.5, high=2.5),
    FloatDistribution(low=-8e307, high=9e307),
    IntDistribution(low=0, high=1),
    IntDistribution(low=-5, high=100, step=7),
    IntDistribution(low=1, high=1000, log=True),
    IntDistribution(low=-MAX_EXACT_INT, high=MAX_EXACT_INT, step=3),
    CategoricalDistribution(choices=("only",)),
    CategoricalDistribution(choices=("a", "b", "c")),
    CategoricalDistribution(choices=tuple(range(1000))),
]
SPACES = st.lists(st.sampled_from(DISTRIBUTIONS), min_size=1, max_size=4).map(
    lambda chosen: {f"p{at}": distribution for at, distribution in enumerate(chosen)}
)
PLANE: Space = {"x": FloatDistribution(low=-5, high=5), "y": FloatDistribution(low=-5, high=5)}


@settings(max_examples=40, deadline=None)
@given(SPACES, st.integers(0, 14), st.floats(0, 1), st.integers(1, 3), st.integers(0, 3), st.integers(0, 999))
def test_every_suggestion_is_in_the_range_on_the_grid_and_reproducible(
    view_of: Views,
    columns_of: Columns,
    stream_of: Streams,
    allows: Allows,
    space: Space,
    count: int,
    missing: float,
    objectives: int,
    running: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.choice([0.0, 1.0, -3.5, math.nan, math.inf, -math.inf, 1e308], (count, objectives))
    outcome = rng.choice([Outcome.COMPLETE, Outcome.PRUNED, Outcome.LOST], count, p=[0.7, 0.2, 0.1])
    violation = np.where(outcome == Outcome.LOST, math.inf, rng.choice([0.0, 0.0, 2.0], count))
    columns = columns_of(space, count, seed=seed, missing=missing)
    view = view_of(columns, losses.reshape(count, objectives), outcome=outcome, violation=violation)
    pending = columns_of(space, running, seed=seed + 1)
    streams = [stream_of(count + running + k) for k in range(2)]
    found = GPSampler(n_startup_trials=3).suggest(view, space, pending, streams)
    for suggestion in found:
        assert suggestion.values.keys() == space.keys()
        assert all(allows(space[name], value) for name, value in suggestion.values.items())
    assert found == GPSampler(n_startup_trials=3).suggest(view, space, pending, streams)


def test_a_batch_is_what_its_suggestions_are_one_by_one(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    columns = columns_of(PLANE, 30)
    view, pending = view_of(columns, columns["x"] ** 2 + columns["y"]), columns_of(PLANE, 2, seed=9)
    batch = GPSampler().suggest(view, PLANE, pending, [stream_of(k) for k in range(32, 36)])
    for number, suggestion in enumerate(batch, start=32):
        (alone,) = GPSampler().suggest(view, PLANE, pending, [stream_of(number)])
        assert {name: alone.values[name] for name in PLANE} == pytest.approx(dict(suggestion.values), rel=1e-6)
        pending = {name: np.append(column, suggestion.values[name]) for name, column in pending.items()}


def test_the_least_point_of_a_bowl_is_found(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    columns, sampler = columns_of(PLANE, 10), GPSampler()
    nothing = {name: np.empty(0) for name in PLANE}

    def bowl(x: Floats, y: Floats) -> Floats:
        return (x - 1.0) ** 2 + (y + 2.0) ** 2

    for number in range(10, 30):
        view = view_of(columns, bowl(columns["x"], columns["y"]))
        (suggestion,) = sampler.suggest(view, PLANE, nothing, [stream_of(number)])
        columns = {name: np.append(column, suggestion.values[name]) for name, column in columns.items()}
    assert bowl(columns["x"], columns["y"]).min() < 0.01


def test_points_under_way_are_kept_away_from(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    columns = columns_of(PLANE, 12)
    view = view_of(columns, np.sin(columns["x"]) * np.cos(2 * columns["y"]))
    nothing = {name: np.empty(0) for name in PLANE}
    found = GPSampler().suggest(view, PLANE, nothing, [stream_of(k) for k in range(8)])
    at = np.array([[one.values["x"], one.values["y"]] for one in found])
    apart = np.linalg.norm(at[:, np.newaxis] - at, axis=2)[np.triu_indices(8, 1)]
    assert apart.min() > 0.05


def test_no_point_of_a_discrete_space_is_suggested_twice(view_of: Views, stream_of: Streams) -> None:
    space: Space = {"k": IntDistribution(low=0, high=19)}
    columns = {"k": np.arange(20.0)[[0, 3, 6, 9, 12, 15, 18, 19, 1, 2]]}
    view = view_of(columns, (columns["k"] - 7.0) ** 2)
    found = GPSampler().suggest(view, space, {"k": np.array([7.0])}, [stream_of(k) for k in range(9)])
    assert {one.values["k"] for one in found} == {4.0, 5.0, 8.0, 10.0, 11.0, 13.0, 14.0, 16.0, 17.0}


def test_a_late_parameter_is_drawn_for_what_the_trial_has(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    columns = columns_of(PLANE, 60)
    view = view_of(columns, (columns["y"] - columns["x"]) ** 2)
    nothing = {name: np.empty(0) for name in PLANE}
    for given_x in (-4.0, 0.0, 4.0):
        (found,) = GPSampler().suggest(view, PLANE, nothing, [stream_of(7)], fixed={"x": given_x})
        assert found.values.keys() == {"y"}
        assert found.values["y"] == pytest.approx(given_x, abs=0.7)


def test_constraints_are_learned(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    columns = columns_of(PLANE, 60)
    view = view_of(columns, columns["x"], violation=np.maximum(0.0, -columns["x"]))
    nothing = {name: np.empty(0) for name in PLANE}
    found = GPSampler().suggest(view, PLANE, nothing, [stream_of(k) for k in range(8)])
    assert [one.values["x"] > -0.5 for one in found].count(True) >= 7
    assert np.median([one.values["x"] for one in found]) < 1.5


def test_where_no_trial_is_feasible_less_violation_is_sought(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    columns = columns_of(PLANE, 40)
    view = view_of(columns, columns["x"], violation=1.0 + (columns["x"] - 2.0) ** 2 + (columns["y"] + 3.0) ** 2)
    nothing = {name: np.empty(0) for name in PLANE}
    (found,) = GPSampler().suggest(view, PLANE, nothing, [stream_of(40)])
    assert found.values["x"] == pytest.approx(2.0, abs=0.3)
    assert found.values["y"] == pytest.approx(-3.0, abs=0.3)


def test_several_objectives_are_traded_off(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    columns = columns_of(PLANE, 60)
    x, y = columns["x"], columns["y"]
    view = view_of(columns, np.stack([(x - 2) ** 2 + y**2, (x + 2) ** 2 + y**2], axis=1))
    nothing = {name: np.empty(0) for name in PLANE}
    found = GPSampler().suggest(view, PLANE, nothing, [stream_of(k) for k in range(8)])
    assert np.abs([one.values["y"] for one in found]).max() < 1.0
    assert np.ptp([one.values["x"] for one in found]) > 2.0
    assert np.abs([one.values["x"] for one in found]).max() < 3.0


def test_an_explanation_draws_the_same_and_shows_the_last_candidates(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    columns = columns_of(PLANE, 20)
    view, nothing = view_of(columns, columns["x"] ** 2), {name: np.empty(0) for name in PLANE}
    (suggestion,) = GPSampler().suggest(view, PLANE, nothing, [stream_of(20)])
    explanation = GPSampler().explain(view, PLANE, nothing, stream_of(20))
    assert explanation.suggestion == suggestion
    assert explanation.candidates[0] == suggestion.values
    assert len(explanation.candidates) == len(explanation.scores) == 66
    assert explanation.scores[0] == explanation.scores.max()
