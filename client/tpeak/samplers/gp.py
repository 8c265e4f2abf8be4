"""The Gaussian process's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tpeak.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class GPSampler:
    """Expected improvement under a Gaussian process, with the arguments of Optuna 5.0's.

    For few trials, since the time that a suggestion takes grows with their number to the third power; the AutoSampler
    changes over by itself. The first `n_startup_trials` cover all ranges evenly. `deterministic_objective` says that
    the same point always has the same value. With `deduplicate` a study in which all parameters are discrete meets no
    point twice. `seed` makes the study's suggestions repeatable.

    All parameters are drawn jointly: `independent_sampler` may only be None, and `warn_independent_sampling` has no
    effect. `constraints_func` may only be None: functions cannot travel. Raises InvalidValue, a ValueError, for other
    ones and for a negative number.
    """

    name: ClassVar[str] = "gp"
    defaults: ClassVar[Mapping[str, Any]] = {
        "n_startup_trials": 10,
        "deterministic_objective": False,
        "deduplicate": True,
    }
    """What the server has by itself. Only other settings travel."""

    seed: int | None = None
    independent_sampler: None = None
    n_startup_trials: int = 10
    deterministic_objective: bool = False
    constraints_func: Callable[[Any], Any] | None = None
    warn_independent_sampling: bool = True
    deduplicate: bool = True

    def __post_init__(self) -> None:
        if self.n_startup_trials < 0:
            raise InvalidValue(f"n_startup_trials must not be negative, got {self.n_startup_trials}")
        if self.independent_sampler is not None:
            raise InvalidValue("independent_sampler must be None: all parameters are drawn jointly")
        if self.constraints_func is not None:
            raise InvalidValue(
                "constraints_func must be None, a function cannot travel: a trial's constraints go with its tell"
            )

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        given = {name: getattr(self, name) for name in self.defaults}
        return {"name": self.name} | {n: value for n, value in given.items() if value != self.defaults[n]}
