"""Problems whose trials follow learning curves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from problems.curves import CURVES, SPACES, STEPS, CurveProblem, marks_of, problems
from problems.grids import Axis
from problems.make_curves import LEAST, curve, splits
from tests.benchmarks.problems.given import Given

RATE = Axis(name="rate", low=1e-4, high=1.0, count=5, log=True)
KIND = Axis(name="kind", choices=("a", "b"))
FINALS = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8], [0.9, 1.0]])
SMALL = CurveProblem(
    name="small",
    axes=(RATE, KIND),
    values=np.stack([FINALS / 2, FINALS], axis=-1),
    seconds=np.stack([np.full((5, 2), 1.0), np.full((5, 2), 2.0)], axis=-1),
)


def test_a_point_has_the_curve_of_the_nearest_grid_point() -> None:
    # The grid is 0.0001, 0.001, 0.01, 0.1, 1; between 0.01 and 0.1 the middle of the logarithms is 0.0316.
    assert [SMALL.curve(Given(rate=rate, kind="b")).values for rate in (0.031, 0.032)] == [[0.3, 0.6], [0.4, 0.8]]
    found = SMALL.curve(Given(rate=1.0, kind="a"))
    assert (found.final, found.seconds, SMALL.steps) == (0.9, [1.0, 2.0], 2)


def test_marks_lie_between_what_is_drawn_at_random_and_the_best_value() -> None:
    marks = marks_of(SMALL)
    assert (marks.best, marks.of_best, marks.full_seconds) == (1.0, 0.99, 3.0)
    # Uniform logarithms: both ends of the axis have half the share of the others.
    assert (marks.typical, marks.good) == (pytest.approx(0.55, abs=0.06), pytest.approx(0.9, abs=0.11))
    assert marks.within == pytest.approx(marks.typical + 0.95 * (1.0 - marks.typical))
    assert (marks.way(marks.typical), marks.way(1.0)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("most", "rates", "kinds"),
    [
        (10, [1e-4, 1e-3, 1e-2, 1e-1, 1.0], ["a", "b"]),
        (9, [1e-4, 1e-3, 1e-1, 1.0], ["a", "b"]),
        (7, [1e-4, 1e-2, 1.0], ["a", "b"]),
        (1, [1e-4], ["a"]),
    ],
)
def test_a_search_grid_has_at_most_so_many_points(most: int, rates: list[float], kinds: list[str]) -> None:
    grid = SMALL.grid(most)
    assert (grid["rate"], grid["kind"]) == (pytest.approx(rates), kinds)


def test_the_stored_curves_are_whole_and_small() -> None:
    assert CURVES.stat().st_size < 2e6
    assert len(SPACES) >= 6
    for problem in problems():
        assert problem.values.shape == problem.seconds.shape == (*(len(axis.grid()) for axis in problem.axes), STEPS)
        assert 200 <= math.prod(problem.values.shape[:-1]) <= 700
        assert np.isfinite(problem.values).all()
        assert -1.0 <= problem.values.min() < problem.values.max() <= 1.0
        assert (problem.seconds > 0.0).mean() > 0.9
        assert not problem.conditional


def test_problems_are_chosen_by_name() -> None:
    assert [problem.name for problem in problems(["wine*", "digits-sgd"])] == ["digits-sgd", "wine-alcohol-mlp"]


def test_the_fingerprint_changes_with_the_curves_and_what_they_took() -> None:
    others = [replace(SMALL, values=SMALL.values + 0.1), replace(SMALL, seconds=SMALL.seconds * 2.0)]
    assert len({marks_of(problem).fingerprint for problem in (SMALL, *others, replace(SMALL))}) == 3


def test_every_mark_is_reached_by_more_than_one_grid_point() -> None:
    # What one training alone reaches is luck; what many reach is no mark.
    for problem in problems():
        marks, finals = marks_of(problem), problem.values[..., -1]
        for mark in (marks.within, marks.of_best):
            assert 2 <= (finals >= mark).sum() <= 0.2 * finals.size, (problem.name, mark)


def test_every_sample_is_held_out_by_one_fold() -> None:
    folds = splits("digits-sgd")
    assert [len(x) for x, *_ in folds] == [len(y) for _, _, y, _ in folds] == [400, 400, 400]
    assert sum(len(truth) for *_, truth in folds) == 1797
    assert [x.mean() for x, *_ in folds] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_a_model_is_trained_alike_each_time() -> None:
    params = {"learning_rate": 1e-2, "width": 8, "decay": 1e-5, "activation": "relu"}
    values, seconds = curve("wine-alcohol-mlp", params)
    assert (len(values), len(seconds), curve("wine-alcohol-mlp", params)[0]) == (STEPS, STEPS, values)
    assert values[-1] > values[0]


def test_a_model_that_diverges_has_the_least_value() -> None:
    params = {"learning_rate": 1e300, "width": 8, "decay": 1e-5, "activation": "relu"}
    assert curve("wine-alcohol-mlp", params)[0][-1] == LEAST["r2"]
