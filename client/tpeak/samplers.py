"""Samplers' settings: the sampling itself is done by the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from tpeak.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TPESampler:
    """Tree-structured Parzen estimator, over all parameters jointly and aware of running trials.

    The first `n_startup_trials` are random; each further one is the best of `n_ei_candidates`. `seed` makes the
    study's suggestions repeatable; None lets the server draw one. Raises InvalidValue, a ValueError, for negative
    counts.
    """

    name: ClassVar[str] = "tpe"

    n_startup_trials: int = 10
    n_ei_candidates: int = 24
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.n_startup_trials < 0:
            raise InvalidValue(f"n_startup_trials must not be negative, got {self.n_startup_trials}")
        if self.n_ei_candidates < 1:
            raise InvalidValue(f"n_ei_candidates must be at least 1, got {self.n_ei_candidates}")

    def wire(self) -> dict[str, Any]:
        """The wire's form; the seed is a field of the study."""
        return {"name": self.name, "n_startup_trials": self.n_startup_trials, "n_ei_candidates": self.n_ei_candidates}


@dataclass(frozen=True, slots=True)
class RandomSampler:
    """Independent draws from each parameter's range. `seed` makes them repeatable."""

    name: ClassVar[str] = "random"

    seed: int | None = None

    def wire(self) -> dict[str, Any]:
        """The wire's form; the seed is a field of the study."""
        return {"name": self.name}


Sampler: TypeAlias = TPESampler | RandomSampler
