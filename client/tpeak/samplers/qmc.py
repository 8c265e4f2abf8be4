"""The settings of quasi-Monte Carlo sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tpeak.errors import InvalidValue
from tpeak.samplers.random import RandomSampler
from tpeak.samplers.tpe import TPESampler


@dataclass(frozen=True, slots=True, kw_only=True)
class QMCSampler:
    """The points of a Sobol or Halton sequence, by trial number: all workers share one sequence.

    `qmc_type` is "sobol" or "halton"; only with `scramble` do the points depend on `seed`. The sequence covers the
    parameters that the server knows when a trial is asked for: the study's `space` and what trials have had. Others,
    as all of the first trial without a `space`, are drawn by `independent_sampler`, random by default, a TPESampler or
    RandomSampler.

    `warn_asynchronous_seeding` and `warn_independent_sampling` have no effect. Raises InvalidValue, a ValueError, for
    another type or sampler.
    """

    name: ClassVar[str] = "qmc"
    defaults: ClassVar[Mapping[str, Any]] = {"qmc_type": "sobol", "scramble": False, "independent_sampler": None}

    qmc_type: str = "sobol"
    scramble: bool = False
    seed: int | None = None
    independent_sampler: TPESampler | RandomSampler | None = None
    warn_asynchronous_seeding: bool = True
    warn_independent_sampling: bool = True

    def __post_init__(self) -> None:
        if self.qmc_type not in ("sobol", "halton"):
            raise InvalidValue(f"qmc_type must be 'sobol' or 'halton', got {self.qmc_type!r}")
        if not isinstance(self.independent_sampler, (TPESampler, RandomSampler, type(None))):
            raise InvalidValue(
                f"independent_sampler must be a TPESampler or RandomSampler, got {self.independent_sampler!r}"
            )

    def wire(self) -> dict[str, Any]:
        """The wire's form, without defaults; the seed is a field of the study."""
        given: dict[str, Any] = {"name": self.name}
        if self.qmc_type != "sobol":
            given["qmc_type"] = self.qmc_type
        if self.scramble:
            given["scramble"] = True
        if self.independent_sampler is not None:
            given["independent_sampler"] = self.independent_sampler.wire()
        return given
