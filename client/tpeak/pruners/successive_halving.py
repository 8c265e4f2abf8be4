"""Asynchronous successive halving's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tpeak.errors import InvalidValue
from tpeak.pruners.rule import DEFAULTS, check_counts, check_resource, wire_form


@dataclass(frozen=True, slots=True)
class SuccessiveHalvingPruner:
    """Prunes a trial at a rung unless it is among the best 1 / `reduction_factor` of those that got there.

    Rung k is at step `min_resource` * `reduction_factor` ** (`min_early_stopping_rate` + k); between rungs trials are
    kept. With `min_resource` "auto" the server takes a hundredth of the last step of the first complete trials, at
    least 1, once and for all workers. The first `bootstrap_count` trials at a rung end there. With `resource` "cost",
    rungs count what a trial's reports have cost so far instead of steps: `min_resource` is any number above 0, "auto" a
    hundredth of what the reports of the first complete trials cost. Of several objectives it looks at number
    `objective`, from 0; without one it keeps every trial of such a study. Raises InvalidValue, a ValueError, for
    settings out of range.
    """

    name: ClassVar[str] = "successive_halving"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    min_resource: Literal["auto"] | float = "auto"
    reduction_factor: int = 4
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0
    objective: int | None = field(default=None, kw_only=True)
    resource: Literal["step", "cost"] = field(default="step", kw_only=True)

    def __post_init__(self) -> None:
        check_resource(self, min_resource="auto")
        check_counts(self, reduction_factor=2, min_early_stopping_rate=0, bootstrap_count=0)
        if self.bootstrap_count > 0 and self.min_resource == "auto":
            kind = "an integer" if self.resource == "step" else "a number"
            raise InvalidValue(f"min_resource must be {kind} with a bootstrap_count above 0, got 'auto'")

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return wire_form(self)
