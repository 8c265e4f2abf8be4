"""The reference estimator against Optuna itself, fed with the same history."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers import TPESampler
from tpeak_server.samplers.layout import layout_of

SPACES: Mapping[str, Space] = {
    "float": {"x": FloatDistribution(low=-3, high=5)},
    "log": {"x": FloatDistribution(low=1e-6, high=1e2, log=True)},
    "step": {"x": FloatDistribution(low=-1, high=1, step=0.1)},
    "int": {"x": IntDistribution(low=0, high=37)},
    "int step": {"x": IntDistribution(low=-9, high=90, step=3)},
    "int log": {"x": IntDistribution(low=1, high=500, log=True)},
    "large int": {"x": IntDistribution(low=1, high=10**6)},
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
SIZES = (1, 5, 12, 60, 300)
POINTS = 1000


@dataclass(frozen=True)
class Row:
    """One trial as both sides get it: internal values, and how it ended."""

    values: Mapping[str, float]
    state: OptunaState = OptunaState.COMPLETE
    loss: float = math.nan
    curve: Mapping[int, float] | None = None
    violation: float = 0.0


def internal(space: Space, rng: np.random.Generator) -> dict[str, float]:
    layout = layout_of(space)
    return layout.values(layout.uniform(rng.random(layout.dimensions)))


def rows_of(space: Space, count: int) -> list[Row]:
    rng = np.random.default_rng(count)
    return [Row(internal(space, rng), loss=float(rng.normal())) for _ in range(count)]


def optunas(distribution: Distribution) -> BaseDistribution:
    if isinstance(distribution, CategoricalDistribution):
        return optuna.distributions.CategoricalDistribution(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return optuna.distributions.IntDistribution(
            distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    return optuna.distributions.FloatDistribution(
        distribution.low, distribution.high, log=distribution.log, step=distribution.step
    )


def optunas_trial(row: Row, space: Space, number: int) -> FrozenTrial:
    distributions = {name: optunas(space[name]) for name in row.values}
    attrs = {"constraints": (row.violation,)} if row.violation else {}
    return FrozenTrial(
        number=number,
        state=row.state,
        value=row.loss if row.state is OptunaState.COMPLETE else None,
        datetime_start=None,
        datetime_complete=None,
        params={name: space[name].to_external(value) for name, value in row.values.items()},
        distributions=distributions,
        user_attrs={},
        system_attrs=attrs,
        intermediate_values=dict(row.curve or {}),
        trial_id=number,
    )


def optunas_ratio(
    rows: Sequence[Row], space: Space, points: Mapping[str, Floats], *, whole: Space | None = None, **arguments: Any
) -> Floats:
    """Optuna's log l - log g at internal values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(**arguments)
    study = optuna.create_study()
    trials = [optunas_trial(row, whole or space, number) for number, row in enumerate(rows)]
    finished = sum(row.state is not OptunaState.RUNNING for row in rows)
    below, above = _split_trials(study, trials, default_gamma(finished))
    wanted = {name: optunas(distribution) for name, distribution in space.items()}
    good = sampler._build_parzen_estimator(study, wanted, below, handle_below=True)
    bad = sampler._build_parzen_estimator(study, wanted, above, handle_below=False)
    samples = dict(points)
    return good.log_pdf(samples) - bad.log_pdf(samples)  # type: ignore[no-any-return]


def view_of(rows: Sequence[Row], space: Space) -> View:
    curves = [row.curve or {} for row in rows]
    last = [max(curve, default=-1) for curve in curves]
    pruned = [row.state is OptunaState.PRUNED for row in rows]
    return View(
        seq=len(rows),
        numbers=np.arange(len(rows)),
        outcome=np.where(pruned, Outcome.PRUNED, Outcome.COMPLETE).astype(np.int8),
        loss=np.array([row.loss for row in rows]).reshape(-1, 1),
        last_step=np.array(last),
        last_loss=np.array([curve.get(step, math.nan) for curve, step in zip(curves, last, strict=True)]),
        violation=np.array([row.violation for row in rows]),
        columns={name: np.array([row.values.get(name, math.nan) for row in rows]) for name in space},
    )


def points_of(space: Space, count: int = POINTS) -> dict[str, Floats]:
    rng = np.random.default_rng(99)
    drawn = [internal(space, rng) for _ in range(count)]
    return {name: np.array([point[name] for point in drawn]) for name in space}


