"""Which samplers are compared, on which problems, and what they are given for each of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from problems.problem import Problem, RandomTrial

OPTUNA5 = "optuna5_"
"""Before a sampler's name: Optuna 5.0's of the same name. Its TPE is `optuna5`."""

MIXED = ("synthetic", "table", "training", "conditional", "categorical", "noisy", "parallel")
"""The families that any sampler for one objective can do."""

DRAWS = 100
"""Random points of which the best gives a fixed parameter its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Samplers, the first against each other one, by the families that suit them.

    Ranks and tests are after `headline` of the trials; `halved` asks besides how it does with half of them. `note` says
    what is not as it should be.
    """

    samplers: tuple[str, ...]
    families: tuple[str, ...]
    trials: int = 200
    headline: int = 100
    halved: bool = False
    note: str = ""


VERSIONS = Match(samplers=("tpe", "optuna5", "optuna5_group", "optuna4"), families=MIXED)
"""Of TPE, where no sampler is named."""

NO_TORCH = "Optuna's GPSampler needs PyTorch, which is not installed: its TPE takes its place"

GENERAL = (*MIXED, "constrained", "objectives")
"""The families that a sampler for any study can do."""


def _same(name: str, *families: str, trials: int = 200, headline: int = 100) -> Match:
    """Against Optuna's of the same name."""
    return Match(samplers=(name, f"{OPTUNA5}{name}"), families=families, trials=trials, headline=headline)


MATCHES: Mapping[str, Match] = {
    "auto": Match(samplers=("auto", "optuna5"), families=GENERAL, halved=True),
    "tpe": Match(samplers=("tpe", "optuna5"), families=GENERAL),
    "gp": _same("gp", "synthetic", "table", "training", "categorical", "constrained"),
    "random": _same("random", *GENERAL),
    "qmc": _same("qmc", "synthetic", "continuous", "table", "training"),
    "cmaes": _same("cmaes", "synthetic", "continuous", trials=500, headline=200),
    "nsgaii": _same("nsgaii", "objectives", trials=500, headline=500),
    "grid": _same("grid", "grid"),
    "brute_force": _same("brute_force", "grid", "table"),
    "partial_fixed": _same("partial_fixed", "synthetic", "training"),
}
"""By tpeak's names on the wire."""


def match_of(name: str | None) -> Match:
    """The match of a sampler; Optuna's Gaussian process needs PyTorch, without which TPE takes its place."""
    match = VERSIONS if name is None else MATCHES[name]
    if f"{OPTUNA5}gp" in match.samplers and find_spec("torch") is None:
        return replace(match, samplers=("gp", "optuna5"), note=NO_TORCH)
    return match


def settings_of(name: str, settings: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    """The sampler's settings on the wire."""
    beside = {"base_sampler": {"name": "tpe"}} if name == "partial_fixed" else {}
    return {"name": name, **arguments_of(name, problem), **beside, **settings}


def arguments_of(name: str, problem: Problem) -> dict[str, Any]:
    """What a sampler of either side gets for the problem: the defaults, where it can do with them."""
    kind = name.removeprefix(OPTUNA5)
    if kind == "grid":
        return {"search_space": grid_of(problem)}
    if kind == "partial_fixed":
        return {"fixed_params": _fixed(problem)}
    # Without it the seeds would differ in the first trial alone.
    return {"scramble": True} if kind == "qmc" else {}


def grid_of(problem: Problem) -> dict[str, list[Any]]:
    """All values of every parameter, each of which is discrete and always asked for."""
    trial = _Grid(np.random.default_rng(0))
    problem.objective(trial)
    return trial.values


def _fixed(problem: Problem) -> dict[str, Any]:
    """The first parameter, where it is at the best of some random points."""
    rng = np.random.default_rng(0)
    trials = [RandomTrial(rng) for _ in range(DRAWS)]
    best = min(trials, key=lambda trial: np.atleast_1d(problem.objective(trial))[0])
    name = next(iter(best.params))
    return {name: best.params[name]}


class _Grid(RandomTrial):
    """Notes the values of what is asked for."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.values: dict[str, list[Any]] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        if step is None:
            raise ValueError(f"{name!r} is continuous: it has no grid")
        self.values[name] = [low + step * place for place in range(round((high - low) / step) + 1)]
        return super().suggest_float(name, low, high, step=step)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        self.values[name] = list(range(low, high + 1, step))
        return super().suggest_int(name, low, high, log=log, step=step)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.values[name] = list(choices)
        return super().suggest_categorical(name, choices)
