"""What studies of learning curves cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from problems.curves import Marks
from studies.counting import Count, Course, Total, columns, count, ratios, total
from studies.stepwise import Finished

MARKS = Marks(best=0.9, typical=0.4, within=0.875, of_best=0.891, good=0.8, full_seconds=30.0, fingerprint="f")
FINISHED = [
    Finished(value=0.5, final=0.5, epochs=27, seconds=20.0, at=20.0),
    Finished(value=None, final=0.9, epochs=30, seconds=23.0, at=12.0),
    Finished(value=0.88, final=0.88, epochs=57, seconds=43.0, at=22.0),
    Finished(value=0.7, final=0.7, epochs=84, seconds=63.0, at=32.0),
]
COURSE = Course(
    arm="tpe+median",
    version="1",
    problem="p",
    fingerprint="f",
    seed=0,
    workers=2,
    trials=4,
    **columns(FINISHED),  # type: ignore[arg-type]
)
LONGER = replace(COURSE, trials=2, workers=4)
"""The same with fewer trials to its budget: it went on since it had not spent the epochs."""


def test_what_was_spent_until_a_complete_trial_reached_the_mark_counts() -> None:
    # The second trial would have reached it, and was pruned.
    assert count(COURSE, MARKS.within, MARKS, 27) == Count(reached=True, trials=3, epochs=57, seconds=43.0, at=22.0)


def test_the_first_trial_can_reach_it() -> None:
    assert count(COURSE, 0.5, MARKS, 27) == Count(reached=True, trials=1, epochs=27, seconds=20.0, at=20.0)


def test_a_study_that_does_not_reach_it_counts_as_its_whole_budget() -> None:
    assert count(COURSE, MARKS.of_best, MARKS, 27) == Count(reached=False, trials=4, epochs=108, seconds=120.0, at=60.0)


def test_a_study_that_does_not_reach_it_counts_as_what_it_spent_where_that_is_more() -> None:
    assert count(LONGER, MARKS.of_best, MARKS, 27) == Count(reached=False, trials=4, epochs=84, seconds=63.0, at=32.0)


def test_the_trials_of_the_budget_count_in_total() -> None:
    assert total(COURSE, MARKS) == Total(
        complete=3,
        epochs=84,
        seconds=63.0,
        at=32.0,
        efficiency=0.5,
        way=pytest.approx(0.96),
        whole_way=pytest.approx(0.96),
    )
    assert total(LONGER, MARKS) == Total(
        complete=1,
        epochs=30,
        seconds=23.0,
        at=12.0,
        efficiency=0.5,
        way=pytest.approx(0.2),
        whole_way=pytest.approx(0.96),
    )


def test_a_grid_may_have_fewer_trials_than_the_budget() -> None:
    short = replace(COURSE, trials=9)
    assert count(short, MARKS.of_best, MARKS, 27) == Count(reached=False, trials=9, epochs=243, seconds=270.0, at=135.0)
    assert (total(short, MARKS).complete, total(short, MARKS).efficiency) == (3, 0.5)


def test_of_two_arms_the_means_over_the_seeds_are_compared_by_problem() -> None:
    assert ratios({"p": [10.0, 30.0], "q": [5.0, 5.0]}, {"p": [40.0, 60.0], "q": [5.0, 0.0]}) == [2.5, 0.5]
