import numpy as np
import pytest

from tpeak_server.samplers.nsgaii.selection import crowding, fronts, ranking, survivors

INF, NAN = np.inf, np.nan


def test_fronts_are_peeled_off_as_far_as_they_are_needed() -> None:
    loss = np.array([[1.0, 4.0], [4.0, 1.0], [2.0, 5.0], [2.0, 2.0], [5.0, 5.0]])
    assert [front.tolist() for front in fronts(loss, 5)] == [[0, 1, 3], [2], [4]]
    assert [front.tolist() for front in fronts(loss, 3)] == [[0, 1, 3]]


def test_equal_trials_are_in_one_front() -> None:
    assert [front.tolist() for front in fronts(np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), 3)] == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        ([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]], [INF, 1.5, 1.25, INF]),
        ([[0.0, 4.0], [1.0, 2.0], [INF, 1.0], [INF, -INF]], [INF, INF, INF, INF]),
        ([[1.0, 2.0], [1.0, 2.0]], [0.0, 0.0]),
        ([[INF], [INF]], [0.0, 0.0]),
    ],
)
def test_the_crowded_are_near_their_neighbours(loss: list[list[float]], wanted: list[float]) -> None:
    assert crowding(np.array(loss)).tolist() == wanted


def test_feasible_ones_come_first_then_the_least_violation_and_nan_is_the_worst_loss() -> None:
    violation = np.array([2.0, 0.0, 0.0, INF, 1.0, 0.0])
    loss = np.array([[0.0], [5.0], [NAN], [NAN], [0.0], [4.0]])
    assert ranking(violation, loss, 6).tolist() == [5, 1, 2, 4, 0, 3]
    assert ranking(violation, loss, 2).tolist() == [5, 1]


def test_very_many_compete_in_parts() -> None:
    individuals = np.column_stack([np.arange(5000), np.zeros(5000), np.arange(5000)[::-1]]).astype(float)
    assert survivors(individuals, 3)[:, 0].tolist() == [4999, 4998, 4997]
