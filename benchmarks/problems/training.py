"""Models of scikit-learn trained on the data that come with it, on grids that `make_tables.py` has filled.

The loss is cross-validated: the logarithmic one of a classifier, the mean squared error of a regression.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from problems.grids import Axis, Floats, Tree
from problems.problem import Problem, Trial

FAMILY = "training"

TABLES = Path(__file__).with_name("tables.npz")

TREES: Mapping[str, Tree] = {
    "digits-mlp": Tree(
        branches={
            "": (
                Axis(name="learning_rate", low=1e-4, high=1e-1, count=6, log=True),
                Axis(name="width", low=8, high=128, count=3, log=True, whole=True),
                Axis(name="layers", low=1, high=2, count=2, whole=True),
                Axis(name="decay", low=1e-5, high=1e1, count=3, log=True),
                Axis(name="batch_size", low=8, high=128, count=2, log=True, whole=True),
                Axis(name="activation", choices=("relu", "tanh")),
            )
        }
    ),
    "wine-knn": Tree(
        branches={
            "": (
                Axis(name="scaling", choices=("none", "standard", "minmax", "robust")),
                Axis(name="components", low=1, high=13, count=7, whole=True),
                Axis(name="neighbours", low=1, high=40, count=7, log=True, whole=True),
                Axis(name="power", low=1.0, high=5.0, count=3),
                Axis(name="weights", choices=("uniform", "distance")),
            )
        }
    ),
    "breast-cancer-boosting": Tree(
        branches={
            "": (
                Axis(name="learning_rate", low=1e-3, high=1.0, count=6, log=True),
                Axis(name="rounds", low=10, high=160, count=4, log=True, whole=True),
                Axis(name="depth", low=1, high=5, count=3, whole=True),
                Axis(name="subsample", low=0.4, high=1.0, count=2),
                Axis(name="features", low=0.1, high=1.0, count=3, log=True),
            )
        }
    ),
    "diabetes-forest": Tree(
        branches={
            "": (
                Axis(name="kind", choices=("forest", "extra")),
                Axis(name="bootstrap", choices=(False, True)),
                Axis(name="depth", low=1, high=24, count=5, log=True, whole=True),
                Axis(name="leaf", low=1, high=64, count=5, log=True, whole=True),
                Axis(name="features", low=0.1, high=1.0, count=4),
            )
        }
    ),
    "digits-svm": Tree(
        common=(Axis(name="c", low=1e-3, high=1e3, count=8, log=True),),
        choice="kernel",
        branches={
            "linear": (),
            "rbf": (Axis(name="rbf_gamma", low=1e-5, high=1e1, count=9, log=True),),
            "poly": (
                Axis(name="poly_gamma", low=1e-5, high=1e1, count=5, log=True),
                Axis(name="degree", low=2, high=5, count=4, whole=True),
                Axis(name="poly_offset", low=0.0, high=4.0, count=3),
            ),
            "sigmoid": (
                Axis(name="sigmoid_gamma", low=1e-5, high=1e1, count=5, log=True),
                Axis(name="sigmoid_offset", low=-2.0, high=2.0, count=5),
            ),
        },
    ),
    "breast-cancer-models": Tree(
        common=(Axis(name="scaling", choices=("none", "standard", "minmax")),),
        choice="model",
        branches={
            "knn": (
                Axis(name="neighbours", low=1, high=100, count=8, log=True, whole=True),
                Axis(name="weights", choices=("uniform", "distance")),
                Axis(name="power", low=1.0, high=4.0, count=3),
            ),
            "svm": (
                Axis(name="svm_c", low=1e-3, high=1e3, count=8, log=True),
                Axis(name="gamma", low=1e-6, high=1e1, count=8, log=True),
            ),
            "forest": (
                Axis(name="depth", low=1, high=16, count=5, log=True, whole=True),
                Axis(name="leaf", low=1, high=32, count=4, log=True, whole=True),
                Axis(name="features", low=0.05, high=1.0, count=4, log=True),
            ),
            "logistic": (
                Axis(name="logistic_c", low=1e-4, high=1e3, count=8, log=True),
                Axis(name="l1_share", low=0.0, high=1.0, count=4),
            ),
        },
    ),
}
"""The searched spaces by the problem's name: the data, then the model."""


def problems() -> list[Problem]:
    """The problems with the same parameters in every trial."""
    return [_problem(name, FAMILY) for name, tree in TREES.items() if not tree.choice]


def conditional_problems() -> list[Problem]:
    """The problems with a choice that brings parameters of its own."""
    return [_problem(name, "conditional") for name, tree in TREES.items() if tree.choice]


def _problem(name: str, family: str) -> Problem:
    def objective(trial: Trial) -> float:
        return TREES[name].loss(trial, _losses(name))

    return Problem(name=name, family=family, objective=objective)


@cache
def _losses(name: str) -> dict[str, Floats]:
    """The losses above the least one, by branch."""
    with np.load(TABLES) as tables:
        losses = {branch: tables[f"{name}/{branch}"].astype(np.float64) for branch in TREES[name].branches}
    least = min(values.min() for values in losses.values())
    return {branch: values - least for branch, values in losses.items()}
