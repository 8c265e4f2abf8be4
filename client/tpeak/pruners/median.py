"""The median rule's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tpeak.pruners.rule import DEFAULTS, check_counts, wire_form


@dataclass(frozen=True, slots=True)
class MedianPruner:
    """Prunes a trial whose best value so far is worse than the median of the complete trials at that step.

    It waits for `n_startup_trials` complete trials, for step `n_warmup_steps`, looks every `interval_steps`, and
    only where `n_min_trials` have a value at the step. Of several objectives it looks at number `objective`, from 0;
    without one it keeps every trial of such a study. Raises InvalidValue, a ValueError, for settings out of range.
    """

    name: ClassVar[str] = "median"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = field(default=1, kw_only=True)
    objective: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_counts(self, n_startup_trials=0, n_warmup_steps=0, interval_steps=1, n_min_trials=1)

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return wire_form(self)
