"""Several objectives and constraints: what holds for suggestions, and that they lead to what is known to be best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers import RandomSampler, TPESampler
from tpeak_server.samplers.seam import Sampler, Stream
from tpeak_server.samplers.tpe.fronts import nondominated

pytestmark = pytest.mark.filterwarnings("error")

Columns = Callable[..., dict[str, Floats]]
Views = Callable[..., View]
Streams = Callable[[int], Stream]
Objective = Callable[[Floats], tuple[list[float], float]]
"""Losses and violation at a point of the unit cube."""

INF, NAN = np.inf, np.nan


def zdt1(x: Floats) -> tuple[list[float], float]:
    g = 1.0 + 9.0 * x[1:].mean()
    return [x[0], g * (1.0 - np.sqrt(x[0] / g))], 0.0


def constrained_sphere(x: Floats) -> tuple[list[float], float]:
    """The best feasible point is (0.7, 0.4, 0.4), of loss 0.09."""
    return [float(((x - 0.4) ** 2).sum())], max(0.0, 0.7 - x[0])


def optimized(
    sampler: Sampler, objective: Objective, dimensions: int, count: int, seed: int, view_of: Views
) -> tuple[Floats, Floats]:
    """The losses (count, objectives) and violations (count,) of a study."""
    names = [f"x{at}" for at in range(dimensions)]
    space = {name: FloatDistribution(low=0.0, high=1.0) for name in names}
    points, losses, violations = np.empty((0, dimensions)), np.empty((0, len(objective(np.zeros(dimensions))[0]))), []
    for number in range(count):
        columns = dict(zip(names, points.T.copy(), strict=True))
        view = view_of(columns, losses, violation=violations)
        (found,) = sampler.suggest(view, space, {name: np.empty(0) for name in names}, [Stream(seed, number)])
        point = np.array([found.values[name] for name in names])
        loss, violation = objective(point)
        points, losses, violations = np.vstack([points, point]), np.vstack([losses, loss]), [*violations, violation]
    return losses, np.array(violations)


def area(losses: Floats, reference: tuple[float, float]) -> float:
    """What the trials cover below the reference."""
    inside = losses[(losses < reference).all(axis=1)]
    front = inside[nondominated(inside)]
    front = front[front[:, 0].argsort()]
    widths = np.diff(np.append(front[:, 0], reference[0]))
    return float(widths @ (reference[1] - front[:, 1]))


def test_two_objectives_are_covered_well_above_random(view_of: Views) -> None:
    # All that can be covered below (1.1, 6) is 6.6 - 1/3, most random trials come to 3.6 to 4.
    def covered(sampler: Sampler) -> list[float]:
        return [area(optimized(sampler, zdt1, 6, 80, seed, view_of)[0], (1.1, 6.0)) for seed in range(3)]

    assert min(covered(TPESampler())) > max(covered(RandomSampler())) + 0.3


def test_a_constrained_sphere_is_searched_where_it_is_feasible(view_of: Views) -> None:
    for seed in range(3):
        losses, violation = optimized(TPESampler(), constrained_sphere, 3, 100, seed, view_of)
        assert 0.09 <= losses[violation == 0].min() < 0.12
        assert (violation[50:] == 0).mean() > 0.5


@pytest.mark.parametrize("objectives", [2, 3, 4, 5, 6])
@pytest.mark.parametrize(
    "change",
    [
        lambda loss: loss,
        lambda loss: loss * 0.0,
        lambda loss: np.column_stack([loss[:, :-1], np.ones(len(loss))]),
        lambda loss: np.where(loss > 1.0, INF, np.where(loss < -1.0, -INF, loss)),
        lambda loss: np.where(loss > 0.5, NAN, loss),
        lambda loss: np.full_like(loss, NAN),
        lambda loss: loss * 1e307,
    ],
    ids=["any", "equal", "one constant", "infinite", "some nan", "all nan", "huge"],
)
def test_suggestions_lie_in_the_range_and_are_repeatable(
    change: Callable[[Floats], Floats], objectives: int, view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    space = {"x": FloatDistribution(low=-1.0, high=2.0), "y": FloatDistribution(low=1e-6, high=1.0, log=True)}
    loss = change(np.random.default_rng(objectives).normal(size=(60, objectives)))
    for violation in (np.zeros(60), np.arange(60.0), np.where(np.arange(60) % 3, 0.0, INF)):
        view = view_of(columns_of(space, 60), loss, violation=violation)
        pending = columns_of(space, 5, seed=1)
        found = [TPESampler().suggest(view, space, pending, [stream_of(7), stream_of(8)]) for _ in range(2)]
        assert found[0] == found[1]
        for one in found[0]:
            assert one.origin == "tpe"
            assert -1.0 <= one.values["x"] <= 2.0
            assert 1e-6 <= one.values["y"] <= 1.0


def test_pending_trials_keep_others_away_with_several_objectives(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    space = {"x": FloatDistribution(low=0.0, high=1.0)}
    columns = columns_of(space, 60)
    loss = np.column_stack([(columns["x"] - 0.5) ** 2, (columns["x"] - 0.52) ** 2])
    view, streams = view_of(columns, loss), [stream_of(number) for number in range(30)]
    alone, beside = (
        np.median([
            abs(TPESampler().suggest(view, space, {"x": pending}, [stream])[0].values["x"] - 0.5) for stream in streams
        ])
        for pending in (np.empty(0), np.full(40, 0.5))
    )  # fmt: skip
    assert beside > 2 * alone


def test_units_of_the_objectives_change_nothing(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    space = {"x": FloatDistribution(low=0.0, high=1.0), "y": FloatDistribution(low=0.0, high=1.0)}
    columns, loss = columns_of(space, 80), np.random.default_rng(0).normal(size=(80, 3))
    drawn = [
        TPESampler().suggest(view_of(columns, one), space, {"x": np.empty(0), "y": np.empty(0)}, [stream_of(3)])
        for one in (loss, loss * [1e-3, 1.0, 1e6] + [5.0, -7.0, 0.0])
    ]
    assert drawn[0] == drawn[1]
