import dataclasses
import math

import pytest

from tpeak import CategoricalDistribution, FloatDistribution, TrialState, create_trial
from tpeak.errors import InvalidValue
from tpeak.samplers import (
    AutoSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    PartialFixedSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)


def test_settings_know_their_wire_form():
    assert TPESampler(seed=3).wire() == {"name": "tpe"}
    assert RandomSampler(3).wire() == {"name": "random"}
    assert RandomSampler(deduplicate=False).wire() == {"name": "random", "deduplicate": False}
    assert GridSampler({"x": (1, 2.5), "y": [None, "a", True]}, 7).wire() == {
        "name": "grid",
        "search_space": {"x": [1, 2.5], "y": [None, "a", True]},
    }
    assert BruteForceSampler(3).wire() == {"name": "brute_force"}
    assert BruteForceSampler(avoid_premature_stop=True).wire() == {"name": "brute_force", "avoid_premature_stop": True}
    assert QMCSampler(seed=4, warn_asynchronous_seeding=False).wire() == {"name": "qmc"}
    assert QMCSampler(qmc_type="halton", scramble=True, independent_sampler=TPESampler(seed=9)).wire() == {
        "name": "qmc",
        "qmc_type": "halton",
        "scramble": True,
        "independent_sampler": {"name": "tpe"},
    }
    partial = PartialFixedSampler({"x": 1}, TPESampler(seed=9, n_startup_trials=3))
    assert partial.seed == 9
    assert partial.wire() == {
        "name": "partial_fixed",
        "fixed_params": {"x": 1},
        "base_sampler": {"name": "tpe", "n_startup_trials": 3},
    }
    assert AutoSampler(seed=3).wire() == {"name": "auto"}
    assert AutoSampler(n_startup_trials=5).wire() == {"name": "auto", "n_startup_trials": 5}
    assert GPSampler(deterministic_objective=True).wire() == {"name": "gp", "deterministic_objective": True}


