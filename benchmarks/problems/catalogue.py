"""All problems, in families, and which half each belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from problems import (
    categorical,
    conditional,
    constrained,
    continuous,
    lattices,
    objectives,
    synthetic,
    tables,
    training,
)
from problems.problem import Problem

NOISY = ("bbob3-5d", "models", "mixed-30", "bbob8-10d-mixed", "digits-mlp", "diabetes-forest")
"""Problems that also stand in the family `noisy`; each is in the half that the original is in, here as below."""

NOISE = 0.1

PARALLEL = (
    "bbob15-10d",
    "bbob8-5d",
    "layers",
    "optimizers",
    "ordered-50",
    "bbob8-10d-mixed",
    "mixed-30",
    "bbob20-5d",
    "digits-mlp",
    "hpolib-slice-localization",
)
"""Problems that also stand in the family `parallel`."""

WORKERS = 16

CROWDED = ("bbob8-5d", "bbob15-10d", "mixed-30", "models")
"""Problems that also stand in the family `crowded`, which is no part of the comparison of samplers."""

CROWDS = (1, 16, 256)
"""How many workers each of them has, in turn."""

HALVES = ("tune", "report")


def catalogue() -> list[Problem]:
    """Every problem, family by family."""
    alone = [
        *synthetic.problems(),
        *tables.problems(),
        *training.problems(),
        *conditional.problems(),
        *training.conditional_problems(),
        *categorical.problems(),
    ]
    named = {problem.name: problem for problem in alone}
    noisy = [replace(named[name], name=f"{name}-noisy", family="noisy", noise=NOISE) for name in NOISY]
    parallel = [
        replace(named[name], name=f"{name}-x{WORKERS}", family="parallel", workers=WORKERS) for name in PARALLEL
    ]
    return [*alone, *noisy, *parallel, *_for_some_samplers()]


def _for_some_samplers() -> list[Problem]:
    """The families that not every sampler can do, or is made for."""
    return [*continuous.problems(), *constrained.problems(), *objectives.problems(), *lattices.problems()]


def crowded() -> list[Problem]:
    """The family `crowded`: each problem with few workers and with many."""
    named = {problem.name: problem for problem in catalogue()}
    return [
        replace(named[name], name=f"{name}-by{workers}", family="crowded", workers=workers)
        for workers in CROWDS
        for name in CROWDED
    ]


def halves(problems: Sequence[Problem]) -> dict[str, str]:
    """Name -> `tune` or `report`: within each family the problems take turns."""
    seen: dict[str, int] = defaultdict(int)
    halves = {}
    for problem in problems:
        halves[problem.name] = HALVES[seen[problem.family] % 2]
        seen[problem.family] += 1
    return halves


def chosen(patterns: Sequence[str], half: str) -> list[Problem]:
    """The problems whose name or family matches one of the patterns, of one half or of `all`."""
    problems = catalogue()
    of = halves(problems)
    return [
        problem
        for problem in problems
        if half in ("all", of[problem.name])
        and any(fnmatchcase(problem.name, p) or fnmatchcase(problem.family, p) for p in patterns)
    ]
