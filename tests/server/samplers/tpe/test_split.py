from collections.abc import Callable

import numpy as np
import pytest

from tpeak_server.domain.observations import Outcome, View
from tpeak_server.samplers.tpe.rules import OPTUNA5, OWN
from tpeak_server.samplers.tpe.split import finished, ranking, split
from tpeak_server.samplers.tpe.weights import weights_by_age

pytestmark = pytest.mark.filterwarnings("error")

COMPLETE, PRUNED, LOST = Outcome.COMPLETE, Outcome.PRUNED, Outcome.LOST


@pytest.mark.parametrize(("count", "good"), [(0, 0), (1, 1), (10, 1), (11, 2), (100, 10), (250, 25), (1000, 25)])
def test_a_tenth_of_the_trials_but_at_most_25_is_good(count: int, good: int, view_of: Callable[..., View]) -> None:
    below, above = split(view_of({}, np.arange(count)[::-1]), OWN)
    assert below.tolist() == list(range(count - good, count))[::-1]
    assert above.tolist() == list(range(count - good))


def test_complete_trials_rank_by_loss_with_nan_and_infinity_last(view_of: Callable[..., View]) -> None:
    assert ranking(view_of({}, [2.0, np.nan, np.inf, -np.inf, 1.0])).tolist() == [3, 4, 0, 1, 2]


def test_equal_losses_stay_in_trial_order(view_of: Callable[..., View]) -> None:
    assert ranking(view_of({}, [1.0, 0.0, 1.0, 0.0, 1.0])).tolist() == [1, 3, 0, 2, 4]


def test_pruned_trials_rank_after_complete_ones_by_depth_then_by_loss(view_of: Callable[..., View]) -> None:
    view = view_of(
        {},
        [np.nan, np.nan, np.nan, np.nan, np.nan, 99.0],
        outcome=[PRUNED, PRUNED, PRUNED, PRUNED, PRUNED, COMPLETE],
        last_step=[0, 3, 3, 3, -1, -1],
        last_loss=[0.0, np.nan, 2.0, 1.0, np.nan, np.nan],
    )
    assert ranking(view).tolist() == [5, 3, 2, 1, 0, 4]


def test_infeasible_trials_rank_last_by_violation_and_lost_ones_behind_them(view_of: Callable[..., View]) -> None:
    view = view_of(
        {},
        [-5.0, 0.0, -9.0, np.nan, np.nan],
        outcome=[COMPLETE, COMPLETE, COMPLETE, PRUNED, LOST],
        violation=[2.0, 0.0, 1.0, 0.0, np.inf],
    )
    assert ranking(view).tolist() == [1, 3, 2, 0, 4]


def test_lost_trials_do_not_count_as_finished(view_of: Callable[..., View]) -> None:
    view = view_of({}, [0.0, np.nan, np.nan], outcome=[COMPLETE, PRUNED, LOST], violation=[0, 0, np.inf])
    assert finished(view) == 2


def test_of_several_objectives_the_undominated_trials_are_good(view_of: Callable[..., View]) -> None:
    losses = [[5.0, 5.0], [1.0, 3.0], [9.0, 9.0], [3.0, 1.0], [4.0, 4.0], [2.0, 2.0]]
    order = ranking(view_of({}, losses)).tolist()
    assert sorted(order[:3]) == [1, 3, 5]
    assert order[3:] == [4, 0, 2]


def test_of_a_front_too_large_to_find_what_covers_most_the_best_mean_ranks_are_good(
    view_of: Callable[..., View],
) -> None:
    # Of five objectives the second is better in four; the first, which covers more, in one.
    losses = [[1.0, 1.0, 1.0, 1.0, 0.0], [0.99, 0.99, 0.99, 0.99, 10.0], *[[99.0] * 5] * 8]
    below, above = split(view_of({}, losses), OPTUNA5)
    assert (below.tolist(), above.tolist()) == ([1], [0, *range(2, 10)])


def test_of_the_last_front_those_that_cover_most_are_good(view_of: Callable[..., View]) -> None:
    # All are on one front: the knee covers most, and beside it the ends more than its neighbours.
    losses = [[0.0, 10.0], [2.9, 3.1], [3.0, 3.0], [3.1, 2.9], [10.0, 0.0], *[[20.0, 20.0]] * 25]
    below, above = split(view_of({}, losses), OWN)
    assert sorted(below.tolist()) == [0, 2, 4]
    assert above.tolist() == [1, 3, *range(5, 30)]


def test_feasible_trials_of_several_objectives_come_before_better_infeasible_ones(view_of: Callable[..., View]) -> None:
    losses = [[0.0, 0.0], [5.0, 5.0], [4.0, 6.0], [1.0, 1.0], [9.0, 9.0]]
    violation = [2.0, 0.0, 0.0, 1.0, 0.0]
    assert ranking(view_of({}, losses, violation=violation)).tolist() == [1, 2, 4, 3, 0]


def test_where_all_are_infeasible_those_that_violate_least_are_good(view_of: Callable[..., View]) -> None:
    view = view_of({}, [[float(n), -float(n)] for n in range(20)], violation=[30.0 - n for n in range(19)] + [np.inf])
    below, _ = split(view, OWN)
    assert below.tolist() == [18, 17]


def test_several_objectives_with_nan_and_infinities_are_ranked(view_of: Callable[..., View]) -> None:
    losses = [[np.nan, 0.0], [np.inf, np.inf], [-np.inf, 1.0], [0.5, 0.5], [np.nan, np.nan]]
    assert sorted(ranking(view_of({}, losses)).tolist()) == [0, 1, 2, 3, 4]


def test_many_equal_points_of_several_objectives_are_split(view_of: Callable[..., View]) -> None:
    below, above = split(view_of({}, np.ones((40, 3))), OWN)
    assert (len(below), len(above)) == (4, 36)


def test_the_25_newest_trials_have_full_weight_and_older_ones_less() -> None:
    assert weights_by_age(3).tolist() == [1.0, 1.0, 1.0]
    assert weights_by_age(0).tolist() == []
    np.testing.assert_allclose(weights_by_age(27), [1 / 27, 1.0] + 25 * [1.0])
    np.testing.assert_allclose(weights_by_age(100)[[0, 74, 75, 99]], [0.01, 1.0, 1.0, 1.0])
