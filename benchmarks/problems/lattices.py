"""Small grids of discrete parameters, each of which is always asked for. The best values are 0."""

from __future__ import annotations

from itertools import pairwise

from problems.problem import Problem, Trial

FAMILY = "grid"


def problems() -> list[Problem]:
    """The problems of this family, with 100 to 180 points."""
    objectives = {"cube-125": cube, "kinds-144": kinds, "valley-169": valley, "switches-128": switches}
    return [Problem(name=name, family=FAMILY, objective=objective) for name, objective in objectives.items()]


def cube(trial: Trial) -> float:
    """A bowl over three integers."""
    a, b, c = (trial.suggest_int(f"n{i}", 0, 4) for i in range(3))
    return 0.2 * (a - 3) ** 2 + 0.1 * (b - 1) ** 2 + 0.05 * (c - a) ** 2 + (0.05 if c == 2 else 0.0)


def kinds(trial: Trial) -> float:
    """Four kinds of which each wants its own float; only the third is worth it."""
    kind = trial.suggest_categorical("kind", ("a", "b", "c", "d"))
    share = trial.suggest_float("share", 0.0, 1.0, step=0.125)
    size = trial.suggest_int("size", 16, 64, step=16)
    floor, best = {"a": (0.3, 0.125), "b": (0.2, 0.5), "c": (0.0, 0.75), "d": (0.25, 1.0)}[kind]
    return floor + (share - best) ** 2 + 0.01 * abs(size - 48) / 16


def valley(trial: Trial) -> float:
    """Rosenbrock's function on 13 by 13 points."""
    x, y = (trial.suggest_float(name, -1.5, 1.5, step=0.25) for name in "xy")
    return (1.0 - x) ** 2 + 10.0 * (y - x**2) ** 2


def switches(trial: Trial) -> float:
    """Seven switches that matter by pairs."""
    on = [trial.suggest_categorical(f"s{i}", (False, True)) for i in range(7)]
    wrong: int = sum(here == there for here, there in pairwise(on))
    return 0.3 * wrong + (0.0 if on[0] else 0.1)
