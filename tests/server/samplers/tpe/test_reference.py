"""The reference estimator against Optuna itself: the same history, the same log l - log g."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.server.samplers.tpe.optuna_history import (
    PRUNED,
    RUNNING,
    Past,
    complete_trials,
    optunas_log_ratio,
    pending_of,
    points_of,
    view_of,
)
from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, Space
from tpeak_server.samplers import TPESampler

SPACES: Mapping[str, Space] = {
    "float": {"x": FloatDistribution(low=-3, high=5)},
    "log float": {"x": FloatDistribution(low=1e-6, high=1e2, log=True)},
    "float step": {"x": FloatDistribution(low=-1, high=1, step=0.1)},
    "int": {"x": IntDistribution(low=0, high=37)},
    "large int": {"x": IntDistribution(low=1, high=10**6)},
    "int log": {"x": IntDistribution(low=1, high=500, log=True)},
    "int step": {"x": IntDistribution(low=-9, high=90, step=3)},
    "categorical": {"x": CategoricalDistribution(choices=("a", "b", "c", "d"))},
    "mixed": {
        "batch": IntDistribution(low=8, high=256, log=True),
        "dropout": FloatDistribution(low=0, high=0.8, step=0.1),
        "layers": IntDistribution(low=1, high=9),
        "momentum": FloatDistribution(low=0, high=0.99),
        "rate": FloatDistribution(low=1e-6, high=1, log=True),
        "solver": CategoricalDistribution(choices=("adam", "sgd", "lion")),
    },
}
MIXED = SPACES["mixed"]
BRANCHES = ({"rate", "solver"}, {"rate", "solver", "batch", "layers"}, {"rate", "solver", "dropout", "momentum"})
"""What the trials of a conditional space have: some parameters are always there, others appear together."""

POINTS = 1000

sizes = pytest.mark.parametrize("count", [1, 5, 12, 60, 300])
"""Below and above 25 trials, from which on the older ones weigh less."""

directions = pytest.mark.parametrize(
    "directions",
    [["minimize"] * 2, ["maximize", "minimize"], ["maximize", "minimize", "minimize"], ["minimize"] * 4],
    ids=",".join,
)


def assert_optunas(
    history: Sequence[Past], space: Space, directions: Sequence[str] = ("minimize",), **arguments: Any
) -> None:
    names, points = list(space), points_of(space, POINTS)
    ours = TPESampler(reference="optuna5", **arguments).log_ratio(
        view_of(history, names, directions), space, pending_of(history, names), points
    )
    theirs = optunas_log_ratio(history, space, points, directions=directions, **arguments)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def with_state(trials: Sequence[Past], **changes: Any) -> list[Past]:
    return [dataclasses.replace(past, **changes) for past in trials]


def conditional(count: int) -> list[Past]:
    """Trials each of which has one of the branches."""
    return [
        dataclasses.replace(past, point={name: past.point[name] for name in BRANCHES[number % 3]})
        for number, past in enumerate(complete_trials(MIXED, count))
    ]


@sizes
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_kind_of_parameter_has_optunas_densities(space: Space, count: int) -> None:
    assert_optunas(complete_trials(space, count), space)


@sizes
def test_the_largest_values_are_good_where_they_are_to_be_maximized(count: int) -> None:
    assert_optunas(complete_trials(MIXED, count), MIXED, ["maximize"])


@sizes
@directions
@pytest.mark.parametrize("multivariate", [None, True])
def test_several_objectives_are_split_as_in_optuna(
    directions: Sequence[str], multivariate: bool | None, count: int
) -> None:
    history = complete_trials(MIXED, count, objectives=len(directions))
    assert_optunas(history, MIXED, directions, multivariate=multivariate)


@sizes
@directions
def test_equal_trials_of_several_objectives_are_split_as_in_optuna(directions: Sequence[str], count: int) -> None:
    history = [
        dataclasses.replace(past, values=tuple(float(round(value)) for value in past.values))
        for past in complete_trials(MIXED, count, objectives=len(directions))
    ]
    assert_optunas(history, MIXED, directions)


@sizes
@directions
@pytest.mark.parametrize("feasible", [0, 2])
def test_infeasible_trials_of_several_objectives_rank_as_in_optuna(
    feasible: int, directions: Sequence[str], count: int
) -> None:
    infeasible = [
        dataclasses.replace(past, constraints=(float(1 + number % 7),))
        for number, past in enumerate(complete_trials(MIXED, count, objectives=len(directions)))
    ]
    feasible_trials = complete_trials(MIXED, feasible, objectives=len(directions), seed=1)
    assert_optunas(infeasible + feasible_trials, MIXED, directions)


@sizes
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("complete", [0, 3])
def test_pruned_trials_rank_as_in_optuna(complete: int, direction: str, count: int) -> None:
    curves: list[dict[int, float]] = [{}, {0: 1.0}, {0: 0.5, 3: math.nan}, {0: 0.5, 3: 2.0}, {0: 0.5, 3: 1.0}]
    pruned = [
        dataclasses.replace(past, state=PRUNED, values=(), curve=curves[number % 5])
        for number, past in enumerate(complete_trials(MIXED, count))
    ]
    assert_optunas(complete_trials(MIXED, complete, seed=1) + pruned, MIXED, [direction])


@sizes
@pytest.mark.parametrize("constant_liar", [True, False])
def test_running_trials_are_bad_or_ignored_as_in_optuna(constant_liar: bool, count: int) -> None:
    running = with_state(complete_trials(MIXED, 7, seed=1), state=RUNNING, values=())
    assert_optunas(complete_trials(MIXED, count) + running, MIXED, constant_liar=constant_liar)


@sizes
@pytest.mark.parametrize("feasible", [0, 2])
def test_infeasible_trials_rank_as_in_optuna(feasible: int, count: int) -> None:
    violations = np.random.default_rng(5).normal(size=(count, 2)).round(1)
    infeasible = [
        dataclasses.replace(past, constraints=(abs(first), second))
        for past, (first, second) in zip(complete_trials(MIXED, count), violations.tolist(), strict=True)
    ]
    feasible_trials = with_state(complete_trials(MIXED, feasible, seed=1), constraints=(-1.0, 0.0))
    assert_optunas(infeasible + feasible_trials, MIXED)


@sizes
@pytest.mark.parametrize(
    "arguments",
    [
        {"multivariate": False},
        {"prior_weight": 0.5},
        {"prior_weight": 3.0},
        {"consider_magic_clip": False},
        {"consider_endpoints": True},
        {"consider_endpoints": True, "consider_magic_clip": False},
    ],
    ids=str,
)
def test_an_argument_means_what_it_means_in_optuna(arguments: dict[str, Any], count: int) -> None:
    assert_optunas(complete_trials(MIXED, count), MIXED, **arguments)


@sizes
@pytest.mark.parametrize("arguments", [{}, {"group": True}, {"multivariate": False}], ids=str)
def test_a_conditional_space_falls_into_optunas_parts(arguments: dict[str, Any], count: int) -> None:
    running = with_state(conditional(6), state=RUNNING, values=())
    assert_optunas(conditional(count) + running, MIXED, **arguments)
