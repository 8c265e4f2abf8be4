"""CMA-ES: what holds whatever the history, and what it is to find."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.samplers.evolving import Losses, Played, distributions, history_of, play, spaces
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.observations import Outcome
from tpeak_server.samplers import CmaEsSampler, build
from tpeak_server.samplers.seam import Stream

Allows = Callable[[Distribution, float], bool]

CUBE = {f"x{i}": FloatDistribution(low=-5.0, high=5.0) for i in range(4)}
OPTIMUM = (1.0, -2.0, 0.5, 3.0)

VARIANTS: list[dict[str, Any]] = [
    {},
    {"use_separable_cma": True},
    {"with_margin": True},
    {"lr_adapt": True},
    {"restart_strategy": "ipop"},
    {"restart_strategy": "bipop", "inc_popsize": 3},
    {"consider_pruned_trials": True, "popsize": 2},
    {"independent_sampler": {"name": "tpe", "n_startup_trials": 2}},
]


def sampler_of(**given: Any) -> CmaEsSampler:
    sampler = build({"name": "cmaes", **given})
    assert isinstance(sampler, CmaEsSampler)
    return sampler


def sphere(values: Mapping[str, float]) -> Losses:
    return (sum((values[f"x{i}"] - best) ** 2 for i, best in enumerate(OPTIMUM)),)


def ellipsoid(values: Mapping[str, float]) -> Losses:
    return (sum(100.0 ** (i / 3) * (values[f"x{i}"] - best) ** 2 for i, best in enumerate(OPTIMUM)),)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@settings(max_examples=15, deadline=None)
@given(space=spaces, count=st.integers(0, 60), seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.2]))
def test_values_are_in_range_and_the_same_again(
    allows: Allows, variant: dict[str, Any], space: dict[str, Distribution], count: int, seed: int, missing: float
) -> None:
    view = history_of(space, count, seed=seed, kind="cmaes", size=8, missing=missing)
    pending = {name: np.array([np.nan]) for name in space}
    streams = [Stream(seed, number) for number in (500, 501)]
    sampler = sampler_of(**variant)
    drawn = sampler.suggest(view, space, pending, streams)
    for suggestion in drawn:
        assert suggestion.values.keys() == space.keys()
        assert all(allows(space[name], value) for name, value in suggestion.values.items())
    # Neither what was asked before nor the other points of a batch matter, but for a sampler beside that sees them.
    assert (
        drawn
        == sampler.suggest(view, space, pending, streams)
        == sampler_of(**variant).suggest(view, space, pending, streams)
    )
    assert sampler_of(**variant).suggest(view, space, pending, streams[:1]) == drawn[:1]


@settings(max_examples=30, deadline=None)
@given(distribution=distributions(), seed=st.integers(0, 1000))
def test_a_late_parameter_is_drawn_by_itself(allows: Allows, distribution: Distribution, seed: int) -> None:
    space = {**CUBE, "late": distribution}
    view = history_of(space, 30, seed=seed, kind="cmaes", size=8, missing=0.0)
    nothing = {name: np.empty(0) for name in space}
    (drawn,) = sampler_of().suggest(view, space, nothing, [Stream(0, 99, "late")], fixed=dict.fromkeys(CUBE, 0.5))
    assert drawn.values.keys() == {"late"}
    assert allows(distribution, drawn.values["late"])


@pytest.mark.parametrize("variant", VARIANTS[:6], ids=str)
def test_the_sphere_s_optimum_is_found(variant: dict[str, Any]) -> None:
    best = [min(play(sampler_of(**variant), CUBE, sphere, trials=200, seed=seed).losses.values()) for seed in range(3)]
    assert max(best) < (5.0 if "lr_adapt" in variant else 0.02,)  # random search has 5


def test_the_ellipsoid_s_optimum_is_found() -> None:
    best = [min(play(sampler_of(), CUBE, ellipsoid, trials=300, seed=seed).losses.values()) for seed in range(3)]
    assert sorted(best)[1] < (0.1,)


def test_sixteen_workers_find_the_sphere_s_optimum_too() -> None:
    best = [
        min(play(sampler_of(), CUBE, sphere, trials=300, workers=16, seed=seed).losses.values()) for seed in range(3)
    ]
    assert sorted(best)[1] < (0.1,)


def test_with_a_margin_integers_do_not_get_stuck() -> None:
    space = {**{f"n{i}": IntDistribution(low=-10, high=10) for i in range(3)}, "x": FloatDistribution(low=-5, high=5)}

    def objective(values: Mapping[str, float]) -> Losses:
        return (sum((values[f"n{i}"] - 7 + i) ** 2 for i in range(3)) + values["x"] ** 2,)

    best = [
        min(play(sampler_of(with_margin=True), space, objective, trials=200, seed=seed).losses.values())
        for seed in range(3)
    ]
    assert sorted(best)[1] < (0.1,)


def test_a_generation_lasts_until_it_has_its_results() -> None:
    study = Played(sampler_of(popsize=4), CUBE)
    for number in range(6):
        study.ask(number)
    assert set(study.origins.values()) == {"random"}  # there is no result yet
    study.losses[0] = (1.0,)
    for number in range(6, 12):
        study.ask(number)
    study.losses |= {number: (float(number),) for number in (6, 7, 9)}
    study.ask(12)
    study.losses[10] = (math.nan,)
    study.ask(13)
    assert [study.origins[number] for number in (6, 11, 12, 13)] == ["cmaes 0", "cmaes 0", "cmaes 0", "cmaes 1"]


def test_a_late_result_counts_for_its_own_generation() -> None:
    study = Played(sampler_of(popsize=4), CUBE)
    study.ask(0)
    study.losses[0] = (1.0,)
    for number in range(1, 7):
        study.ask(number)
    study.losses |= {number: sphere(study.values[number]) for number in (1, 2, 3, 4)}
    before = study.ask(7)
    study.losses[5] = (-1000.0,)
    assert study.origins[7] == "cmaes 1"
    assert study.ask(7) != before
    assert study.origins[7] == "cmaes 1"


def test_a_lost_and_an_infeasible_trial_are_worse_than_all_others_and_a_failed_one_is_none() -> None:
    study = play(sampler_of(popsize=6), CUBE, sphere, trials=7)
    view = study.view()
    nothing = {name: np.empty(0) for name in CUBE}

    def drawn(**changed: Any) -> Mapping[str, float]:
        return sampler_of(popsize=6).suggest(replace(view, **changed), CUBE, nothing, [Stream(0, 99)])[0].values

    last = np.arange(7) == 6
    worst = drawn(loss=np.where(last[:, np.newaxis], 1e9, view.loss))
    lost = np.where(last, Outcome.LOST, Outcome.COMPLETE).astype(np.int8)
    assert drawn(violation=np.where(last, 1.0, 0.0)) == worst
    assert drawn(outcome=lost, violation=np.where(last, np.inf, 0.0)) == worst
    assert drawn(loss=np.where(last[:, np.newaxis], np.nan, view.loss)) == worst
    assert drawn(loss=np.where(last[:, np.newaxis], -1e9, view.loss)) != worst


def test_pruned_trials_count_with_their_last_report_where_that_is_wanted() -> None:
    view = play(sampler_of(popsize=6), CUBE, sphere, trials=7).view()
    pruned = replace(
        view,
        outcome=np.where(np.arange(7) == 6, Outcome.PRUNED, Outcome.COMPLETE).astype(np.int8),
        loss=np.where((np.arange(7) == 6)[:, np.newaxis], np.nan, view.loss),
        last_step=np.full(7, 3),
        last_loss=view.loss[:, 0],
    )
    nothing = {name: np.empty(0) for name in CUBE}

    def origin(**given: Any) -> str:
        return sampler_of(popsize=6, **given).suggest(pruned, CUBE, nothing, [Stream(0, 99)])[0].origin

    assert (origin(), origin(consider_pruned_trials=True)) == ("cmaes 0", "cmaes 1")


def test_the_first_generation_is_around_x0_and_as_wide_as_sigma0() -> None:
    study = Played(sampler_of(x0={"x0": 4.0, "x1": -3.0, "unknown": 9.0}, sigma0=0.01, n_startup_trials=0), CUBE)
    points = np.array([[study.ask(number)[name] for name in CUBE] for number in range(200)])
    assert np.abs(points.mean(axis=0) - [4.0, -3.0, 0.0, 0.0]).max() < 0.03
    assert np.abs(points.std(axis=0) - 0.1).max() < 0.02


@pytest.mark.parametrize(("sign", "wanted"), [(1.0, -4.0), (-1.0, 4.0)])
def test_the_first_generation_is_where_source_trials_were_good(sign: float, wanted: float) -> None:
    source = [{"params": {"x": value / 10, "more": 1.0}, "value": value / 10} for value in range(-40, 41)]
    space = {"x": FloatDistribution(low=-5.0, high=5.0)}
    sampler = sampler_of(source_trials=source, n_startup_trials=0)
    view = replace(Played(sampler, space).view(), signs=(sign,))
    drawn = sampler.suggest(view, space, {"x": np.empty(0)}, [Stream(0, number) for number in range(100)])
    assert abs(np.median([one.values["x"] for one in drawn]) - wanted) < 1.0


def test_parameters_that_some_complete_trial_lacks_and_categorical_ones_are_drawn_beside() -> None:
    space = {
        **CUBE,
        "kind": CategoricalDistribution(choices=("a", "b")),
        "branch": FloatDistribution(low=0.0, high=1.0),
    }
    study = Played(sampler_of(sigma0=1e-6), space)
    study.values = {0: dict.fromkeys(CUBE, 0.0) | {"kind": 0.0}}
    study.origins, study.losses = {0: "enqueued"}, {0: (1.0,)}
    drawn = [study.ask(number) for number in range(1, 41)]
    assert max(abs(values[name]) for values in drawn for name in CUBE) < 1e-3
    assert {values["kind"] for values in drawn} == {0.0, 1.0}
    assert np.std([values["branch"] for values in drawn]) > 0.2


def test_where_it_has_converged_it_starts_again_with_a_larger_population() -> None:
    def sizes(strategy: str | None) -> list[int]:
        study = play(sampler_of(restart_strategy=strategy, popsize=4), space, lambda values: (0.0,), trials=250)
        labels = study.view().generations["cmaes"]
        return np.bincount(labels[labels >= 0])[:-1].tolist()

    space = {"x": FloatDistribution(low=0.0, high=1.0)}
    assert set(sizes(None)) == {4}
    assert sorted(set(sizes("ipop")))[:2] == [4, 8]
