"""The settings of a search over a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tpeak.errors import InvalidValue

MOST_POINTS = 1_000_000
"""Points of a grid that the server takes."""


@dataclass(frozen=True, slots=True)
class GridSampler:
    """Every combination of the values of `search_space`, each once over all workers, in an order that `seed` makes
    repeatable; then the study is done. A trial that failed is not tried again.

    A value is used even outside of the range that is asked for, with a warning. Raises InvalidValue, a ValueError, for
    no values, for values twice or of other types than None, bool, int, float and str, and for too many points.
    """

    name: ClassVar[str] = "grid"

    search_space: Mapping[str, Sequence[bool | int | float | str | None]]
    seed: int | None = None

    def __post_init__(self) -> None:
        grid = {name: [plain_value(name, value) for value in values] for name, values in self.search_space.items()}
        if not grid or not all(grid.values()):
            raise InvalidValue("search_space must have parameters, each with at least one value")
        for name, values in grid.items():
            if len({(isinstance(value, bool), value) for value in values}) < len(values):
                raise InvalidValue(f"the values of {name!r} must be different, got {values!r}")
        count = math.prod(len(values) for values in grid.values())
        if count > MOST_POINTS:
            raise InvalidValue(f"search_space must have at most {MOST_POINTS} points, it has {count}")
        object.__setattr__(self, "search_space", grid)

    def wire(self) -> dict[str, Any]:
        """The wire's form; the seed is a field of the study."""
        return {"name": self.name, "search_space": self.search_space}


def plain_value(name: str, value: Any) -> bool | int | float | str | None:
    """A parameter's value as JSON has it. Raises InvalidValue."""
    if value is None or isinstance(value, (bool, str)):
        return value
    number = value.item() if hasattr(value, "item") else value  # numpy's
    if not isinstance(number, (bool, int, float, str)) or (isinstance(number, float) and not math.isfinite(number)):
        raise InvalidValue(f"a value of {name!r} must be None, a bool, a finite number or a string, got {value!r}")
    return number
