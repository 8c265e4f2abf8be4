"""Optuna's samplers with their defaults, through `ask` and `tell` in memory; the installed version is what is run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from studies.matches import OPTUNA5
from studies.simulation import NothingLeft

OF_TPE: Mapping[str, Mapping[str, Any]] = {
    "optuna5": {},
    "optuna5_group": {"multivariate": True, "group": True},
    "optuna4": {},
}
"""By the name of a sampler here, the arguments of `TPESampler`."""

CLASSES: Mapping[str, str] = {
    "random": "RandomSampler",
    "gp": "GPSampler",
    "qmc": "QMCSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
    "grid": "GridSampler",
    "brute_force": "BruteForceSampler",
}
"""By the part of the name after `OPTUNA5`."""


def version() -> str:
    """Optuna's version."""
    return str(optuna.__version__)


class OptunaStudy:
    """One study that is minimized; its trials are Optuna's own. `arguments` are the sampler's for the problem."""

    def __init__(self, name: str, seed: int, objectives: int = 1, arguments: Mapping[str, Any] | None = None) -> None:
        sampler = sampler_of(name, seed, dict(arguments or {}))
        self._study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
        # Samplers stop the study where nothing is left, which they may in this loop alone.
        self._study._thread_local.in_optimize_loop = True

    def ask(self) -> optuna.Trial:
        """A new trial, running."""
        if self._study._stop_flag:
            raise NothingLeft
        return self._study.ask()

    def tell(self, trial: optuna.Trial, value: float | Sequence[float]) -> None:
        """Finishes the trial."""
        self._study.tell(trial, value)


def sampler_of(name: str, seed: int, arguments: dict[str, Any]) -> optuna.samplers.BaseSampler:
    """The sampler by its name here; Optuna says no more than errors from then on."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _sampler(name, seed, arguments)


def _sampler(name: str, seed: int, arguments: dict[str, Any]) -> optuna.samplers.BaseSampler:
    if name in OF_TPE:
        return optuna.samplers.TPESampler(seed=seed, **OF_TPE[name])
    kind = name.removeprefix(OPTUNA5)
    if kind == "partial_fixed":
        base = optuna.samplers.TPESampler(seed=seed)
        return optuna.samplers.PartialFixedSampler(base_sampler=base, **arguments)
    sampler: optuna.samplers.BaseSampler = getattr(optuna.samplers, CLASSES[kind])(seed=seed, **arguments)
    return sampler
