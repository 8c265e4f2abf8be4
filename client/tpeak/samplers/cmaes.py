"""CMA-ES's settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tpeak.errors import InvalidValue
from tpeak.samplers.random import RandomSampler
from tpeak.samplers.tpe import TPESampler

if TYPE_CHECKING:
    from tpeak.frozen import FrozenTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class CmaEsSampler:
    """Covariance matrix adaptation for numeric parameters, with the arguments of Optuna 5.0's.

    After `n_startup_trials` the numeric parameters that every complete trial has are drawn jointly, from `x0` (the
    middle of the ranges) with `sigma0` (a sixth of the ranges) at first, or from where `source_trials`, of another
    study, were good. The other parameters are drawn by `independent_sampler`, a RandomSampler or TPESampler; None draws
    them at random. A generation has `popsize` results; it counts pruned trials with `consider_pruned_trials`, and a
    trial's infeasibility. `with_margin` keeps integers and steps from getting stuck, `use_separable_cma` learns no
    correlations, `lr_adapt` is for noise and many optima. With `restart_strategy` "ipop" or "bipop" it starts again
    where it has converged, with populations that are `inc_popsize` (-1: 2) times as large. `seed` makes the study's
    suggestions repeatable.

    `warn_independent_sampling` has no effect. Raises InvalidValue, a ValueError, for what contradicts.
    """

    name: ClassVar[str] = "cmaes"
    defaults: ClassVar[Mapping[str, Any]] = {
        "sigma0": None,
        "n_startup_trials": 1,
        "consider_pruned_trials": False,
        "restart_strategy": None,
        "popsize": None,
        "inc_popsize": -1,
        "use_separable_cma": False,
        "with_margin": False,
        "lr_adapt": False,
    }
    """What the server has by itself. Only other settings travel."""

    x0: dict[str, Any] | None = None
    sigma0: float | None = None
    n_startup_trials: int = 1
    independent_sampler: RandomSampler | TPESampler | None = None
    warn_independent_sampling: bool = True
    seed: int | None = None
    consider_pruned_trials: bool = False
    restart_strategy: str | None = None
    popsize: int | None = None
    inc_popsize: int = -1
    use_separable_cma: bool = False
    with_margin: bool = False
    lr_adapt: bool = False
    source_trials: Sequence[FrozenTrial] | None = None

    def __post_init__(self) -> None:
        self._check_values()
        if self.source_trials is not None and (self.x0 is not None or self.sigma0 is not None):
            raise InvalidValue("x0 and sigma0 must be None with source_trials, which say where to start")
        if self.source_trials is not None and self.use_separable_cma:
            raise InvalidValue("use_separable_cma must be False with source_trials, which give a full covariance")
        if self.lr_adapt and (self.use_separable_cma or self.with_margin):
            raise InvalidValue("use_separable_cma and with_margin must be False with lr_adapt")
        if self.use_separable_cma and self.with_margin:
            raise InvalidValue("with_margin must be False with use_separable_cma")
        if self.source_trials is not None and not self._sources():
            raise InvalidValue("source_trials must hold a complete trial that has a value and numeric parameters")

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        given = {name: getattr(self, name) for name in self.defaults}
        if self.x0 is not None:
            given["x0"] = dict(self.x0)
        if self.independent_sampler is not None:
            given["independent_sampler"] = self.independent_sampler.wire()
        if self.source_trials is not None:
            given["source_trials"] = self._sources()
        defaults = self.defaults
        return {"name": self.name} | {n: v for n, v in given.items() if v is not None and v != defaults.get(n)}

    def _check_values(self) -> None:
        if self.sigma0 is not None and not 0.0 < self.sigma0 < math.inf:
            raise InvalidValue(f"sigma0 must be above 0 and finite, got {self.sigma0}")
        if self.n_startup_trials < 0:
            raise InvalidValue(f"n_startup_trials must not be negative, got {self.n_startup_trials}")
        if self.popsize is not None and self.popsize < 2:
            raise InvalidValue(f"popsize must be at least 2, got {self.popsize}")
        if self.restart_strategy not in (None, "ipop", "bipop"):
            raise InvalidValue(f"restart_strategy must be 'ipop', 'bipop' or None, got {self.restart_strategy!r}")
        if self.independent_sampler is not None and not isinstance(
            self.independent_sampler, (RandomSampler, TPESampler)
        ):
            raise InvalidValue("independent_sampler must be a RandomSampler, a TPESampler or None")

    def _sources(self) -> list[dict[str, Any]]:
        """The source trials as the wire has them: those that are complete, or pruned ones with a report, if wanted."""
        found = []
        for trial in self.source_trials or ():
            value = trial.value if trial.state.name == "COMPLETE" else None
            if trial.state.name == "PRUNED" and self.consider_pruned_trials and trial.last_step is not None:
                value = trial.intermediate_values[trial.last_step]
            params = {name: float(number) for name, number in trial.params.items() if _is_finite(number)}
            if value is not None and _is_finite(value) and params:
                found.append({"params": params, "value": float(value)})
        return found


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf
