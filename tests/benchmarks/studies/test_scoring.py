"""What a finished trial counts for."""

from __future__ import annotations

from problems.problem import Problem, Trial
from studies.scoring import Score


def uniform(trial: Trial) -> float:
    return trial.suggest_float("x", 0.5, 0.5)


PLAIN = Problem(name="plain", family="f", objective=uniform)
CONSTRAINED = Problem(name="constrained", family="f", objective=uniform, constrained=True)
FRONT = Problem(
    name="front", family="f", objective=lambda trial: (0.0, 0.0), reference=(2.0, 2.0), volume=4.0, constrained=True
)


def test_a_value_counts_as_it_is() -> None:
    score = Score(PLAIN)
    assert [score.of(value, {}) for value in (7.0, 0.1)] == [7.0, 0.1]


def test_what_is_infeasible_counts_for_twice_a_typical_value_and_nothing_feasible_for_more() -> None:
    score = Score(CONSTRAINED)
    assert score.of(0.1, {"c": 0.001}) == 1.0
    assert score.of(-3.0, {"c": -1.0, "d": 2.0}) == 1.0
    assert score.of(0.1, {"c": 0.0, "d": -1.0}) == 0.1
    assert score.of(9.0, {"c": 0.0}) == 1.0


def test_several_values_count_for_the_share_of_the_volume_that_is_left_out_so_far() -> None:
    score = Score(FRONT)
    assert score.of((1.0, 1.0), {"c": -1.0}) == 0.75
    assert score.of((0.0, 0.0), {"c": 1.0}) == 0.75
    assert score.of((1.5, 1.5), {"c": -1.0}) == 0.75
    assert score.of((0.0, 1.0), {"c": -1.0}) == 0.5
