"""Optuna's samplers with their defaults, through `ask` and `tell` in memory; the installed version is what is run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "optuna5": {},
    "optuna5_group": {"multivariate": True, "group": True},
    "optuna4": {},
}
"""By the name of a sampler here, the arguments of `TPESampler`."""


def version() -> str:
    """Optuna's version."""
    return str(optuna.__version__)


class OptunaStudy:
    """One study that is minimized; its trials are Optuna's own."""

    def __init__(self, name: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed, **SETTINGS[name])
        self._study = optuna.create_study(sampler=sampler)

    def ask(self) -> optuna.Trial:
        """A new trial, running."""
        return self._study.ask()

    def tell(self, trial: optuna.Trial, value: float) -> None:
        """Finishes the trial."""
        self._study.tell(trial, value)
