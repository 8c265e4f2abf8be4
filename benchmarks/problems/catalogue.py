"""All problems, in families, and which half each belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from problems import categorical, conditional, synthetic
from problems.problem import Problem

NOISY = {"bbob3-5d": 0.1, "models": 0.1, "bbob1-10d-mixed": 0.1, "mixed-30": 0.1}
"""Problems that also stand in the family `noisy`, each with its noise."""

PARALLEL = ("bbob8-5d", "bbob15-10d", "bbob20-5d", "bbob8-10d-mixed", "optimizers", "layers", "ordered-50", "mixed-30")
"""Problems that also stand in the family `parallel`."""

WORKERS = 16

HALVES = ("tune", "report")


def catalogue() -> list[Problem]:
    """Every problem, family by family."""
    alone = [*synthetic.problems(), *conditional.problems(), *categorical.problems()]
    named = {problem.name: problem for problem in alone}
    noisy = [replace(named[name], name=f"{name}-noisy", family="noisy", noise=noise) for name, noise in NOISY.items()]
    parallel = [
        replace(named[name], name=f"{name}-x{WORKERS}", family="parallel", workers=WORKERS) for name in PARALLEL
    ]
    return [*alone, *noisy, *parallel]


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
