"""The settings of a rule that waits for a trial to stop improving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from tpeak.errors import InvalidValue
from tpeak.pruners.hyperband import HyperbandPruner
from tpeak.pruners.median import MedianPruner
from tpeak.pruners.nop import NopPruner
from tpeak.pruners.percentile import PercentilePruner
from tpeak.pruners.rule import DEFAULTS, check_counts, check_number, wire_form
from tpeak.pruners.successive_halving import SuccessiveHalvingPruner
from tpeak.pruners.threshold import ThresholdPruner
from tpeak.pruners.wilcoxon import WilcoxonPruner

Impatient: TypeAlias = (
    HyperbandPruner
    | MedianPruner
    | NopPruner
    | PercentilePruner
    | SuccessiveHalvingPruner
    | ThresholdPruner
    | WilcoxonPruner
)
"""The rules that decide by themselves."""


@dataclass(frozen=True, slots=True)
class PatientPruner:
    """Lets `wrapped_pruner` prune a trial only once it has stopped improving; None prunes it right then.

    It has where the best of its last `patience` + 1 values is worse than the best before, by more than `min_delta`.
    Of several objectives both rules look at number `objective`, from 0, which the wrapped one must not have; without
    one they keep every trial of such a study. Raises InvalidValue, a ValueError, for settings out of range.
    """

    name: ClassVar[str] = "patient"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    wrapped_pruner: Impatient | PatientPruner | None
    patience: int
    min_delta: float = 0.0
    objective: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.wrapped_pruner is not None:
            _check_wrapped(self.wrapped_pruner)
        check_number("min_delta", self.min_delta, 0)
        check_counts(self, patience=0)

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        wrapped = None if self.wrapped_pruner is None else self.wrapped_pruner.wire()
        return {**wire_form(self), "wrapped_pruner": wrapped}


def _check_wrapped(wrapped: Any) -> None:
    if not isinstance(wrapped, Impatient | PatientPruner):
        raise InvalidValue(f"wrapped_pruner must be one of tpeak.pruners or None, got {wrapped!r}")
    if not isinstance(wrapped, NopPruner) and wrapped.objective is not None:
        raise InvalidValue("wrapped_pruner must have no objective: give it to the PatientPruner, for both")
