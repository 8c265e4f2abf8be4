"""The settings of the sampler that chooses by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tpeak.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoSampler:
    """A Gaussian process while trials are few, the TPESampler when they are many; a trial's origin says which it was.

    The first `n_startup_trials` cover all ranges evenly. With `deduplicate` a study in which all parameters are
    discrete meets no point twice, and ends when all were tried. `seed` makes the study's suggestions repeatable. Raises
    InvalidValue, a ValueError, for a negative number.
    """

    name: ClassVar[str] = "auto"
    defaults: ClassVar[Mapping[str, Any]] = {"n_startup_trials": 10, "deduplicate": True}
    """What the server has by itself. Only other settings travel."""

    seed: int | None = None
    n_startup_trials: int = 10
    deduplicate: bool = True

    def __post_init__(self) -> None:
        if self.n_startup_trials < 0:
            raise InvalidValue(f"n_startup_trials must not be negative, got {self.n_startup_trials}")

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        given = {name: getattr(self, name) for name in self.defaults}
        return {"name": self.name} | {n: value for n, value in given.items() if value != self.defaults[n]}
