"""Random search's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class RandomSampler:
    """Independent draws from each parameter's range. `seed` makes them repeatable.

    With `deduplicate` a study in which all parameters are discrete meets no point twice, and ends when all were tried.
    """

    name: ClassVar[str] = "random"
    defaults: ClassVar[Mapping[str, Any]] = {"deduplicate": True}

    seed: int | None = None
    deduplicate: bool = True

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        return {"name": self.name} | ({} if self.deduplicate else {"deduplicate": False})
