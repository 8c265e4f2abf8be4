"""The settings of a rule that tests a trial against the best one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tpeak.pruners.rule import DEFAULTS, check_counts, check_number, wire_form


@dataclass(frozen=True, slots=True, kw_only=True)
class WilcoxonPruner:
    """Prunes a trial that is worse than the best one by Wilcoxon's signed-rank test over the steps that both have.

    For values that need not converge, as those of the folds of a cross-validation or of problems in any order: a step
    is then the fold's or problem's number. It prunes where the test's p is below `p_threshold`, the greater the sooner,
    and from `n_startup_steps` common steps on, at least two. Of several objectives it looks at number `objective`, from
    0; without one it keeps every trial of such a study. Raises InvalidValue, a ValueError, for settings out of range.
    """

    name: ClassVar[str] = "wilcoxon"
    defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

    p_threshold: float = 0.1
    n_startup_steps: int = 2
    objective: int | None = None

    def __post_init__(self) -> None:
        check_number("p_threshold", self.p_threshold, 0, 1)
        check_counts(self, n_startup_steps=0)

    def wire(self) -> dict[str, Any]:
        """The wire's form."""
        return wire_form(self)
