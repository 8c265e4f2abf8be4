"""Losses on a grid as a function of a trial."""

from __future__ import annotations

import numpy as np

from problems.grids import Axis, Tree, points
from tests.benchmarks.problems.given import Given

RATE = Axis(name="rate", low=1e-4, high=1.0, count=3, log=True)
WIDTH = Axis(name="width", low=8, high=32, count=3, log=True, whole=True)
KIND = Axis(name="kind", choices=("a", "b"))


def test_the_grid_of_an_axis_is_even_on_its_scale() -> None:
    assert np.allclose(RATE.grid(), [1e-4, 1e-2, 1.0])
    assert (WIDTH.grid(), KIND.grid()) == ([8, 16, 32], ["a", "b"])


def test_the_points_of_axes_are_all_combinations_of_theirs() -> None:
    assert points([KIND, WIDTH])[1:4] == [
        {"kind": "a", "width": 16},
        {"kind": "a", "width": 32},
        {"kind": "b", "width": 8},
    ]


def test_between_the_grid_points_losses_are_interpolated() -> None:
    tree = Tree(branches={"": (RATE, KIND)})
    losses = {"": np.array([[4.0, 9.0], [2.0, 9.0], [0.0, 9.0]])}
    assert tree.loss(Given(rate=1e-4, kind="a"), losses) == 4.0
    assert np.isclose(tree.loss(Given(rate=1e-3, kind="a"), losses), 3.0)
    assert tree.loss(Given(rate=1.0, kind="a"), losses) == 0.0
    assert np.isclose(tree.loss(Given(rate=1e-3, kind="b"), losses), 9.0)


def test_a_choice_brings_its_own_axes() -> None:
    tree = Tree(common=(KIND,), choice="model", branches={"flat": (), "wide": (WIDTH,)})
    losses = {"flat": np.array([1.0, 2.0]), "wide": np.array([[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])}
    assert tree.loss(Given(model="flat", kind="b"), losses) == 2.0
    assert tree.loss(Given(model="wide", kind="a", width=32), losses) == 5.0
