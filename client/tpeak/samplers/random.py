"""Random search's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class RandomSampler:
    """Independent draws from each parameter's range. `seed` makes them repeatable."""

    name: ClassVar[str] = "random"

    seed: int | None = None

    def wire(self) -> dict[str, Any]:
        """The wire's form; the seed is a field of the study."""
        return {"name": self.name}
