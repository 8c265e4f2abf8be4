"""The tree-structured Parzen estimator's settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tpeak.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TPESampler:
    """Tree-structured Parzen estimator, aware of running trials, with the arguments of Optuna 5.0's.

    The first `n_startup_trials` cover all ranges evenly; each further one is the best of `n_ei_candidates`. `seed`
    makes the study's suggestions repeatable; None lets the server draw one. `multivariate` draws all parameters
    jointly, None does so if there is one objective; `group`, of the parameters, those that always appear together.
    With `constant_liar` running trials count as bad. `prior_weight`, `consider_magic_clip` and `consider_endpoints`
    shape the densities. None stands for the server's own number of candidates or weight, for True and for False.
    `reference="optuna5"` makes the densities those of Optuna 5.0, to the last digits. `categorical_distance` says how
    far apart a parameter's choices are: "ordered", or a symmetric matrix with a row for each choice; trials then
    teach about similar choices, too. With `deduplicate`, None for True unless there is a `reference`, a study in which
    all parameters are discrete meets no point twice, and ends when all were tried.

    `warn_independent_sampling` has no effect. `consider_prior` may only be True, and `gamma`, `weights` and
    `constraints_func` only None: functions cannot travel. Raises InvalidValue, a ValueError, for other ones and for
    numbers out of range.
    """

    name: ClassVar[str] = "tpe"
    defaults: ClassVar[Mapping[str, Any]] = {
        "n_startup_trials": 10,
        "n_ei_candidates": None,
        "multivariate": None,
        "group": False,
        "constant_liar": True,
        "prior_weight": None,
        "consider_magic_clip": True,
        "consider_endpoints": False,
        "reference": None,
        "categorical_distance": None,
        "deduplicate": None,
    }
    """What the server has by itself. Only other settings travel: an older server takes all that it can do."""

    consider_prior: bool | None = None
    prior_weight: float | None = None
    consider_magic_clip: bool | None = None
    consider_endpoints: bool | None = None
    n_startup_trials: int = 10
    n_ei_candidates: int | None = None
    gamma: Callable[[int], int] | None = None
    weights: Callable[[int], Any] | None = None
    seed: int | None = None
    multivariate: bool | None = None
    group: bool = False
    warn_independent_sampling: bool | None = None
    constant_liar: bool = True
    constraints_func: Callable[[Any], Any] | None = None
    reference: Literal["optuna5"] | None = None
    categorical_distance: Mapping[str, str | Sequence[Sequence[float]]] | None = None
    deduplicate: bool | None = None

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_what_cannot_travel()
        if self.group and self.multivariate is False:
            raise InvalidValue("group=True draws parameters jointly: multivariate must be True or None then")
        if self.reference not in (None, "optuna5"):
            raise InvalidValue(f"reference must be 'optuna5' or None, got {self.reference!r}")
        if self.reference is not None and self.deduplicate:
            raise InvalidValue("deduplicate must be False or None with a reference: Optuna 5.0 proposes points again")
        if self.categorical_distance is not None:
            if self.reference is not None:
                raise InvalidValue("reference must be None with a categorical_distance: Optuna 5.0 knows no distances")
            distances = {name: _distance(name, value) for name, value in self.categorical_distance.items()}
            object.__setattr__(self, "categorical_distance", distances)

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        given = {name: getattr(self, name) for name in self.defaults}
        return {"name": self.name} | {n: value for n, value in given.items() if value not in (None, self.defaults[n])}

    def _check_numbers(self) -> None:
        if self.n_startup_trials < 0:
            raise InvalidValue(f"n_startup_trials must not be negative, got {self.n_startup_trials}")
        if self.n_ei_candidates is not None and self.n_ei_candidates < 1:
            raise InvalidValue(f"n_ei_candidates must be at least 1, got {self.n_ei_candidates}")
        if self.prior_weight is not None and not 0.0 < self.prior_weight < math.inf:
            raise InvalidValue(f"prior_weight must be above 0 and finite, got {self.prior_weight}")

    def _check_what_cannot_travel(self) -> None:
        if self.consider_prior not in (None, True):
            raise InvalidValue(
                "consider_prior must be True: leave it out, or make the prior matter less with a small prior_weight"
            )
        if self.gamma is not None:
            raise InvalidValue(
                "gamma must be None, a function cannot travel: a tenth of the trials is good, at most 25"
            )
        if self.weights is not None:
            raise InvalidValue("weights must be None, a function cannot travel: the 25 newest trials weigh the most")
        if self.constraints_func is not None:
            raise InvalidValue(
                "constraints_func must be None, a function cannot travel: a trial's constraints go with its tell; set "
                "them in the objective with trial.set_constraint(key, value)"
            )


def _distance(name: str, value: str | Sequence[Sequence[float]]) -> str | list[list[float]]:
    """The word, or the matrix as the wire has it. Raises InvalidValue."""
    what = f"the distance of {name!r} must"
    if isinstance(value, str):
        if value != "ordered":
            raise InvalidValue(f"{what} be 'ordered' or a matrix, got {value!r}")
        return value
    try:
        rows = [[float(number) for number in row] for row in value]
    except (TypeError, ValueError):
        raise InvalidValue(f"{what} be 'ordered' or a matrix of numbers") from None
    if not rows or any(len(row) != len(rows) for row in rows):
        raise InvalidValue(f"{what} have as many columns as rows")
    if not all(0 <= number < math.inf for row in rows for number in row):
        raise InvalidValue(f"{what} hold finite numbers that are not negative")
    transposed = [list(column) for column in zip(*rows, strict=True)]
    if rows != transposed or any(row[index] for index, row in enumerate(rows)):
        raise InvalidValue(f"{what} be symmetric, and 0 from a choice to itself")
    return rows
