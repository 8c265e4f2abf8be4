"""NSGA-II's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tpeak.errors import InvalidValue

CROSSOVERS = {"uniform": 2, "blxalpha": 2, "sbx": 2, "vsbx": 2, "undx": 3, "spx": 3}
"""How many parents each needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NSGAIISampler:
    """The genetic algorithm NSGA-II, for one or several objectives, with the arguments of Optuna 5.0's.

    A generation has `population_size` complete trials, the first one covers all ranges evenly. With probability
    `crossover_prob` a new trial is crossed from parents, else it is a copy of one; each parameter is drawn anew with
    probability `mutation_prob` (None: one of them on average). `crossover` is "uniform" (also None), "blxalpha", "sbx",
    "vsbx", "undx" or "spx"; categorical parameters, and all with "uniform", come from either parent by `swapping_prob`.
    With `mutation` "polynomial" numeric parameters change a little instead. `seed` makes the study's suggestions
    repeatable.

    `constraints_func`, `elite_population_selection_strategy`, `child_generation_strategy` and `after_trial_strategy`
    may only be None: functions cannot travel. Raises InvalidValue, a ValueError, for other ones and for numbers out of
    range.
    """

    name: ClassVar[str] = "nsgaii"
    defaults: ClassVar[Mapping[str, Any]] = {
        "population_size": 50,
        "mutation": None,
        "mutation_prob": None,
        "crossover": "uniform",
        "crossover_prob": 0.9,
        "swapping_prob": 0.5,
    }
    """What the server has by itself. Only other settings travel."""

    population_size: int = 50
    mutation: str | None = None
    mutation_prob: float | None = None
    crossover: str | None = None
    crossover_prob: float = 0.9
    swapping_prob: float = 0.5
    seed: int | None = None
    constraints_func: Callable[[Any], Any] | None = None
    elite_population_selection_strategy: Callable[..., Any] | None = None
    child_generation_strategy: Callable[..., Any] | None = None
    after_trial_strategy: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        parents = CROSSOVERS.get(self.crossover or "uniform")
        if parents is None:
            raise InvalidValue(f"crossover must be {', '.join(CROSSOVERS)} or None, got {self.crossover!r}")
        if self.population_size < parents:
            raise InvalidValue(f"population_size must be at least {parents}, got {self.population_size}")
        if self.mutation not in (None, "polynomial"):
            raise InvalidValue(f"mutation must be 'polynomial' or None, got {self.mutation!r}")
        for name in ("mutation_prob", "crossover_prob", "swapping_prob"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise InvalidValue(f"{name} must lie within 0 .. 1, got {value}")
        self._check_what_cannot_travel()

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        given = {name: getattr(self, name) for name in self.defaults}
        return {"name": self.name} | {n: v for n, v in given.items() if v is not None and v != self.defaults[n]}

    def _check_what_cannot_travel(self) -> None:
        if self.constraints_func is not None:
            raise InvalidValue(
                "constraints_func must be None, a function cannot travel: a trial's constraints go with its tell"
            )
        for name in ("elite_population_selection_strategy", "child_generation_strategy", "after_trial_strategy"):
            if getattr(self, name) is not None:
                raise InvalidValue(f"{name} must be None, a function cannot travel: the server has NSGA-II's own")
