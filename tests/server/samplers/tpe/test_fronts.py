"""Which trials of several objectives cover most; Optuna's choice is beside it in test_reference.py."""

import numpy as np
import pytest

from tpeak_server.samplers.tpe.fronts import covering, nondominated

INF = np.inf

pytestmark = pytest.mark.filterwarnings("error")


def test_of_equal_points_one_is_not_dominated() -> None:
    loss = np.array([[2.0, 2.0], [1.0, 3.0], [2.0, 2.0], [3.0, 3.0]])
    assert nondominated(loss).tolist() == [True, True, False, False]


def test_the_first_covers_most_and_each_other_one_adds_most() -> None:
    # Below the reference (8.8, 9.9) the second covers 69; beside it the first adds 0.9, the third 0.8.
    loss = np.array([[0.0, 9.0], [1.0, 1.0], [8.0, 0.0]])
    assert [covering(loss, count).tolist() for count in (1, 2)] == [[1], [1, 0]]


def test_a_neighbour_of_the_best_adds_little() -> None:
    # Below the reference (9.9, 9.9, 5.5) the second adds 0.9 to the first, the last 13 and the third then 1.35.
    loss = np.array([[4.0, 4.0, 4.0], [4.1, 3.9, 4.0], [9.0, 1.0, 5.0], [5.0, 9.0, 1.0]])
    assert covering(loss, 3).tolist() == [0, 3, 2]


def test_equal_trials_come_after_all_others_in_trial_order() -> None:
    loss = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0], [1.0, 1.0]])
    assert [sorted(covering(loss, count).tolist()) for count in (2, 3)] == [[0, 2], [0, 1, 2]]


def test_below_a_worst_loss_of_zero_or_less_the_reference_is_still_worse() -> None:
    # Below the reference (-0.9, 1e-12).
    loss = np.array([[-4.0, 0.0], [-2.0, -1.0], [-1.0, -12.0]])
    assert covering(loss, 1).tolist() == [2]


@pytest.mark.parametrize("worst", [INF, -INF, 1e300])
def test_infinite_extents_are_not_compared(worst: float) -> None:
    loss = np.array([[worst, 0.0], [0.0, worst], [1.0, 1.0]])
    assert sorted(set(covering(loss, 2).tolist())) == sorted(covering(loss, 2).tolist())
    assert len(covering(loss, 2)) == 2


def test_where_the_worst_is_infinite_the_first_by_their_losses_are_taken() -> None:
    assert covering(np.array([[INF, 0.0], [0.0, INF], [1.0, 1.0]]), 2).tolist() == [1, 2]
