"""The percentile rule's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tpeak.pruners.rule import DEFAULTS, check_counts, check_number, wire_form


@dataclass(frozen=True, slots=True)
class PercentilePruner:
    """Prunes a trial whose best value so far is not among the best `percentile` (0 to 100) at that step.

    The other settings are the MedianPruner's, which is the percentile 50. Raises InvalidValue, a ValueError, for
    settings out of range.
    """

    name: ClassVar[str] = "percentile"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    percentile: float
    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = field(default=1, kw_only=True)
    objective: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_number("percentile", self.percentile, 0, 100)
        check_counts(self, n_startup_trials=0, n_warmup_steps=0, interval_steps=1, n_min_trials=1)

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return wire_form(self)
