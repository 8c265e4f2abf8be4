"""Losses on a grid as a function of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from problems.grids import Axis, Tree

RATE = Axis(name="rate", low=1e-4, high=1.0, count=3, log=True)
WIDTH = Axis(name="width", low=8, high=32, count=3, log=True, whole=True)
KIND = Axis(name="kind", choices=("a", "b"))


class Given:
    """A trial whose parameters are given."""

    def __init__(self, **params: Any) -> None:
        self._params = params

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        return float(self._params[name])

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self._params[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._params[name]


def test_the_grid_of_an_axis_is_even_on_its_scale() -> None:
    assert np.allclose(RATE.grid(), [1e-4, 1e-2, 1.0])
    assert (WIDTH.grid(), KIND.grid()) == ([8, 16, 32], ["a", "b"])


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
