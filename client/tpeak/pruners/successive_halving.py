"""Asynchronous successive halving's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tpeak.errors import InvalidValue
from tpeak.pruners.rule import DEFAULTS, check_count, check_counts, wire_form


@dataclass(frozen=True, slots=True)
class SuccessiveHalvingPruner:
    """Prunes a trial at a rung unless it is among the best 1 / `reduction_factor` of those that got there.

    Rung k is at step `min_resource` * `reduction_factor` ** (`min_early_stopping_rate` + k); between rungs trials are
    kept. With `min_resource` "auto" the server takes a hundredth of the last step of the first complete trials, at
    least 1, once and for all workers. The first `bootstrap_count` trials at a rung end there. Of several objectives it
    looks at number `objective`, from 0; without one it keeps every trial of such a study. Raises InvalidValue, a
    ValueError, for settings out of range.
    """

    name: ClassVar[str] = "successive_halving"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    min_resource: Literal["auto"] | int = "auto"
    reduction_factor: int = 4
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0
    objective: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.min_resource != "auto":
            check_count("min_resource", self.min_resource, 1, " or 'auto'")
        check_counts(self, reduction_factor=2, min_early_stopping_rate=0, bootstrap_count=0)
        if self.bootstrap_count > 0 and self.min_resource == "auto":
            raise InvalidValue("min_resource must be an integer with a bootstrap_count above 0, got 'auto'")

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return wire_form(self)