def assert_optunas(rows: Sequence[Row], space: Space, **arguments: Any) -> None:
    finished = [row for row in rows if row.state is not OptunaState.RUNNING]
    running = [row for row in rows if row.state is OptunaState.RUNNING]
    pending = {name: np.array([row.values.get(name, math.nan) for row in running]) for name in space}
    points = points_of(space)
    ours = TPESampler(reference="optuna5", **arguments).log_ratio(view_of(finished, space), space, pending, points)
    np.testing.assert_allclose(ours, optunas_ratio(rows, space, points, **arguments), rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_kind_of_parameter_has_optunas_densities(space: Space, count: int) -> None:
    assert_optunas(rows_of(space, count), space)


@pytest.mark.parametrize("count", SIZES)
def test_pruned_trials_rank_as_in_optuna(count: int) -> None:
    space, rng = SPACES["mixed"], np.random.default_rng(3)
    curves: list[dict[int, float]] = [{}, {0: 1.0}, {0: 0.5, 3: math.nan}, {0: 0.5, 3: 2.0}, {0: 0.5, 3: 1.0}]
    rows = [Row(internal(space, rng), OptunaState.PRUNED, curve=curves[number % 5]) for number in range(count)]
    assert_optunas(rows, space)
    assert_optunas([*rows_of(space, 3), *rows], space)


@pytest.mark.parametrize("count", SIZES)
def test_running_trials_are_bad_as_in_optuna(count: int) -> None:
    space, rng = SPACES["mixed"], np.random.default_rng(4)
    running = [Row(internal(space, rng), OptunaState.RUNNING) for _ in range(7)]
    assert_optunas([*rows_of(space, count), *running], space)


@pytest.mark.parametrize("count", SIZES)
def test_infeasible_trials_rank_as_in_optuna(count: int) -> None:
    space, rng = SPACES["mixed"], np.random.default_rng(5)
    rows = [Row(internal(space, rng), loss=float(number), violation=float(rng.random())) for number in range(count)]
    assert_optunas(rows, space)
    assert_optunas([*rows_of(space, 2), *rows], space)


@pytest.mark.parametrize(
    "arguments",
    [{"consider_endpoints": True}, {"consider_magic_clip": False}, {"prior_weight": 0.5}, {"prior_weight": 3.0}],
    ids=str,
)
@pytest.mark.parametrize("count", SIZES)
def test_the_arguments_mean_what_they_mean_in_optuna(arguments: dict[str, Any], count: int) -> None:
    assert_optunas(rows_of(SPACES["mixed"], count), SPACES["mixed"], **arguments)


def test_a_trial_counts_only_where_it_has_every_parameter() -> None:
    space = SPACES["mixed"]
    rows = rows_of(space, 40)
    for number in range(0, 40, 3):
        rows[number] = Row({"rate": rows[number].values["rate"]}, loss=rows[number].loss)
    points = points_of(space)
    view, pending = view_of(rows, space), {name: np.empty(0) for name in space}
    ours = TPESampler(reference="optuna5").log_ratio(view, space, pending, points)
    together = {"rate": space["rate"]}
    expected = optunas_ratio(rows, together, {"rate": points["rate"]}, whole=space)
    for name in space.keys() - together.keys():
        expected = expected + optunas_ratio(rows, {name: space[name]}, {name: points[name]}, whole=space)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_with_group_what_appears_together_is_one_part() -> None:
    space = SPACES["mixed"]
    rows = rows_of(space, 40)
    for number, row in enumerate(rows):
        branch = {"batch", "layers"} if number % 2 else {"dropout", "momentum"}
        rows[number] = Row({n: v for n, v in row.values.items() if n in branch | {"rate", "solver"}}, loss=row.loss)
    points = points_of(space)
    view, pending = view_of(rows, space), {name: np.empty(0) for name in space}
    ours = TPESampler(reference="optuna5", group=True).log_ratio(view, space, pending, points)
    groups: list[Space] = [
        {name: space[name] for name in names}
        for names in (("batch", "layers"), ("dropout", "momentum"), ("rate", "solver"))
    ]
    expected = np.sum(
        [optunas_ratio(rows, group, {name: points[name] for name in group}, whole=space) for group in groups], axis=0
    )
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)
