"""The settings of an exhaustive search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class BruteForceSampler:
    """Every leaf of the tree of parameters that the objective asks for, each once over all workers; then the study is
    done. Only discrete parameters: a continuous one raises InvalidDistribution, a ValueError, where it is asked for.

    A trial that failed is not tried again, and what it may have asked for later is not searched, unless another trial
    shows it; with `avoid_premature_stop` its way is gone once more. The search never stops because trials still run.
    `seed` makes the order repeatable.
    """

    name: ClassVar[str] = "brute_force"
    defaults: ClassVar[Mapping[str, Any]] = {"avoid_premature_stop": False}

    seed: int | None = None
    avoid_premature_stop: bool = False

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        return {"name": self.name} | ({"avoid_premature_stop": True} if self.avoid_premature_stop else {})
