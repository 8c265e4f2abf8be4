"""When a study ends by itself: the rule is the server's to follow, over all workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tpeak.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWhen:
    """Ends a study with the trial that reaches the `target`, or after `patience` trials in a row without a better one.

    Several objectives need a target each, all to be reached by one trial; patience is for one objective. Only complete
    trials count that keep to their constraints, in the order in which they finish; those added with a result may reach
    the target and are to be improved on, but use up no patience. Workers get no more trials then; what runs may finish.
    Raises InvalidValue, a ValueError, where nothing is given, and for what is out of range.
    """

    target: float | Sequence[float] | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.target is None and self.patience is None:
            raise InvalidValue("give a target, patience, or both")
        if not all(math.isfinite(value) for value in self._targets()):
            raise InvalidValue(f"target must be finite, got {self.target}")
        if self.patience is not None and self.patience < 1:
            raise InvalidValue(f"patience must be at least 1, got {self.patience}")

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        target = None if self.target is None else self._targets()
        given = {"target": target, "patience": self.patience}
        return {name: value for name, value in given.items() if value is not None}

    def _targets(self) -> list[float]:
        if self.target is None:
            return []
        return [float(value) for value in (self.target if isinstance(self.target, Sequence) else [self.target])]
