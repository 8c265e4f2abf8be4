"""Categorical parameters with 20 to 200 choices, with and without an order. The best values are 0."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from problems.problem import Problem, Trial

FAMILY = "categorical"


def problems() -> list[Problem]:
    """The problems of this family."""
    objectives = {
        "ordered-50": ordered_50,
        "shuffled-100": shuffled_100,
        "embedded-200": embedded_200,
        "powers-20": powers_20,
        "mixed-30": mixed_30,
        "grouped-120": grouped_120,
    }
    return [Problem(name=name, family=FAMILY, objective=objective) for name, objective in objectives.items()]


def ordered_50(trial: Trial) -> float:
    """A bowl over three categoricals, each of 50 numbers in order."""
    choices = tuple(range(50))
    targets = (13, 31, 40)
    picked = [trial.suggest_categorical(f"n{i}", choices) for i in range(3)]
    return float(sum(((n - target) / 50.0) ** 2 for n, target in zip(picked, targets, strict=True)))


def shuffled_100(trial: Trial) -> float:
    """The sum of two lists of 100 numbers without an order, few of them small."""
    costs = _costs(1, 2, 100)
    choices = tuple(f"c{k}" for k in range(100))
    return float(sum(costs[i, int(trial.suggest_categorical(f"c{i}", choices)[1:])] for i in range(2)))


def embedded_200(trial: Trial) -> float:
    """One of 200 things, each a point of a hidden plane, with two floats that have to suit it."""
    points, qualities = _plane()
    choice = int(trial.suggest_categorical("thing", tuple(f"t{k}" for k in range(200)))[1:])
    x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
    return float(qualities[choice] ** 2 + (x - points[choice, 0]) ** 2 + (y - points[choice, 1]) ** 2)


def powers_20(trial: Trial) -> float:
    """Four categoricals of 20 powers of two in order, in a valley that is oblique to them."""
    choices = tuple(2**k for k in range(20))
    a, b, c, d = (trial.suggest_categorical(f"p{i}", choices).bit_length() - 1 for i in range(4))
    return float(((a - 8) ** 2 + (a + b - 20) ** 2 + (c - 5) ** 2 + 0.5 * (d - c - 7) ** 2) / 100.0)


def mixed_30(trial: Trial) -> float:
    """Three categoricals of 30 choices without an order beside three floats."""
    costs = _costs(3, 3, 30)
    choices = tuple(f"c{k}" for k in range(30))
    value = sum(costs[i, int(trial.suggest_categorical(f"c{i}", choices)[1:])] for i in range(3))
    targets = (0.2, 0.5, 0.7)
    return float(value + sum(2.0 * (trial.suggest_float(f"x{i}", 0.0, 1.0) - t) ** 2 for i, t in enumerate(targets)))


def grouped_120(trial: Trial) -> float:
    """One of 120 augmentations, in groups of 20 that are alike, its strength, and one of 24 crops in order."""
    names = tuple(f"{group}-{k}" for group in "abcdef" for k in range(20))
    group, k = str(trial.suggest_categorical("augmentation", names)).split("-")
    strength = trial.suggest_float("strength", 0.0, 1.0)
    crop = trial.suggest_categorical("crop", tuple(range(32, 32 + 24 * 8, 8)))
    own = "dbfaec".index(group)
    value = 0.15 * own + 0.2 * _costs(4, 6, 20)[own, int(k)]
    return float(value + (strength - 0.15 * own) ** 2 + ((crop - 136) / 192.0) ** 2)


@cache
def _costs(seed: int, rows: int, size: int) -> NDArray[np.float64]:
    """A cost for each choice, (rows, size): in every row from 0 to 1, in a random order."""
    rng = np.random.default_rng(seed)
    costs: NDArray[np.float64] = np.array([rng.permutation(size) / (size - 1.0) for _ in range(rows)]) ** 0.75
    return costs


@cache
def _plane() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the 200 things are (200, 2), and how bad each is: its rank along a direction, 0 .. 1."""
    points = np.random.default_rng(2).random((200, 2))
    order = np.argsort(np.argsort(points @ np.array([0.6, 0.8])))
    return points, order / (len(points) - 1.0)
