"""Problems with several objectives."""

from __future__ import annotations

import math
from typing import Any

import pytest

from problems.objectives import DIMENSIONS, problems
from problems.problem import scale_of
from studies.scoring import Score

PROBLEMS = {problem.name: problem for problem in problems()}


class OnFront:
    """The first parameters are given, the others at their best value."""

    def __init__(self, *first: float, others: float = 0.0) -> None:
        self._first = first
        self._others = others
        self.constraints: dict[str, float] = {}

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        place = int(name.removeprefix("x"))
        return self._first[place] if place < len(self._first) else self._others

    def set_constraint(self, key: str, value: float) -> None:
        self.constraints[key] = value


def test_points_on_the_fronts_are_where_the_papers_have_them() -> None:
    assert PROBLEMS["zdt1"].objective(OnFront(0.25)) == (0.25, 0.5)
    assert PROBLEMS["zdt2"].objective(OnFront(0.5)) == (0.5, 0.75)
    assert PROBLEMS["zdt3"].objective(OnFront(0.25)) == pytest.approx((0.25, 0.25))
    assert PROBLEMS["zdt4"].objective(OnFront(0.25)) == (0.25, 0.5)
    assert PROBLEMS["zdt6"].objective(OnFront(0.0)) == (1.0, 0.0)
    half = math.sqrt(0.5)
    assert PROBLEMS["dtlz2-3"].objective(OnFront(0.5, 0.5, others=0.5)) == pytest.approx((0.5, 0.5, half))
    assert PROBLEMS["dtlz2-4"].objective(OnFront(0.0, 0.0, 0.0, others=0.5)) == (1.0, 0.0, 0.0, 0.0)


def test_points_off_the_front_are_above_it() -> None:
    assert PROBLEMS["zdt1"].objective(OnFront(0.0, others=1.0)) == (0.0, 10.0)
    assert PROBLEMS["zdt4"].objective(OnFront(0.0, others=0.5)) == (0.0, 1.0 + 0.25 * (DIMENSIONS - 1))
    assert PROBLEMS["dtlz2-3"].objective(OnFront(0.0, 0.0, others=0.0)) == (2.25, 0.0, 0.0)


def test_the_ends_and_the_middle_are_feasible_and_what_is_between_is_not() -> None:
    def constraint(place: float) -> float:
        trial = OnFront(place, others=0.5)
        PROBLEMS["c2-dtlz2"].objective(trial)
        return trial.constraints["c0"]

    assert [round(constraint(place), 6) for place in (0.0, 0.5, 1.0)] == [-0.04] * 3
    assert constraint(0.25) > 0.0 < constraint(0.75)


@pytest.mark.parametrize(("name", "others"), [("zdt1", 0.0), ("zdt2", 0.0), ("zdt3", 0.0), ("zdt4", 0.0),
                                              ("zdt6", 0.0), ("c2-dtlz2", 0.5)])  # fmt: skip
def test_the_whole_front_has_the_whole_volume(name: str, others: float) -> None:
    score = Score(PROBLEMS[name])
    left = 1.0
    for place in range(1001):
        trial = OnFront(place / 1000.0, others=others)
        left = score.of(PROBLEMS[name].objective(trial), trial.constraints)
    assert 0.0 <= left < 0.01


@pytest.mark.parametrize(("name", "volume"), [("dtlz2-3", 2.851401), ("dtlz2-4", 4.754075)])
def test_the_volume_above_a_ball_is_what_is_left_of_the_cube(name: str, volume: float) -> None:
    assert round(PROBLEMS[name].volume, 6) == volume


def test_one_is_typical_of_several_objectives() -> None:
    assert scale_of(PROBLEMS["zdt1"]).typical == 1.0
    assert scale_of(PROBLEMS["zdt1"]).fingerprint != scale_of(PROBLEMS["zdt2"]).fingerprint
