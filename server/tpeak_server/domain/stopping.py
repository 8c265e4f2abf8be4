"""When a study ends by itself: a target is reached, or its trials no longer improve on the best one.

A trial's `figure` is what should become small: its loss or, of several objectives, the most by which it misses a
target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tpeak_server.domain.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWhen:
    """The rule: `target` has a value for each objective, all to be reached by one trial.

    `patience` is how many complete trials may finish in a row without a better value; it is for one objective.
    """

    target: tuple[float, ...] | None = None
    patience: int | None = None

    def spec(self) -> dict[str, Any]:
        """The wire's form."""
        return {**asdict(self), "target": None if self.target is None else list(self.target)}

    def check(self, objectives: int) -> None:
        """Raises Invalid where the rule does not suit a study of so many objectives."""
        if self.target is None and self.patience is None:
            raise Invalid("a study stops at a target, or when patience is at its end: give one", where="/stop_when")
        if self.target is not None and len(self.target) != objectives:
            raise Invalid(f"the target needs {objectives} value(s), one for each direction", where="/stop_when/target")
        if self.patience is not None and objectives > 1:
            raise Invalid(
                "patience is for one objective: of several almost every trial is better in something; give a target",
                where="/stop_when/patience",
            )

    def figure(self, losses: Sequence[float], signs: Sequence[float]) -> float:
        """What of a trial should become small."""
        if len(losses) == 1:
            return losses[0]
        return max(loss - target for loss, target in zip(losses, self._targets(signs), strict=True))

    def reached(self, figure: float, signs: Sequence[float]) -> bool:
        """Whether a trial with this figure is at the target, if there is one."""
        if self.target is None:
            return False
        return figure <= (self._targets(signs)[0] if len(signs) == 1 else 0.0)

    def _targets(self, signs: Sequence[float]) -> list[float]:
        return [sign * value for sign, value in zip(signs, self.target or (), strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The best figure so far, and how many trials in a row have been told since that did not improve on it."""

    best: float = math.inf
    unimproved: int = 0

    def told(self, figure: float) -> Progress:
        """After one more trial of the study's own."""
        return self._better(figure) or replace(self, unimproved=self.unimproved + 1)

    def added(self, figure: float) -> Progress:
        """After a trial from outside: it raises the bar, and nobody was impatient for it."""
        return self._better(figure) or self

    def _better(self, figure: float) -> Progress | None:
        return Progress(best=figure) if figure < self.best else None


def from_spec(spec: Mapping[str, Any] | None) -> StopWhen | None:
    """The rule that `StopWhen.spec` wrote."""
    if spec is None:
        return None
    target = spec["target"]
    return StopWhen(target=None if target is None else tuple(target), patience=spec["patience"])
