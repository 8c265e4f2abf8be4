"""Studies of learning curves, step by step."""

from __future__ import annotations

import numpy as np

from problems.curves import CurveProblem
from problems.grids import Axis
from studies.simulation import NothingLeft
from studies.stepwise import Finished, run
from tests.benchmarks.problems.given import Given

PROBLEM = CurveProblem(
    name="three",
    axes=(Axis(name="kind", choices=("a", "b", "c")),),
    values=np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.9], [0.4, 0.5, 0.6]]),
    seconds=np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [0.5, 0.5, 0.5]]),
)


class Scripted:
    """Hands out these kinds, and prunes what has 0."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = list(kinds)
        self.reports: list[tuple[float, int]] = []
        self.told: list[float | None] = []

    def ask(self) -> Given:
        if not self._kinds:
            raise NothingLeft
        return Given(kind=self._kinds.pop(0))

    def report(self, trial: Given, value: float, step: int) -> bool:
        self.reports.append((value, step))
        return value == 0.0

    def tell(self, trial: Given, value: float | None) -> None:
        self.told.append(value)


def test_one_worker_trains_one_trial_after_the_other_and_stops_what_is_pruned() -> None:
    study = Scripted("a", "b", "c")
    assert list(run(study, PROBLEM, trials=3)) == [
        Finished(value=0.3, final=0.3, epochs=3, seconds=3.0, at=3.0),
        Finished(value=None, final=0.9, epochs=4, seconds=5.0, at=5.0),
        Finished(value=0.6, final=0.6, epochs=7, seconds=6.5, at=6.5),
    ]
    assert study.reports == [(0.1, 1), (0.2, 2), (0.3, 3), (0.0, 1), (0.4, 1), (0.5, 2), (0.6, 3)]
    assert study.told == [0.3, None, 0.6]


def test_two_workers_share_the_time_and_no_trial_waits() -> None:
    # At 2 b is pruned and makes room for c; at 3 a ends, and then c's second step.
    study = Scripted("a", "b", "c")
    assert list(run(study, PROBLEM, trials=3, workers=2)) == [
        Finished(value=None, final=0.9, epochs=3, seconds=4.0, at=2.0),
        Finished(value=0.3, final=0.3, epochs=5, seconds=5.5, at=3.0),
        Finished(value=0.6, final=0.6, epochs=7, seconds=6.5, at=3.5),
    ]


def test_what_is_pruned_makes_room_for_trials_until_the_epochs_are_spent() -> None:
    # Two whole curves have six epochs: three are spent by the first trial, four with the second one.
    assert [one.epochs for one in run(Scripted("a", "b", "b", "b", "a"), PROBLEM, trials=2)] == [3, 4, 5, 6]


def test_a_study_that_prunes_all_has_six_times_as_many_trials() -> None:
    assert [one.epochs for one in run(Scripted(*"b" * 20), PROBLEM, trials=3)] == list(range(1, 10))
    long = CurveProblem(name="long", axes=PROBLEM.axes, values=np.zeros((3, 9)), seconds=np.ones((3, 9)))
    assert [one.epochs for one in run(Scripted(*"b" * 20), long, trials=2)] == list(range(1, 13))


def test_a_study_ends_where_nothing_is_left() -> None:
    assert [one.value for one in run(Scripted("c"), PROBLEM, trials=9, workers=2)] == [0.6]


def test_a_trial_at_its_last_step_is_complete_whatever_the_pruner_says() -> None:
    class Late(Scripted):
        def report(self, trial: Given, value: float, step: int) -> bool:
            return step == 3

    assert [one.value for one in run(Late("a"), PROBLEM, trials=1)] == [0.3]
