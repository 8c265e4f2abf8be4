"""Learning curves of scikit-learn's models on the data that come with it, which `make_curves.py` has stored.

| term | meaning |
|---|---|
| value | of the samples held out, the larger the better: accuracy of a classifier, R² of a regression; the mean of |
| | as many trainings as cross-validation has folds |
| step | 1 .. STEPS: an epoch of a network or of stochastic gradient descent, three stages of boosting |
| final value | that after the last step: what a trial that is not pruned returns |
| seconds | of the processor, for one step of all folds' trainings |
| point | a trial's parameters: its curve is that of the nearest grid point |

Curves are not interpolated: with so few values an axis, the best grid point would be a tip that hardly any other point
is near in all parameters. Of random points of diabetes-mlp 1.9 % are within 5 % of the way, and 0.07 % if interpolated.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from problems.grids import Axis, Floats
from problems.problem import DRAWS, RandomTrial, Trial

CURVES = Path(__file__).with_name("curves.npz")

STEPS = 27

WITHIN = 0.95
"""The share of the way from the random median to the best value that is to be gone."""

OF_BEST = 0.99
"""The share of the best value that is to be reached."""

BEST_SHARE = 0.1
"""A point is good if its final value is among so many of those that are drawn at random."""

_RATE = Axis(name="learning_rate", low=1e-4, high=1e-1, count=7, log=True)
_WIDTH = Axis(name="width", low=8, high=128, count=4, log=True, whole=True)
_DECAY = Axis(name="decay", low=1e-5, high=1e1, count=4, log=True)
_BATCH = Axis(name="batch_size", low=32, high=256, count=3, log=True, whole=True)

SPACES: Mapping[str, Sequence[Axis]] = {
    "digits-mlp": (_RATE, _WIDTH, _DECAY, _BATCH),
    "digits-sgd": (
        Axis(name="loss", choices=("hinge", "log_loss", "modified_huber")),
        Axis(name="decay", low=1e-6, high=1e-1, count=6, log=True),
        Axis(name="learning_rate", low=1e-4, high=1e1, count=6, log=True),
        Axis(name="cooling", low=0.0, high=1.0, count=4),
    ),
    "breast-cancer-boosting": (
        Axis(name="learning_rate", low=1e-3, high=1.0, count=7, log=True),
        Axis(name="leaves", low=2, high=32, count=3, log=True, whole=True),
        Axis(name="leaf", low=1, high=64, count=4, log=True, whole=True),
        Axis(name="decay", low=1e-2, high=1e2, count=4, log=True),
    ),
    "diabetes-boosting": (
        Axis(name="learning_rate", low=5e-3, high=1.0, count=7, log=True),
        Axis(name="depth", low=1, high=7, count=4, whole=True),
        Axis(name="subsample", low=0.2, high=1.0, count=4),
        Axis(name="features", low=0.1, high=1.0, count=4, log=True),
    ),
    "diabetes-mlp": (_RATE, _WIDTH, _DECAY, _BATCH),
    "wine-alcohol-mlp": (_RATE, _WIDTH, _DECAY, Axis(name="activation", choices=("relu", "tanh"))),
}
"""The searched spaces by the problem's name: the data, what of them is predicted if not their target, the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values (STEPS,) and seconds (STEPS,) by step."""

    values: Sequence[float]
    seconds: Sequence[float]

    @property
    def final(self) -> float:
        """The final value."""
        return self.values[-1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveProblem:
    """A space whose points have curves: `values` and `seconds` have the axes' dimensions, and then the steps."""

    name: str
    axes: Sequence[Axis]
    values: Floats
    seconds: Floats
    conditional: bool = False

    def curve(self, trial: Trial) -> Curve:
        """That of the grid point which is nearest to the trial's parameters."""
        nearest = tuple(round(axis.position(trial)) for axis in self.axes)
        return Curve(values=self.values[nearest].tolist(), seconds=self.seconds[nearest].tolist())

    @property
    def steps(self) -> int:
        """How many a curve has."""
        return int(self.values.shape[-1])

    def grid(self, most: int) -> dict[str, list[Any]]:
        """A search's grid of at most so many points, as evenly shared by the axes as can be; never finer than the
        curves' own.
        """
        counts = [1] * len(self.axes)
        full = self.values.shape[:-1]
        while True:
            larger = [
                place
                for place, count in enumerate(counts)
                if count < full[place] and math.prod(counts) // count * (count + 1) <= most
            ]
            if not larger:
                break
            counts[min(larger, key=counts.__getitem__)] += 1
        return {axis.name: _spread(axis, count) for axis, count in zip(self.axes, counts, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a study of a problem is measured by; `typical` is the median final value of random points.

    `within` is `WITHIN` of the way from there to `best`, `of_best` is `OF_BEST` of it, `good` that which one in ten
    random points reaches. `full_seconds` is what a random trial costs that is never pruned.
    """

    best: float
    typical: float
    within: float
    of_best: float
    good: float
    full_seconds: float
    fingerprint: str

    def way(self, value: float) -> float:
        """The share of the way from the typical to the best value."""
        return (value - self.typical) / (self.best - self.typical)


@cache
def marks_of(problem: CurveProblem) -> Marks:
    """The marks, from all of the grid and from points drawn with a seed that is always the same."""
    rng = np.random.default_rng(0)
    drawn = [problem.curve(RandomTrial(rng)) for _ in range(DRAWS)]
    finals = np.array([curve.final for curve in drawn])
    best, typical = float(problem.values[..., -1].max()), float(np.median(finals))
    said = [repr([(axis, axis.grid()) for axis in problem.axes]).encode()]
    said += [each.astype(np.float32).tobytes() for each in (problem.values, problem.seconds)]
    return Marks(
        best=best,
        typical=typical,
        within=typical + WITHIN * (best - typical),
        of_best=OF_BEST * best,
        good=float(np.quantile(finals, 1.0 - BEST_SHARE)),
        full_seconds=float(np.mean([sum(curve.seconds) for curve in drawn])),
        fingerprint=hashlib.blake2b(b"".join(said), digest_size=6).hexdigest(),
    )


def problems(wanted: Sequence[str] = ("*",)) -> list[CurveProblem]:
    """Those whose name is like one of these, none with parameters that depend on others."""
    return [_problem(name) for name in SPACES if any(fnmatch(name, pattern) for pattern in wanted)]


@cache
def _problem(name: str) -> CurveProblem:
    with np.load(CURVES) as curves:
        values, seconds = (curves[f"{name}/{what}"].astype(np.float64) for what in ("values", "seconds"))
    return CurveProblem(name=name, axes=SPACES[name], values=values, seconds=seconds)


def _spread(axis: Axis, count: int) -> list[Any]:
    """So many of the axis's grid points, the first and the last among them."""
    grid = axis.grid()
    return [grid[round(place)] for place in np.linspace(0, len(grid) - 1, count)] if count > 1 else [grid[0]]