@pytest.mark.parametrize(
    "make",
    [
        lambda: TPESampler(n_startup_trials=-1),
        lambda: TPESampler(n_ei_candidates=0),
        lambda: TPESampler(prior_weight=0.0),
        lambda: TPESampler(prior_weight=math.nan),
        lambda: TPESampler(prior_weight=math.inf),
        lambda: TPESampler(group=True, multivariate=False),
        lambda: TPESampler(reference="optuna4"),
        lambda: TPESampler(reference="optuna5", categorical_distance={"size": "ordered"}),
        lambda: TPESampler(consider_prior=False),
        lambda: TPESampler(gamma=lambda n: n // 4),
        lambda: TPESampler(weights=lambda n: [1.0] * n),
        lambda: TPESampler(constraints_func=lambda trial: [trial.user_attrs["excess"]]),
        lambda: TPESampler(reference="optuna5", deduplicate=True),
        lambda: GridSampler({}),
        lambda: GridSampler({"x": []}),
        lambda: GridSampler({"x": [1, 1.0]}),
        lambda: GridSampler({"x": [math.nan]}),
        lambda: GridSampler({"x": [[1]]}),
        lambda: GridSampler({"x": range(1001), "y": range(1000)}),
        lambda: QMCSampler(qmc_type="lattice"),
        lambda: QMCSampler(independent_sampler=GridSampler({"x": [1]})),
        lambda: PartialFixedSampler({"x": [1]}, TPESampler()),
        lambda: PartialFixedSampler({"x": 1}, None),
        lambda: AutoSampler(n_startup_trials=-1),
        lambda: GPSampler(n_startup_trials=-1),
        lambda: GPSampler(independent_sampler=RandomSampler()),
        lambda: GPSampler(constraints_func=lambda trial: [0.0]),
        lambda: CmaEsSampler(sigma0=0.0),
        lambda: CmaEsSampler(n_startup_trials=-1),
        lambda: CmaEsSampler(popsize=1),
        lambda: CmaEsSampler(restart_strategy="pop"),
        lambda: CmaEsSampler(use_separable_cma=True, with_margin=True),
        lambda: CmaEsSampler(lr_adapt=True, with_margin=True),
        lambda: CmaEsSampler(source_trials=[]),
        lambda: CmaEsSampler(source_trials=[], sigma0=0.1),
        lambda: CmaEsSampler(source_trials=[], use_separable_cma=True),
        lambda: CmaEsSampler(independent_sampler=CmaEsSampler()),
        lambda: NSGAIISampler(population_size=1),
        lambda: NSGAIISampler(population_size=2, crossover="spx"),
        lambda: NSGAIISampler(crossover="blx"),
        lambda: NSGAIISampler(mutation="gaussian"),
        lambda: NSGAIISampler(mutation_prob=1.5),
        lambda: NSGAIISampler(swapping_prob=math.nan),
        lambda: NSGAIISampler(constraints_func=len),
        lambda: NSGAIISampler(after_trial_strategy=len),
    ],
)
def test_settings_out_of_range_are_value_errors(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_only_settings_other_than_the_defaults_travel():
    assert TPESampler(n_startup_trials=10, prior_weight=None, consider_endpoints=False).wire() == {"name": "tpe"}
    given = {
        "n_startup_trials": 0,
        "n_ei_candidates": 24,
        "multivariate": False,
        "constant_liar": False,
        "prior_weight": 0.5,
        "consider_magic_clip": False,
        "consider_endpoints": True,
        "categorical_distance": {"size": "ordered", "solver": [[0.0, 2.0], [2.0, 0.0]]},
        "deduplicate": False,
    }
    assert TPESampler(**given).wire() == {"name": "tpe", **given}
    assert TPESampler(reference="optuna5").wire() == {"name": "tpe", "reference": "optuna5"}
    assert TPESampler(multivariate=True, group=True).wire() == {"name": "tpe", "multivariate": True, "group": True}


def test_evolutionary_settings_know_their_wire_form():
    assert CmaEsSampler(seed=3, warn_independent_sampling=False).wire() == {"name": "cmaes"}
    assert NSGAIISampler(seed=3, crossover="uniform").wire() == {"name": "nsgaii"}
    assert CmaEsSampler(
        x0={"x": 1}, n_startup_trials=0, independent_sampler=TPESampler(n_startup_trials=5), with_margin=True
    ).wire() == {
        "name": "cmaes",
        "n_startup_trials": 0,
        "with_margin": True,
        "x0": {"x": 1},
        "independent_sampler": {"name": "tpe", "n_startup_trials": 5},
    }
    assert NSGAIISampler(population_size=20, crossover="sbx", mutation_prob=0.0).wire() == {
        "name": "nsgaii",
        "population_size": 20,
        "crossover": "sbx",
        "mutation_prob": 0.0,
    }


def test_of_source_trials_the_numbers_travel():
    x = {"x": FloatDistribution(0, 1), "kind": CategoricalDistribution(["a"])}
    trials = [
        create_trial(value=2.0, params={"x": 0.25, "kind": "a"}, distributions=x),
        create_trial(
            state=TrialState.PRUNED,
            params={"x": 0.5, "kind": "a"},
            distributions=x,
            intermediate_values={0: 9.0, 3: 7.0},
        ),
        create_trial(state=TrialState.FAIL, params={"x": 0.5, "kind": "a"}, distributions=x),
    ]
    complete, pruned = {"params": {"x": 0.25}, "value": 2.0}, {"params": {"x": 0.5}, "value": 7.0}
    assert CmaEsSampler(source_trials=trials).wire()["source_trials"] == [complete]
    both = CmaEsSampler(source_trials=trials, consider_pruned_trials=True)
    assert both.wire()["source_trials"] == [complete, pruned]


def test_what_has_no_effect_is_taken_and_does_not_travel():
    assert TPESampler(consider_prior=True, warn_independent_sampling=True).wire() == {"name": "tpe"}


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"consider_prior": False}, "small prior_weight"),
        ({"gamma": len}, "a tenth of the trials is good, at most 25"),
        ({"weights": len}, "the 25 newest trials weigh the most"),
        ({"constraints_func": len}, "a trial's constraints go with its tell"),
    ],
)
def test_what_cannot_travel_is_refused_with_what_to_do(arguments, advice):
    with pytest.raises(InvalidValue, match=advice):
        TPESampler(**arguments)


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        ("sorted", "be 'ordered' or a matrix, got 'sorted'"),
        (3, "be 'ordered' or a matrix of numbers"),
        ([["far"]], "be 'ordered' or a matrix of numbers"),
        ([], "have as many columns as rows"),
        ([[0, 1]], "have as many columns as rows"),
        ([[0, -1], [-1, 0]], "hold finite numbers that are not negative"),
        ([[0, float("nan")], [1, 0]], "hold finite numbers that are not negative"),
        ([[0, 1], [2, 0]], "be symmetric, and 0 from a choice to itself"),
        ([[0, 1], [1, 1]], "be symmetric, and 0 from a choice to itself"),
    ],
)
def test_what_is_no_distance_is_refused(distance, message):
    with pytest.raises(InvalidValue, match=f"the distance of 'size' must {message}"):
        TPESampler(categorical_distance={"size": distance})


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TPESampler().n_startup_trials = 3  # type: ignore[misc]
