"""The settings of a rule with fixed bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tpeak.errors import InvalidValue
from tpeak.pruners.rule import DEFAULTS, check_counts, wire_form


@dataclass(frozen=True, slots=True)
class ThresholdPruner:
    """Prunes a trial whose latest value is below `lower`, above `upper`, or NaN; one of the bounds may be None.

    It waits for step `n_warmup_steps` and looks every `interval_steps`. Of several objectives it looks at number
    `objective`, from 0; without one it keeps every trial of such a study. Raises InvalidValue, a ValueError, for
    settings out of range.
    """

    name: ClassVar[str] = "threshold"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    lower: float | None = None
    upper: float | None = None
    n_warmup_steps: int = 0
    interval_steps: int = 1
    objective: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.lower is None and self.upper is None:
            raise InvalidValue("lower or upper must be given; the NopPruner is the rule without bounds")
        for name in ("lower", "upper"):
            object.__setattr__(self, name, _bound(name, getattr(self, name)))
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise InvalidValue(f"lower must be at most upper, got lower={self.lower} and upper={self.upper}")
        check_counts(self, n_warmup_steps=0, interval_steps=1)

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return wire_form(self)


def _bound(name: str, value: Any) -> float | None:
    """The bound as a float, as Optuna makes it one. Raises InvalidValue."""
    if value is None:
        return None
    try:
        bound = float(value)
    except (TypeError, ValueError):
        bound = math.nan
    if not math.isfinite(bound):
        raise InvalidValue(f"{name} must be a finite number, or None for no bound, got {value!r}")
    return bound
