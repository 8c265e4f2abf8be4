"""Which trials of several objectives are the best."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tpeak_server.samplers.tpe.fronts import nondominated
from tpeak_server.samplers.tpe.volume import best_of_several, covering_unit, unit_losses, weights_by_volume

INF, NAN = np.inf, np.nan

pytestmark = pytest.mark.filterwarnings("error")


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one <= other).all() and (one < other).any())


def front_of(count: int, objectives: int) -> np.ndarray:
    """Points (count, objectives) on a sphere, of which none dominates another."""
    points = np.random.default_rng(objectives).random((count, objectives))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@given(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.sampled_from([0, 1, 2, 3, INF]))
)
def test_the_undominated_points_are_those_that_no_other_one_dominates(loss: np.ndarray) -> None:
    kept = nondominated(loss)
    for at, point in enumerate(loss):
        better = any(dominates(other, point) for other in loss)
        repeated = any((other == point).all() for other in loss[:at])
        assert kept[at] == (not better and not repeated)


def test_of_many_trials_the_same_are_the_best_as_front_by_front() -> None:
    rng = np.random.default_rng(0)
    for objectives, spread in itertools.product((2, 3, 4, 5), (3, 1000)):
        loss = rng.integers(0, spread, (400, objectives)).astype(float)
        rank, left = np.full(400, 400), np.arange(400)
        for front in range(400):
            best = nondominated(loss[left])
            rank[left[best]], left = front, left[~best]
        found = best_of_several(loss, 25)
        assert sorted(rank[found]) == sorted(rank)[:25]


def test_beside_the_best_the_ones_that_add_most_are_taken() -> None:
    # In units of the ranges, up to (1.1, 1.1): the second covers .64, beside it the first adds .02 and the others .01.
    loss = np.array([[0.0, 20.0], [3.0, 6.0], [2.9, 6.2], [3.1, 5.8], [10.0, 0.0]])
    assert covering_unit(loss, 3).tolist() == [1, 0, 4]


@pytest.mark.parametrize("objectives", [2, 3, 4, 5, 6])
def test_units_do_not_matter(objectives: int) -> None:
    loss = front_of(100, objectives)
    scaled = loss * 10.0 ** np.arange(-3, objectives - 3) - 7.0
    assert covering_unit(scaled, 10).tolist() == covering_unit(loss, 10).tolist()


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_the_volume_is_exact(objectives: int) -> None:
    loss = front_of(8, objectives)
    unit = unit_losses(loss)
    cells = [np.append(np.unique(column), 1.1) for column in unit.T]
    corners = np.stack([grid.ravel() for grid in np.meshgrid(*[c[:-1] for c in cells], indexing="ij")], axis=1)
    sizes = np.stack([grid.ravel() for grid in np.meshgrid(*[np.diff(c) for c in cells], indexing="ij")], axis=1)
    covered = (unit[:, None] <= corners).all(axis=2)
    chosen: list[int] = []
    for _ in range(5):
        volumes = [(covered[[*chosen, at]].any(axis=0) @ sizes.prod(axis=1)) for at in range(8)]
        chosen.append(int(np.argmax(volumes)))
    assert covering_unit(loss, 5).tolist() == chosen


def test_good_trials_weigh_by_what_each_covers_alone() -> None:
    # In units (0, 1), (.5, .5), (1, 0), (.5, 1): they cover .05, .25 and .05 alone, the last one, dominated, nothing.
    loss = np.array([[0.0, 8.0], [5.0, 4.0], [10.0, 0.0], [5.0, 8.0]])
    np.testing.assert_allclose(weights_by_volume(loss), np.array([1, 5, 1, 0]) * 4 / 7, atol=1e-11)


def test_equal_trials_share_a_weight() -> None:
    loss = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(weights_by_volume(loss), [0.75, 1.5, 0.75])


def test_what_three_objectives_cover_alone() -> None:
    # (0, 1, 1) covers 1.1 x .1 x .1, of which the middle, (.5, .5, .5), covers .6 x .1 x .1; that has .216 less thrice.
    loss = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.5, 0.5, 0.5]])
    volumes = np.array([0.005, 0.005, 0.005, 0.216 - 3 * 0.006 + 2 * 0.001])
    np.testing.assert_allclose(weights_by_volume(loss), volumes / volumes.mean())


def test_of_four_objectives_all_weigh_the_same() -> None:
    assert weights_by_volume(front_of(3, 4)).tolist() == [1.0, 1.0, 1.0]
    assert weights_by_volume(np.empty((0, 2))).tolist() == []


@pytest.mark.parametrize(
    ("losses", "unit"),
    [
        ([2.0, 4.0, 3.0], [0.0, 1.0, 0.5]),
        ([5.0, 5.0], [0.0, 0.0]),
        ([INF, 1.0, -INF, 2.0], [1.0, 0.0, 0.0, 1.0]),
        ([INF, INF], [0.0, 0.0]),
        ([-1e308, 1e308, 0.0], [0.0, 1.0, 0.5]),
        ([0.0, 5e-324], [0.0, 0.0]),
    ],
)
def test_losses_in_units_of_their_finite_range(losses: list[float], unit: list[float]) -> None:
    assert unit_losses(np.array(losses)[:, None])[:, 0].tolist() == unit


def test_an_objective_that_is_constant_does_not_matter() -> None:
    loss = np.random.default_rng(0).random((60, 2))
    constant = np.column_stack([loss, np.full(60, 3.0)])
    assert best_of_several(constant, 6).tolist() == best_of_several(loss, 6).tolist()


@settings(deadline=None)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 60), st.integers(2, 8)),
        elements=st.floats(allow_nan=False) | st.sampled_from([0.0, 1.0, INF, -INF]),
    ),
    st.integers(1, 25),
)
def test_whatever_the_losses_as_many_trials_are_taken_as_there_are(loss: np.ndarray, count: int) -> None:
    found = best_of_several(loss, count).tolist()
    assert len(found) == len(set(found)) == min(count, len(loss))


@pytest.mark.parametrize("objectives", [2, 3, 4, 6, 9])
def test_of_thousands_of_undominated_trials_enough_are_taken(objectives: int) -> None:
    assert len(set(best_of_several(front_of(5000, objectives), 25).tolist())) == 25
