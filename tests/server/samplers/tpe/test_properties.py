"""What holds for the estimator whatever the space, the history and the arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from tpeak_server.samplers import TPESampler
from tpeak_server.samplers.layout import Layout, Points, layout_of
from tpeak_server.samplers.seam import Stream
from tpeak_server.samplers.tpe.bandwidth import BandwidthRule
from tpeak_server.samplers.tpe.mixture import Mixture, fit_mixture
from tpeak_server.samplers.tpe.normal import family_of

pytestmark = pytest.mark.filterwarnings("error")

Columns = Callable[..., dict[str, Floats]]
Views = Callable[..., View]
Streams = Callable[[int], Stream]
Allows = Callable[[Distribution, float], bool]

RECENT = 25
"""Up to this many trials of a mixture weigh the same."""

INTS = st.integers(-MAX_EXACT_INT, MAX_EXACT_INT)


@st.composite
def floats(draw: st.DrawFn) -> Distribution:
    low, high = sorted(draw(st.tuples(*2 * [st.floats(-1e12, 1e12)])))
    return FloatDistribution(low=low, high=high)


@st.composite
def log_floats(draw: st.DrawFn) -> Distribution:
    low = 10 ** draw(st.floats(-12, 12))
    return FloatDistribution(low=low, high=low * 10 ** draw(st.floats(0, 12)), log=True)


@st.composite
def float_grids(draw: st.DrawFn) -> Distribution:
    low, step, count = draw(st.floats(-1e3, 1e3)), 10 ** draw(st.floats(-6, 3)), draw(st.integers(0, 5000))
    return FloatDistribution(low=low, high=low + count * step, step=step)


@st.composite
def ints(draw: st.DrawFn) -> Distribution:
    low, high = sorted(draw(st.tuples(INTS, INTS) | st.tuples(*2 * [st.integers(-9, 9)])))
    return IntDistribution(low=low, high=high, step=draw(st.integers(1, 7) | st.integers(1, MAX_EXACT_INT)))


@st.composite
def log_ints(draw: st.DrawFn) -> Distribution:
    low, high = sorted(draw(st.tuples(*2 * [st.integers(1, MAX_EXACT_INT) | st.integers(1, 50)])))
    return IntDistribution(low=low, high=high, log=True)


CATEGORICALS = st.integers(1, 40).map(lambda count: CategoricalDistribution(choices=tuple(range(count))))
SPACES = st.lists(
    st.one_of(floats(), log_floats(), float_grids(), ints(), log_ints(), CATEGORICALS), min_size=1, max_size=4
).map(lambda chosen: {f"p{at}": distribution for at, distribution in enumerate(chosen)})

ARGUMENTS = st.fixed_dictionaries(
    {
        "n_ei_candidates": st.sampled_from([None, 1, 24]),
        "multivariate": st.sampled_from([None, True, False]),
        "group": st.booleans(),
        "constant_liar": st.booleans(),
        "prior_weight": st.floats(1e-6, 1e6),
        "consider_magic_clip": st.booleans(),
        "consider_endpoints": st.booleans(),
        "reference": st.sampled_from([None, "optuna5"]),
    }
).filter(lambda arguments: not (arguments["group"] and arguments["multivariate"] is False))

MIXED: Space = {
    "x": FloatDistribution(low=-3, high=5),
    "rate": FloatDistribution(low=1e-6, high=1, log=True),
    "dropout": FloatDistribution(low=0, high=0.9, step=0.1),
    "layers": IntDistribution(low=1, high=9),
    "batch": IntDistribution(low=8, high=256, log=True),
    "solver": CategoricalDistribution(choices=("adam", "sgd", "lion")),
}


def no_trials(space: Space) -> dict[str, Floats]:
    return {name: np.empty(0) for name in space}


@settings(max_examples=200, deadline=None)
@given(
    SPACES, ARGUMENTS, st.integers(0, 40), st.floats(0, 1), st.integers(1, 2), st.integers(0, 3), st.integers(0, 999)
)
def test_every_suggestion_is_in_the_range_and_on_the_grid(
    view_of: Views,
    columns_of: Columns,
    stream_of: Streams,
    allows: Allows,
    space: Space,
    arguments: dict[str, Any],
    count: int,
    missing: float,
    objectives: int,
    running: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    outcome = rng.choice([Outcome.COMPLETE, Outcome.COMPLETE, Outcome.PRUNED, Outcome.LOST], size=count)
    loss = np.where((outcome == Outcome.COMPLETE)[:, np.newaxis], rng.normal(size=(count, objectives)), np.nan)
    columns = columns_of(space, count, seed=seed, missing=missing)
    view = view_of(columns, loss.reshape(count, objectives), outcome=outcome.astype(np.int8))
    pending = columns_of(space, running, seed=seed + 1, missing=missing)
    sampler = TPESampler(n_startup_trials=0, **arguments)
    for suggestion in sampler.suggest(view, space, pending, [stream_of(seed), stream_of(seed + 1)]):
        assert suggestion.values.keys() == space.keys()
        assert all(allows(space[name], value) for name, value in suggestion.values.items())


KERNELS: dict[str, Distribution] = {
    "float": FloatDistribution(low=-3, high=5),
    "log float": FloatDistribution(low=1e-6, high=1e6, log=True),
    "float step": FloatDistribution(low=0, high=1, step=0.1),
    "fine float step": FloatDistribution(low=0, high=1, step=0.001),
    "int": IntDistribution(low=0, high=9),
    "fine int": IntDistribution(low=-1000, high=1000),
    "int log": IntDistribution(low=1, high=200, log=True),
    "fine int log": IntDistribution(low=10_000, high=14_000, log=True),
    "categorical": CategoricalDistribution(choices=("a", "b", "c", "d")),
}
HAS_DENSITIES = {("float", False), ("float", True), ("log float", False), ("log float", True), ("fine int log", False)}
"""Which kernels, exact ones or not, have a density per unit of u; the other ones have masses, one a value."""


def whole_axis(layout: Layout, distribution: Distribution, *, density: bool) -> tuple[Points, Floats]:
    """Points that cover one axis, and the weight of each in the integral, or sum, over it."""
    if density:
        nodes, weights = np.polynomial.legendre.leggauss(8)
        unit = (np.arange(400)[:, np.newaxis] + (nodes + 1) / 2) / 400
        return Points(unit.reshape(1, -1), np.empty((0, unit.size), dtype=np.int64)), np.tile(weights / 800, 400)
    if isinstance(distribution, CategoricalDistribution):
        values = np.arange(len(distribution.choices), dtype=np.float64)
    else:
        index = np.arange(layout.axes.grid_size(0))
        values = np.minimum(distribution.low + index * (distribution.step or 1.0), distribution.high)
    return layout.points({"x": values}, len(values)), np.ones(len(values))


@settings(max_examples=10, deadline=None)
@given(
    count=st.integers(0, 40),
    running=st.integers(0, 3),
    missing=st.floats(0, 1),
    prior_weight=st.floats(1e-3, 1e3),
    endpoints=st.booleans(),
    seed=st.integers(0, 999),
)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kind", KERNELS)
def test_every_kind_of_kernel_has_finite_densities_that_integrate_to_one(
    columns_of: Columns,
    kind: str,
    exact: bool,
    count: int,
    running: int,
    missing: float,
    prior_weight: float,
    endpoints: bool,
    seed: int,
) -> None:
    space: Space = {"x": KERNELS[kind]}
    layout = layout_of(space)
    mixture = fit_mixture(
        layout,
        layout.points(columns_of(space, count, seed=seed, missing=missing), count),
        family_of(layout.axes, exact=exact),
        prior_weight=prior_weight,
        rule=BandwidthRule(endpoints=endpoints),
    )
    pending = mixture.beside(layout.points(columns_of(space, running, seed=seed + 1), running)) if running else None
    points, weights = whole_axis(layout, KERNELS[kind], density=(kind, exact) in HAS_DENSITIES)
    log_density = mixture.log_density(points, pending)
    assert np.isfinite(log_density).all()
    # What is not exact leaves out terms of the fourth order in the size of a cell, a small part of the bandwidth.
    assert np.exp(log_density) @ weights == pytest.approx(1.0, abs=1e-9 if exact else 1e-3)


def distinct(column: Floats) -> bool:
    known = column[~np.isnan(column)]
    return len(np.unique(known)) == len(known)


def fitted(space: Space, columns: dict[str, Floats], count: int, *, exact: bool) -> Mixture:
    layout = layout_of(space)
    return fit_mixture(layout, layout.points(columns, count), family_of(layout.axes, exact=exact))


@settings(max_examples=100, deadline=None)
@given(SPACES, st.booleans(), st.integers(0, RECENT), st.floats(0, 1), st.integers(0, 999))
def test_the_order_of_trials_that_weigh_the_same_changes_nothing(
    columns_of: Columns, space: Space, exact: bool, count: int, missing: float, seed: int
) -> None:
    columns = columns_of(space, count, seed=seed, missing=missing)
    # Of equal values the first has the gap before them and the last the gap after them: which trials these are depends
    # on the order, and so do densities of several parameters.
    columns = {
        name: column
        for name, column in columns.items()
        if isinstance(space[name], CategoricalDistribution) or distinct(column)
    }
    space = {name: space[name] for name in columns}
    order = np.random.default_rng(seed).permutation(count)
    shuffled = {name: column[order] for name, column in columns.items()}
    points = layout_of(space).points(columns_of(space, 50, seed=seed + 1), 50)
    np.testing.assert_allclose(
        fitted(space, columns, count, exact=exact).log_density(points),
        fitted(space, shuffled, count, exact=exact).log_density(points),
        rtol=0,
        atol=1e-9,
    )


@settings(max_examples=40, deadline=None)
@given(
    ARGUMENTS,
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=60),
    st.integers(-20, 20),
    st.integers(-1000, 1000),
    st.integers(0, 999),
)
def test_affine_changes_of_the_objective_change_no_bit(
    view_of: Views,
    columns_of: Columns,
    stream_of: Streams,
    arguments: dict[str, Any],
    values: list[int],
    exponent: int,
    shift: int,
    seed: int,
) -> None:
    columns = columns_of(MIXED, len(values), seed=seed)
    sampler = TPESampler(n_startup_trials=0, **arguments)
    streams = [stream_of(seed), stream_of(seed + 1)]
    # Powers of two and small integers: no change is rounded, so that no two values become equal.
    losses = (np.array(values, dtype=np.float64), 2.0**exponent * np.array(values) + shift)
    first, second = (sampler.suggest(view_of(columns, loss), MIXED, no_trials(MIXED), streams) for loss in losses)
    assert first == second


@settings(max_examples=12, deadline=None)
@given(ARGUMENTS, st.integers(0, 40), st.floats(0, 0.5), st.sets(st.integers(1, 6)), st.integers(0, 999))
def test_a_suggestion_depends_on_its_number_and_not_on_what_is_asked_at_once(
    view_of: Views,
    columns_of: Columns,
    stream_of: Streams,
    arguments: dict[str, Any],
    count: int,
    missing: float,
    splits: set[int],
    seed: int,
) -> None:
    columns = columns_of(MIXED, count, seed=seed, missing=missing)
    view = view_of(columns, np.random.default_rng(seed).normal(size=count))
    streams = [stream_of(seed + number) for number in range(7)]
    at_once = TPESampler(n_startup_trials=0, **arguments).suggest(view, MIXED, no_trials(MIXED), streams)
    pending, apart = no_trials(MIXED), []
    for start, end in zip([0, *sorted(splits)], [*sorted(splits), 7], strict=True):
        drawn = TPESampler(n_startup_trials=0, **arguments).suggest(view, MIXED, pending, streams[start:end])
        pending = {
            name: np.append(column, [suggestion.values[name] for suggestion in drawn])
            for name, column in pending.items()
        }
        apart += drawn
    assert apart == at_once
