"""Exhaustive search of a grid that is given in advance: each of its points once, in a random order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, Space, identity
from tpeak_server.domain.errors import Invalid, InvalidValue, pointer
from tpeak_server.domain.observations import Floats, Suggestion, Tried, Tries, View
from tpeak_server.domain.settings import shown
from tpeak_server.samplers.seam import Stream

ORIGIN = "grid"

MOST_POINTS = 1_000_000
"""Points of a grid: their order is kept in memory, and no study has had as many trials."""


class GridSampler:
    """Every point of the grid once, whatever its trial ends as; then there is nothing left.

    `search_space` maps names to their values. A trial is at a point if it has all of its values, be it enqueued, or of
    another sampler. What is no value of the range asked for is used all the same where it has a meaning.
    """

    version = "grid-1"
    walks = True

    def __init__(self, *, search_space: Mapping[str, Sequence[Any]]) -> None:
        self._values = {name: list(search_space[name]) for name in sorted(search_space)}
        self._places = {
            name: {identity(value): place for place, value in enumerate(values)}
            for name, values in self._values.items()
        }
        self._shape = tuple(len(values) for values in self._values.values())
        self._order: tuple[int, np.ndarray[Any, np.dtype[np.int64]]] | None = None
        self._points: dict[int, tuple[Tried, int | None]] = {}

    def holding(self, values: Mapping[str, Any]) -> GridSampler:
        """The search of the grid with these values in place of its own."""
        return GridSampler(search_space={**self._values, **{n: [v] for n, v in values.items() if n in self._values}})

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """One point for a new trial, or the value of one late parameter; see the seam.

        Where the space lacks a parameter, or its range the value, the value waits until it is asked for.
        """
        assert view.tried is not None, "it is shown every trial"
        stream = streams[0]
        if stream.parameter:
            return [self._late(view.tried, space[stream.parameter], stream)]
        point = self._next(view.tried, stream)
        if point is None:
            return []
        values = {name: space[name].to_internal(value) for name, value in point.items() if _holds(space, name, value)}
        fixed_later = {name: value for name, value in point.items() if name not in values}
        return [Suggestion(values=values, origin=ORIGIN, fixed=fixed_later)]

    def _late(self, tries: Tries, distribution: Distribution, stream: Stream) -> Suggestion:
        name, own = stream.parameter, tries.trials.get(stream.number)
        given = {} if own is None else _external(tries, own)
        if name in given:
            return Suggestion(values={name: distribution.to_internal(given[name])}, origin=ORIGIN)
        if name not in self._values:
            raise InvalidValue(f"the grid has no parameter {name!r}; it has {shown(list(self._values))}", where="/name")
        raise InvalidValue(
            f"trial {stream.number} was not drawn from the grid and has no {name!r}: enqueue trials with all of the "
            "grid's parameters",
            where="/name",
        )

    def _next(self, tries: Tries, stream: Stream) -> dict[str, Any] | None:
        """The first point in order that no trial is at."""
        order = self._ordered(stream)
        met = np.zeros(len(order), dtype=np.bool_)
        met[self._met(tries)] = True
        left = ~met[order]
        first = int(left.argmax()) if len(left) else 0
        if not len(left) or not left[first]:
            return None
        places = np.unravel_index(int(order[first]), self._shape)
        return {name: values[int(place)] for (name, values), place in zip(self._values.items(), places, strict=True)}

    def _ordered(self, stream: Stream) -> np.ndarray[Any, np.dtype[np.int64]]:
        if self._order is None or self._order[0] != stream.seed:
            self._order = stream.seed, stream.of_study("grid").permutation(math.prod(self._shape))
        return self._order[1]

    def _met(self, tries: Tries) -> list[int]:
        """The points that trials are at: most of them are known from before."""
        known, self._points = self._points, {}
        for number, tried in tries.trials.items():
            before = known.get(number)
            where = before if before is not None and before[0] is tried else (tried, self._point_of(tries, tried))
            self._points[number] = where
        return [point for _, point in self._points.values() if point is not None]

    def _point_of(self, tries: Tries, tried: Tried) -> int | None:
        given = _external(tries, tried)
        places = [self._places[name].get(identity(given[name])) for name in self._values if name in given]
        if len(places) < len(self._values) or None in places:
            return None
        return int(np.ravel_multi_index([place for place in places if place is not None], self._shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A setting that maps parameters to the values that are to be tried."""

    name: str
    default: None = None
    optional: bool = False

    def checked(self, value: object, where: str) -> dict[str, list[Any]]:
        """The values by name. Raises Invalid, which points at what is wrong."""
        if not isinstance(value, Mapping) or not value:
            raise Invalid(f"{self.name} must map parameters to lists of values, got {shown(value)}", where=where)
        grid = {name: _values(name, values, where + pointer([name])) for name, values in value.items()}
        count = math.prod(len(values) for values in grid.values())
        if count > MOST_POINTS:
            raise Invalid(
                f"{self.name} has {count} points, more than {MOST_POINTS}; take fewer values, or another sampler",
                where=where,
            )
        return grid


def _values(name: str, values: object, where: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise Invalid(f"the values of {shown(name)} must be a list of at least one, got {shown(values)}", where=where)
    seen = set()
    for index, value in enumerate(values):
        check_value(value, f"{where}/{index}")
        if identity(value) in seen:
            raise Invalid(f"the value {shown(value)} is there twice", where=f"{where}/{index}")
        seen.add(identity(value))
    return values


def check_value(value: object, where: str) -> None:
    """Raises Invalid for what no parameter can be."""
    if value is None or isinstance(value, (bool, str)):
        return
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Invalid(
            f"a value must be null, true, false, a finite number or a string, got {shown(value)}", where=where
        )


def _holds(space: Space, name: str, value: Any) -> bool:
    """Whether the space has the parameter, and its range the value."""
    distribution = space.get(name)
    if distribution is None:
        return False
    if isinstance(distribution, CategoricalDistribution):
        return distribution.has(value)
    try:
        return distribution.contains(distribution.to_internal(value))
    except InvalidValue:
        return False


def _external(tries: Tries, tried: Tried) -> dict[str, Any]:
    """All that a trial was given, in external values."""
    known = tries.known(tried)
    return {**tried.fixed, **{name: distribution.to_external(value) for name, (distribution, value) in known.items()}}
