"""The settings of no rule at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class NopPruner:
    """Never prunes."""

    name: ClassVar[str] = "nop"

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return {"name": self.name}
