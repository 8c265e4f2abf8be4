"""Hyperband's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tpeak.errors import InvalidValue
from tpeak.pruners.rule import DEFAULTS, check_counts, check_resource, wire_form


@dataclass(frozen=True, slots=True)
class HyperbandPruner:
    """Successive halving in several brackets, each with a later first rung: bracket 0's is at step `min_resource`.

    The server draws a trial's bracket from the study's seed and the trial's number. `max_resource` is how many steps a
    trial has; with "auto" the server takes that of the first complete trials, once and for all workers.
    `reduction_factor` and `bootstrap_count` are the SuccessiveHalvingPruner's, within a bracket. With `resource`
    "cost", both resources are what a trial's reports have cost so far, any number above 0, instead of steps. Of several
    objectives it looks at number `objective`, from 0; without one it keeps every trial of such a study. Raises
    InvalidValue, a ValueError, for settings out of range.
    """

    name: ClassVar[str] = "hyperband"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    min_resource: float = 1
    max_resource: Literal["auto"] | float = "auto"
    reduction_factor: int = 3
    bootstrap_count: int = 0
    objective: int | None = field(default=None, kw_only=True)
    resource: Literal["step", "cost"] = field(default="step", kw_only=True)

    def __post_init__(self) -> None:
        check_resource(self, max_resource="auto", min_resource="")
        check_counts(self, reduction_factor=2, bootstrap_count=0)
        if self.bootstrap_count > 0 and self.max_resource == "auto":
            kind = "an integer" if self.resource == "step" else "a number"
            raise InvalidValue(f"max_resource must be {kind} with a bootstrap_count above 0, got 'auto'")

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return wire_form(self)
