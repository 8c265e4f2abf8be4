"""Arms compared with one another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from problems.curves import CurveProblem, marks_of
from problems.grids import Axis
from studies.arms import parse_arms
from studies.counting import Course
from studies.reaching import Comparison, named

PROBLEM = CurveProblem(
    name="line",
    axes=(Axis(name="rate", low=0.0, high=1.0, count=11),),
    values=np.linspace(0.0, 1.0, 11)[:, None],
    seconds=np.ones((11, 1)),
)
RANDOM, OTHER = parse_arms("random,tpe")
LATE = Course(
    arm=RANDOM.label,
    version="1",
    problem="line",
    fingerprint="f",
    seed=0,
    workers=1,
    trials=4,
    values=[0.5, 0.6, 0.7, 1.0],
    finals=[0.5, 0.6, 0.7, 1.0],
    epochs=[1, 2, 3, 4],
    seconds=[1.0, 2.0, 3.0, 4.0],
    at=[1.0, 2.0, 3.0, 4.0],
)
EARLY = replace(LATE, arm=OTHER.label, values=[1.0, 0.5, 0.5, 0.5], finals=[1.0, 0.5, 0.5, 0.5])
COMPARISON = Comparison([RANDOM, OTHER], [PROBLEM], [LATE, EARLY, replace(EARLY, seed=1)])


def test_seeds_that_an_arm_has_not_finished_do_not_count() -> None:
    assert COMPARISON.seeds == [0]
    assert [one.complete for one in COMPARISON.totals(OTHER)] == [4]


def test_an_arm_that_takes_a_quarter_of_the_trials_is_four_times_as_good_as_random_search() -> None:
    assert [base.label for base in COMPARISON.bases()] == ["random+nop"]
    assert COMPARISON.ratios(OTHER, RANDOM, "95", "trials") == [4.0]
    assert named(COMPARISON)["seconds_99_tpe+nop_of_random"] == ("times", [4.0])


def test_figures_have_names_and_units() -> None:
    figures = named(COMPARISON)
    assert figures["reached_95_random+nop"] == ("share", [1.0])
    assert figures["epochs_95_tpe+nop"] == ("epochs", [1.0])
    assert figures["whole_way_tpe+nop"] == ("share", [pytest.approx(marks_of(PROBLEM).way(1.0))])


def test_without_a_finished_seed_there_are_no_figures() -> None:
    assert named(Comparison([RANDOM, OTHER], [PROBLEM], [LATE])) == {}
