from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, Space
from tpeak_server.domain.observations import View, Warm
from tpeak_server.samplers.seam import Stream
from tpeak_server.samplers.tpe import TPESampler
from tpeak_server.samplers.tpe.rules import OPTUNA5, OWN
from tpeak_server.samplers.tpe.warm import startup_trials, strengths, weights

ViewOf = Callable[..., View]

SPACE: Space = {f"x{axis}": FloatDistribution(low=0.0, high=1.0) for axis in range(5)}
MIXED: Space = {
    "lr": FloatDistribution(low=1e-5, high=1e-1, log=True),
    "step": FloatDistribution(low=0.0, high=1.0, step=0.25),
    "depth": IntDistribution(low=1, high=9, step=2),
    "kind": CategoricalDistribution(choices=("a", None, 3)),
}


def warm_of(columns: dict[str, Any], losses: Any, weight: float = 1.0) -> Warm:
    """All trials of one source."""
    order = np.argsort(losses, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Warm(
        source=np.zeros(len(order), dtype=np.int64),
        rank=rank,
        seen=np.array([len(order)]),
        weight=np.array([weight]),
        columns=columns,
    )


def sphere(centre: float) -> Callable[[dict[str, float]], float]:
    return lambda values: float(sum((value - centre) ** 2 for value in values.values()))


def search(
    objective: Callable[[dict[str, float]], float], trials: int, seed: int, view_of: ViewOf, warm: Warm | None = None
) -> tuple[dict[str, Any], list[float]]:
    """The points and losses of a study with one worker."""
    sampler, points, losses = TPESampler(), [], []
    for number in range(trials):
        columns = {name: np.array([point[name] for point in points]) for name in SPACE}
        view = view_of(columns, losses)
        view = View(**{name: getattr(view, name) for name in View.__slots__ if name != "warm"}, warm=warm)
        pending = {name: np.empty(0) for name in SPACE}
        (drawn,) = sampler.suggest(view, SPACE, pending, [Stream(seed, number)])
        points.append(dict(drawn.values))
        losses.append(objective(points[-1]))
    return {name: np.array([point[name] for point in points]) for name in SPACE}, losses


def first_below(losses: list[float], target: float) -> int:
    """How many trials it took; one more than there were where the target was missed."""
    return next((count for count, loss in enumerate(losses, 1) if loss <= target), len(losses) + 1)


@pytest.fixture(scope="module")
def sources(view_of: ViewOf) -> list[Warm]:
    """A study of the sphere around 0.3, for each of some seeds."""
    return [warm_of(*search(sphere(0.3), 60, 1000 + seed, view_of)) for seed in range(6)]


def test_a_similar_study_leads_to_the_target_in_clearly_fewer_trials(sources: list[Warm], view_of: ViewOf) -> None:
    cold = [first_below(search(sphere(0.35), 30, seed, view_of)[1], 0.05) for seed in range(6)]
    warm = [
        first_below(search(sphere(0.35), 30, seed, view_of, source)[1], 0.05) for seed, source in enumerate(sources)
    ]
    # Measured: 20 and 4 trials, medians.
    assert statistics.median(warm) <= statistics.median(cold) / 2


def test_a_study_that_misleads_costs_little_after_fifty_trials(sources: list[Warm], view_of: ViewOf) -> None:
    cold = [min(search(sphere(0.8), 50, seed, view_of)[1]) for seed in range(6)]
    warm = [min(search(sphere(0.8), 50, seed, view_of, source)[1]) for seed, source in enumerate(sources)]
    # Measured: 0.005 and 0.007, medians; a random point of the space has a loss of about 0.9.
    assert statistics.median(warm) <= statistics.median(cold) + 0.02


def test_its_weight_halves_with_own_trials_until_it_is_nothing() -> None:
    warm = warm_of({}, np.arange(100.0), weight=2.0)
    assert [float(strengths(warm, own)[0]) for own in (0, 8, 16)] == [50.0, 25.0, 12.5]
    assert float(strengths(warm, 100)[0]) == 0.0
    assert float(strengths(warm_of({}, np.arange(4.0)), 0)[0]) == 4.0


def test_other_studies_stand_in_for_most_startup_trials() -> None:
    assert startup_trials(None, 10) == 10
    assert startup_trials(warm_of({}, np.arange(4.0)), 10) == 6
    assert startup_trials(warm_of({}, np.arange(100.0)), 10) == 3
    assert startup_trials(warm_of({}, np.arange(100.0)), 0) == 0


def test_each_source_is_split_by_its_own_ranks(view_of: ViewOf) -> None:
    warm = Warm(
        source=np.array([0, 0, 0, 1, 1]),
        rank=np.array([5, 0, 19, 0, 1]),
        seen=np.array([20, 2]),
        weight=np.array([1.0, 0.5]),
        columns={},
    )
    view = view_of({}, [])
    view = View(**{name: getattr(view, name) for name in View.__slots__ if name != "warm"}, warm=warm)
    found = weights(view, OWN)
    assert found is not None
    assert found[0].tolist() == [0.0, 2.0, 0.0, 0.1, 0.0]
    assert found[1].tolist() == [9.0, 0.0, 9.0, 0.0, 0.9]
    assert weights(view, OPTUNA5) is None


@given(count=st.integers(1, 30), own=st.integers(0, 25), seed=st.integers(0, 2**32), missing=st.floats(0.0, 1.0))
@settings(max_examples=40, deadline=None)
def test_suggestions_lie_in_the_space_and_are_repeatable(
    count: int, own: int, seed: int, missing: float, view_of: ViewOf, columns_of: Any, allows: Any
) -> None:
    columns = columns_of(MIXED, count, seed=seed, missing=missing)
    columns["lr"] = columns["lr"] * np.where(np.arange(count) % 2, 1e4, 1.0)  # some lie outside of the range
    warm = warm_of(columns, np.arange(float(count)))
    view = view_of(columns_of(MIXED, own, seed=seed + 1), np.arange(float(own)))
    view = View(**{name: getattr(view, name) for name in View.__slots__ if name != "warm"}, warm=warm)
    pending = columns_of(MIXED, 3, seed=seed + 2)
    streams = [Stream(seed, number) for number in range(3)]
    drawn = TPESampler().suggest(view, MIXED, pending, streams)
    assert drawn == TPESampler().suggest(view, MIXED, pending, streams)
    for suggestion in drawn:
        assert suggestion.values.keys() == MIXED.keys()
        assert all(allows(MIXED[name], value) for name, value in suggestion.values.items())
    if startup_trials(warm, 10) <= own:
        assert TPESampler().explain(view, MIXED, pending, streams[0]).suggestion == drawn[0]
