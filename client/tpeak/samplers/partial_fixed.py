"""The settings of a sampler that leaves some parameters as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tpeak.errors import InvalidValue
from tpeak.samplers.grid import plain_value


@dataclass(frozen=True, slots=True)
class PartialFixedSampler:
    """`base_sampler` draws what `fixed_params` do not give, in sight of these. The seed is the base sampler's.

    A fixed value is used even outside of the range that is asked for, with a warning. Raises InvalidValue, a
    ValueError, for values of other types than None, bool, int, float and str.
    """

    name: ClassVar[str] = "partial_fixed"

    fixed_params: Mapping[str, Any]
    base_sampler: Any

    def __post_init__(self) -> None:
        if not hasattr(self.base_sampler, "wire"):
            raise InvalidValue(f"base_sampler must be one of tpeak.samplers, got {self.base_sampler!r}")
        fixed = {name: plain_value(name, value) for name, value in self.fixed_params.items()}
        object.__setattr__(self, "fixed_params", fixed)

    @property
    def seed(self) -> int | None:
        """The base sampler's."""
        seed: int | None = self.base_sampler.seed
        return seed

    def wire(self) -> dict[str, Any]:
        """The wire's form; the seed is a field of the study."""
        return {"name": self.name, "fixed_params": self.fixed_params, "base_sampler": self.base_sampler.wire()}
