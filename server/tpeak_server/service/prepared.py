"""Samples drawn for the transaction that hands them out: ahead of it, or under its lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tpeak_server.domain.distributions import Distribution

SPOILED = -1
"""Stands for the number of points taken, where the rest is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A proposal for a new trial, with what is needed to draw it again."""

    space: Mapping[str, Distribution]
    values: Mapping[str, float]
    origin: str
    seq: int
    version: str
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def distribution(self, name: str) -> Distribution:
        """What the name's value is one of."""
        return self.distributions.get(name) or self.space[name]


@dataclass(slots=True, kw_only=True)
class Prepared:
    """Samples drawn ahead: points for the numbers from `first` on, and values for late parameters.

    The points were drawn in sight of those of `ahead`, as pending: they are nothing where one of those was not taken.
    Where a point takes its time each ask gets its `share` of them at most. What is drawn `under_lock` is the last try.
    Nobody has asked for the `spare` ones, which are for the numbers behind the points'.
    """

    first: int = 0
    points: Sequence[Point] = ()
    spare: Sequence[Point] = ()
    late: Mapping[tuple[int, str], tuple[tuple[Mapping[str, float], Distribution], float]] = field(default_factory=dict)
    ahead: Sequence[Prepared] = ()
    share: int | None = None
    under_lock: bool = False
    _taken: int = 0

    def take(self, number: int, space: Mapping[str, Distribution]) -> Point | None:
        """The point for the number, None where it was not foreseen: another replica or an enqueue took numbers.

        After the first that was not foreseen there are no more: each was drawn in sight of the ones before.
        """
        foreseen = 0 <= self._taken < len(self.points) and number == self.first + self._taken
        if not foreseen or self.points[self._taken].space != space or self.in_vain:
            self._taken = SPOILED
            return None
        self._taken += 1
        return self.points[self._taken - 1]

    def rewind(self, taken: int) -> None:
        """Goes back to where that many were taken: the transaction that took more came to nothing."""
        self._taken = taken

    @property
    def taken(self) -> int:
        """How many points were taken, SPOILED where the rest is of no use."""
        return self._taken

    @property
    def in_vain(self) -> bool:
        """Whether the points were drawn in sight of some that were not taken."""
        return not all(one.used_up for one in self.ahead)

    @property
    def used_up(self) -> bool:
        """Whether every point was taken."""
        return self._taken == len(self.points)

    def after(self, number: int) -> Sequence[Point]:
        """The points for the numbers from this one on."""
        return self.points[max(0, number - self.first) :]

    @property
    def end(self) -> int:
        """The number after the last one foreseen."""
        return self.first + len(self.points)
