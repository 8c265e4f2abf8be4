"""Several objectives, each to be small: ZDT (Zitzler et al. 2000) and DTLZ2 (Deb et al. 2002), whose fronts are known.

The first parameters say where on the front a point is; the others, by one number g, how far from it. A reference is a
tenth beyond the front in an objective that only says where, and about where random points lie in one that g scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from problems.problem import Problem, Trial

Floats = NDArray[np.float64]

FAMILY = "objectives"

DIMENSIONS = 10
"""Of ZDT: as published for ZDT4 and ZDT6; the other ones have 30 there, too many for a few hundred trials."""

DISTANCE = 5
"""Parameters of DTLZ2 that g depends on: half as many as published."""

RADIUS = 0.2
"""Of the feasible balls of C2-DTLZ2 with two objectives."""

POINTS = 200_001
"""Of a front whose volume has no closed form."""


def problems() -> list[Problem]:
    """The problems of this family."""
    return [
        _zdt("zdt1", zdt1, reference=(1.1, 6.0), above=1.0 / 3.0),
        _zdt("zdt2", zdt2, reference=(1.1, 6.0), above=2.0 / 3.0),
        _problem("zdt3", zdt3, reference=(1.1, 6.0), volume=_volume(_zdt3_front(), (1.1, 6.0))),
        _zdt("zdt4", zdt4, reference=(1.1, 170.0), above=1.0 / 3.0),
        _problem("zdt6", zdt6, reference=(1.1, 9.0), volume=_volume(_zdt6_front(), (1.1, 9.0))),
        _dtlz2(3, ball=math.pi / 6.0),
        _dtlz2(4, ball=math.pi**2 / 32.0),
        _problem("c2-dtlz2", c2_dtlz2, reference=(1.5, 1.5), volume=_volume(_c2_front(), (1.5, 1.5)), constrained=True),
    ]


def zdt1(trial: Trial) -> tuple[float, float]:
    """A convex front."""
    first, rest = _places(trial)
    g = _mean_g(rest)
    return first, g * (1.0 - math.sqrt(first / g))


def zdt2(trial: Trial) -> tuple[float, float]:
    """A concave front."""
    first, rest = _places(trial)
    g = _mean_g(rest)
    return first, g * (1.0 - (first / g) ** 2)


def zdt3(trial: Trial) -> tuple[float, float]:
    """A front of five pieces."""
    first, rest = _places(trial)
    g = _mean_g(rest)
    return first, g * (1.0 - math.sqrt(first / g) - first / g * math.sin(10.0 * math.pi * first))


def zdt4(trial: Trial) -> tuple[float, float]:
    """The front of ZDT1 behind many that are local."""
    first = trial.suggest_float("x0", 0.0, 1.0)
    rest = [trial.suggest_float(f"x{i}", -5.0, 5.0) for i in range(1, DIMENSIONS)]
    g = 1.0 + sum(x**2 - 10.0 * math.cos(4.0 * math.pi * x) + 10.0 for x in rest)
    return first, g * (1.0 - math.sqrt(first / g))


def zdt6(trial: Trial) -> tuple[float, float]:
    """A front with few points at its one end, and few near it."""
    first, rest = _places(trial)
    place = _zdt6_place(first)
    g = 1.0 + 9.0 * (sum(rest) / len(rest)) ** 0.25
    return place, g * (1.0 - (place / g) ** 2)


def dtlz2(trial: Trial, objectives: int) -> tuple[float, ...]:
    """A front that is a part of a sphere around 0."""
    angles = [0.5 * math.pi * trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(objectives - 1)]
    rest = [trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(objectives - 1, objectives - 1 + DISTANCE)]
    radius = 1.0 + sum((x - 0.5) ** 2 for x in rest)
    values = []
    for angle in reversed(angles):
        values.append(radius * math.sin(angle))
        radius *= math.cos(angle)
    return (radius, *reversed(values))


def c2_dtlz2(trial: Trial) -> tuple[float, ...]:
    """DTLZ2 with two objectives; feasible near its front's ends and its middle (Jain and Deb 2014)."""
    values = dtlz2(trial, 2)
    trial.set_constraint("c0", float(_outside(np.array([values]))[0]))
    return values


def _places(trial: Trial) -> tuple[float, list[float]]:
    first, *rest = (trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(DIMENSIONS))
    return first, rest


def _mean_g(rest: Sequence[float]) -> float:
    return 1.0 + 9.0 * sum(rest) / len(rest)


def _zdt6_place(first: float) -> float:
    return 1.0 - math.exp(-4.0 * first) * math.sin(6.0 * math.pi * first) ** 6


def _outside(values: Floats) -> Floats:
    """How far points (n, 2) are outside of the nearest feasible ball."""
    centres = np.array([[1.0, 0.0], [0.0, 1.0], [math.sqrt(0.5), math.sqrt(0.5)]])
    distances: Floats = ((values[:, None, :] - centres) ** 2).sum(axis=2).min(axis=1) - RADIUS**2
    return distances


def _zdt3_front() -> Floats:
    x = np.linspace(0.0, 1.0, POINTS)
    return np.stack([x, 1.0 - np.sqrt(x) - x * np.sin(10.0 * math.pi * x)], axis=1)


def _zdt6_front() -> Floats:
    least = min(_zdt6_place(first) for first in np.linspace(0.0, 0.2, POINTS).tolist())
    x = np.linspace(least, 1.0, POINTS)
    return np.stack([x, 1.0 - x**2], axis=1)


def _c2_front() -> Floats:
    angles = np.linspace(0.0, 0.5 * math.pi, POINTS)
    front = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return front[_outside(front) <= 0.0]


def _volume(front: Floats, reference: tuple[float, float]) -> float:
    """What points (n, 2), by their first values, dominate; each reaches up to the next one."""
    ends = np.append(front[1:, 0], reference[0])
    heights = reference[1] - np.minimum.accumulate(front[:, 1])
    return float(((ends - front[:, 0]) * heights).sum())


def _zdt(
    name: str, objective: Callable[[Trial], tuple[float, ...]], *, reference: tuple[float, float], above: float
) -> Problem:
    """A front from (0, 1) to (1, 0), with so much area below it."""
    return _problem(name, objective, reference=reference, volume=reference[0] * reference[1] - above)


def _dtlz2(objectives: int, ball: float) -> Problem:
    """`ball` is the volume of the unit ball where no coordinate is negative."""
    return _problem(
        f"dtlz2-{objectives}",
        lambda trial: dtlz2(trial, objectives),
        reference=(1.5,) * objectives,
        volume=1.5**objectives - ball,
    )


def _problem(
    name: str,
    objective: Callable[[Trial], tuple[float, ...]],
    *,
    reference: tuple[float, ...],
    volume: float,
    constrained: bool = False,
) -> Problem:
    return Problem(
        name=name, family=FAMILY, objective=objective, reference=reference, volume=volume, constrained=constrained
    )
