"""What a new study learns from others: the server reads them, once, when it makes the study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tpeak.errors import InvalidValue

if TYPE_CHECKING:
    from tpeak.study import Study


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A study, or its name, whose complete trials a new study begins with.

    `params` maps the names of parameters here to those there; what it does not name has the same name in both. A value
    that the range here does not hold is left out. `weight` is how much the study counts beside others; it fades as own
    trials finish. Raises InvalidValue, a ValueError, for a weight that is not within 0 .. 10.
    """

    study: Study | str
    params: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    weight: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 10 or math.isnan(self.weight):
            raise InvalidValue(f"weight must lie within 0 .. 10, above 0, got {self.weight}")
