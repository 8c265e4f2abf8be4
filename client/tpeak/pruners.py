"""Pruners' settings: the decision itself is the server's, and comes with the answer to each report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, TypeAlias

from tpeak.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class NopPruner:
    """Never prunes."""

    name: ClassVar[str] = "nop"

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return {"name": self.name}


@dataclass(frozen=True, slots=True)
class MedianPruner:
    """Prunes a trial whose best value so far is worse than the median of the complete trials at that step.

    It waits for `n_startup_trials` complete trials, for step `n_warmup_steps`, looks every `interval_steps`, and
    only where `n_min_trials` have a value at the step. Raises InvalidValue, a ValueError, for settings out of range.
    """

    name: ClassVar[str] = "median"

    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _check_counts(self.n_startup_trials, self.n_warmup_steps, self.interval_steps, self.n_min_trials)

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True)
class PercentilePruner:
    """Prunes a trial whose best value so far is not among the best `percentile` (0 to 100) at that step.

    The other settings are the MedianPruner's, which is the percentile 50. Raises InvalidValue, a ValueError, for
    settings out of range.
    """

    name: ClassVar[str] = "percentile"

    percentile: float
    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise InvalidValue(f"percentile must lie within 0 .. 100, got {self.percentile}")
        _check_counts(self.n_startup_trials, self.n_warmup_steps, self.interval_steps, self.n_min_trials)

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return {"name": self.name, **asdict(self)}


Pruner: TypeAlias = NopPruner | MedianPruner | PercentilePruner


def _check_counts(n_startup_trials: int, n_warmup_steps: int, interval_steps: int, n_min_trials: int) -> None:
    for name, value, least in (
        ("n_startup_trials", n_startup_trials, 0),
        ("n_warmup_steps", n_warmup_steps, 0),
        ("interval_steps", interval_steps, 1),
        ("n_min_trials", n_min_trials, 1),
    ):
        if value < least:
            raise InvalidValue(f"{name} must be at least {least}, got {value}")
