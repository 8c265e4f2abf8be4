"""Which suggestions are near-duplicates of what runs: a study and its trials, watched from outside.

| term | meaning |
|---|---|
| coordinate | of a number: 0 at its low end and 1 at its high one, of logarithms where the parameter is logarithmic |
| | of a categorical: the choice itself, which is another one's or not |
| near | of two trials: they have the same parameters, and no coordinate differs by `NEAR` or more |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from problems.problem import Trial
from studies.simulation import Study

NEAR = 0.01

T = TypeVar("T", bound=Trial)


class Watched(Generic[T]):
    """A study that knows, of every trial, which ones ran when it was asked for."""

    def __init__(self, study: Study[T]) -> None:
        self._study = study
        self._running: dict[int, Seen[T]] = {}
        self._asked: list[tuple[Seen[T], list[Seen[T]]]] = []

    def ask(self) -> Seen[T]:
        """A new trial, running."""
        trial = Seen(self._study.ask())
        self._asked.append((trial, list(self._running.values())))
        self._running[id(trial)] = trial
        return trial

    def tell(self, trial: Seen[T], value: float | Sequence[float]) -> None:
        """Finishes the trial."""
        del self._running[id(trial)]
        self._study.tell(trial.own, value)

    def near(self) -> list[bool]:
        """Whether each trial, in the order of the asks, was near one that ran when it was asked for."""
        return [any(near(trial.at, other.at) for other in running) for trial, running in self._asked]


class Seen(Generic[T]):
    """A trial, and where the values that its objective asked for are."""

    def __init__(self, own: T) -> None:
        self.own = own
        self.at: dict[str, Any] = {}
        """Name -> coordinate; a categorical's choice as text."""

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """A float in [low, high]."""
        value = self.own.suggest_float(name, low, high, log=log, step=step)
        self.at[name] = _coordinate(value, low, high, log=log)
        return value

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        """An integer in [low, high]."""
        value = self.own.suggest_int(name, low, high, log=log, step=step)
        self.at[name] = _coordinate(value, low, high, log=log)
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        value = self.own.suggest_categorical(name, choices)
        self.at[name] = repr(value)
        return value

    def set_constraint(self, key: str, value: float) -> None:
        """Says how far the trial is from being feasible in one respect."""
        self.own.set_constraint(key, value)

    @property
    def constraints(self) -> Mapping[str, float]:
        """What was said."""
        return self.own.constraints


def near(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two points, by their coordinates, are near."""
    return one.keys() == other.keys() and all(_close(at, other[name]) for name, at in one.items())


def _close(one: Any, other: Any) -> bool:
    return one == other or (isinstance(one, float) and isinstance(other, float) and abs(one - other) < NEAR)


def _coordinate(value: float, low: float, high: float, *, log: bool) -> float:
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
