"""NSGA-II: what holds whatever the history, and what it is to find."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.samplers.evolving import Losses, Played, history_of, play, spaces
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution
from tpeak_server.domain.observations import Floats, Outcome
from tpeak_server.samplers import NSGAIISampler, RandomSampler, build
from tpeak_server.samplers.nsgaii.crossover import CROSSOVERS
from tpeak_server.samplers.seam import Sampler, Stream

Allows = Callable[[Distribution, float], bool]

CUBE = {f"x{i}": FloatDistribution(low=0.0, high=1.0) for i in range(6)}

VARIANTS: list[dict[str, Any]] = [
    *({"crossover": name} for name in CROSSOVERS),
    {"mutation": "polynomial", "mutation_prob": 1.0},
    {"crossover_prob": 0.0, "mutation_prob": 0.0},
]


def sampler_of(**given: Any) -> NSGAIISampler:
    sampler = build({"name": "nsgaii", **given})
    assert isinstance(sampler, NSGAIISampler)
    return sampler


def zdt1(values: Mapping[str, float]) -> Losses:
    x = [values[f"x{i}"] for i in range(6)]
    g = 1.0 + 9.0 * sum(x[1:]) / 5
    return x[0], g * (1.0 - math.sqrt(x[0] / g))


def hypervolume(losses: Floats, reference: float) -> float:
    """What two objectives dominate below the reference, as a share of the square."""
    covered, height = 0.0, reference
    for first, second in sorted(map(tuple, losses)):
        if first < reference and second < height:
            covered += (reference - first) * (height - second)
            height = second
    return covered / reference**2


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("objectives", [1, 2, 3])
@settings(max_examples=10, deadline=None)
@given(space=spaces, count=st.integers(0, 60), seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3]))
def test_values_are_in_range_and_the_same_again(
    allows: Allows,
    variant: dict[str, Any],
    objectives: int,
    space: dict[str, Distribution],
    count: int,
    seed: int,
    missing: float,
) -> None:
    view = history_of(space, count, seed=seed, kind="nsgaii", size=8, missing=missing, objectives=objectives)
    pending = {name: np.array([np.nan]) for name in space}
    streams = [Stream(seed, number) for number in (500, 501)]
    sampler = sampler_of(population_size=5, **variant)
    drawn = sampler.suggest(view, space, pending, streams)
    for suggestion in drawn:
        assert suggestion.values.keys() == space.keys()
        assert all(allows(space[name], value) for name, value in suggestion.values.items())
    assert drawn == sampler.suggest(view, space, pending, streams)
    again = sampler_of(population_size=5, **variant)
    assert drawn == [again.suggest(view, space, pending, [stream])[0] for stream in streams]


@pytest.mark.parametrize("workers", [1, 16])
def test_the_front_of_zdt1_is_covered_far_better_than_at_random(workers: int) -> None:
    def covered(sampler: Sampler, seed: int) -> float:
        study = play(sampler, CUBE, zdt1, trials=400, workers=workers, seed=seed, several=2)
        return hypervolume(np.array(list(study.losses.values())), 4.0)

    found = [covered(sampler_of(population_size=20), seed) for seed in range(2)]
    random = [covered(RandomSampler(), seed) for seed in range(2)]
    assert min(found) > 0.84  # the whole front covers 0.98
    assert min(found) > max(random) + 0.08


@pytest.mark.parametrize("crossover", list(CROSSOVERS))
def test_every_crossover_finds_a_sphere_s_optimum(crossover: str) -> None:
    def objective(values: Mapping[str, float]) -> Losses:
        return (sum((value - 0.3) ** 2 for value in values.values()),)

    best = [
        min(
            play(
                sampler_of(population_size=20, crossover=crossover), CUBE, objective, trials=200, seed=s
            ).losses.values()
        )
        for s in range(2)
    ]
    assert max(best) < (0.1,)  # random search has 0.15


def test_feasible_trials_are_found_first() -> None:
    study = Played(sampler_of(population_size=10), CUBE)
    for number in range(200):
        values = study.ask(number)
        study.violations[number] = max(0.0, 4.0 - sum(values.values()))
        study.losses[number] = (sum(values.values()),)
    feasible = [study.losses[number][0] for number, violation in study.violations.items() if not violation]
    assert len(feasible) > 60
    assert min(feasible) < 4.2


def test_a_generation_lasts_until_enough_of_its_trials_are_complete() -> None:
    study = Played(sampler_of(population_size=3), CUBE)
    for number in range(5):
        study.ask(number)
    study.losses |= {number: (float(number),) for number in (0, 4)}
    study.ask(5)
    study.losses[2] = (math.nan,)
    study.ask(6)
    assert [study.origins[number] for number in (0, 5, 6)] == ["nsgaii 0", "nsgaii 0", "nsgaii 1"]


def test_pruned_and_lost_trials_are_no_parents_and_do_not_count() -> None:
    study = Played(sampler_of(population_size=3), CUBE)
    for number in range(3):
        study.ask(number)
        study.losses[number] = (1.0,)
    view = study.view()
    nothing = {name: np.empty(0) for name in CUBE}
    for outcome in (Outcome.PRUNED, Outcome.LOST):
        changed = replace(view, outcome=np.array([0, 0, outcome], dtype=np.int8))
        (drawn,) = study.sampler.suggest(changed, CUBE, nothing, [Stream(0, 9)])
        assert drawn.origin == "nsgaii 0"


def test_trials_of_no_generation_are_in_the_first() -> None:
    study = Played(sampler_of(population_size=2, mutation_prob=0.0), CUBE)
    study.values = {number: dict.fromkeys(CUBE, number / 4) for number in range(4)}
    study.origins = dict.fromkeys(range(4), "tpe")
    study.losses = {number: (float(-number),) for number in range(4)}
    # The best two are the parents: there are no other values to inherit.
    assert set(study.ask(4).values()) <= {0.5, 0.75}
    assert study.origins[4] == "nsgaii 1"


def test_a_branch_s_parameters_come_from_a_parent_that_has_them() -> None:
    space = {"kind": CategoricalDistribution(choices=("a", "b")), "branch": FloatDistribution(low=0.0, high=1.0)}
    study = Played(sampler_of(population_size=2, mutation_prob=0.0, crossover_prob=1.0), space)
    study.values = {0: {"kind": 0.0, "branch": 0.25}, 1: {"kind": 1.0}}
    study.origins, study.losses = {0: "nsgaii 0", 1: "nsgaii 0"}, {0: (1.0,), 1: (1.0,)}
    drawn = [study.ask(number) for number in range(2, 22)]
    assert {values["branch"] for values in drawn} == {0.25}
    assert {values["kind"] for values in drawn} == {0.0, 1.0}
