"""Trials out of the packed columns of a page: each field of them is put together when somebody first looks at it."""

from __future__ import annotations

import json
import sys
from array import array
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count, repeat
from typing import Any, TypeVar

from tpeak import constraints as limits
from tpeak.distributions import CategoricalDistribution, Distribution, IntDistribution, from_spec
from tpeak.frozen import FrozenTrial
from tpeak.states import TrialState

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INT32, INT64, FLOAT64 = "i", "q", "d"

T = TypeVar("T")


class Page:
    """Some trials of a study, as the server sent them: `next` is the number after which more may follow.

    Of what a field is for all trials, none is made before one is asked for; then all are, which takes as long as for a
    few of them alone. The trials keep the page; it is let go with the last of them.
    """

    def __init__(self, line: Mapping[str, Any]) -> None:
        self.next: int | None = line["next"]
        self._line = line
        self._numbers = _unpacked(INT32, line["number"])
        self._made: dict[str, list[Any]] = {}

    def trials(self) -> list[FrozenTrial]:
        """The trials, by number."""
        states = self._words("state", TrialState)
        return list(map(FrozenTrial._unread, repeat(self), count(), self._numbers, states))

    def field(self, name: str, row: int) -> Any:
        """What the trial in this row has there."""
        values = self._made.get(name)
        if values is None:
            values = self._made[name] = _FIELDS[name](self)
        return values[row]

    def _params(self) -> list[dict[str, Any]]:
        return self._by_name(lambda param, distribution: _external(distribution, param["values"]))

    def _distributions(self) -> list[dict[str, Distribution]]:
        return self._by_name(lambda param, distribution: [distribution] * self._count(param))

    def _by_name(self, values: Callable[[Mapping[str, Any], Distribution], Iterable[Any]]) -> list[dict[str, Any]]:
        """For each trial what its parameters have, which is `values` of each column."""
        columns = [
            (param, values(param, _distribution(json.dumps(param["distribution"])))) for param in self._line["params"]
        ]
        everywhere = {param["name"]: column for param, column in columns if "at" not in param}
        if everywhere:
            found = [dict(zip(everywhere, row, strict=True)) for row in zip(*everywhere.values(), strict=True)]
        else:
            found = [{} for _ in self._numbers]
        for param, column in columns:
            if "at" in param:
                for row, value in self._each(param, column):
                    found[row][param["name"]] = value
        return found

    def _values(self) -> list[list[float] | None]:
        found: list[list[float] | None] = [None] * len(self._numbers)
        for column in self._line["values"]:
            objectives = zip(*(_unpacked(FLOAT64, values) for values in column["values"]), strict=True)
            for row, values in self._each(column, objectives):
                found[row] = list(values)
        return found

    def _intermediate_values(self) -> list[dict[int, Any]]:
        found: list[dict[int, Any]] = [{} for _ in self._numbers]
        for reports in self._line["reports"]:
            several = [_unpacked(FLOAT64, values) for values in reports["values"]]
            values: Iterable[Any] = several[0] if len(several) == 1 else map(list, zip(*several, strict=True))
            for row, step, value in zip(_at(reports), _unpacked(INT64, reports["step"]), values, strict=True):
                found[row][step] = value
        return found

    def _intermediate_costs(self) -> list[dict[int, float]]:
        found: list[dict[int, float]] = [{} for _ in self._numbers]
        for reports in self._line["reports"]:
            if "cost" in reports:
                costs = _unpacked(FLOAT64, reports["cost"])
                for row, step, cost in zip(_at(reports), _unpacked(INT64, reports["step"]), costs, strict=True):
                    if cost == cost:  # NaN is no cost
                        found[row][step] = cost
        return found

    def _times(self, name: str) -> list[datetime | None]:
        found: list[datetime | None] = [None] * len(self._numbers)
        column = self._line[name]
        for row, us in self._each(column, _unpacked(INT64, column["us"])):
            found[row] = EPOCH + timedelta(microseconds=us)
        return found

    def _constraints(self) -> list[dict[str, float]]:
        found: list[dict[str, float]] = [{} for _ in self._numbers]
        names = dict(self._line.get("constraint_names", ()))
        for row, values in self._line.get("constraints", ()):
            found[row] = limits.from_wire({"constraints": values, "constraint_names": names.get(row)})
        return found

    def _words(self, name: str, kind: Callable[[str], T]) -> list[T]:
        column = self._line[name]
        words = [kind(word) for word in column["words"]]
        if "index" not in column:
            return words * len(self._numbers)
        return [words[index] for index in _unpacked(INT32, column["index"])]

    def _rare(self, name: str, otherwise: Callable[[], T]) -> list[T]:
        """What few trials have, and `otherwise` of all others."""
        found = [otherwise() for _ in self._numbers]
        for row, value in self._line.get(name, ()):
            found[row] = value
        return found

    def _count(self, column: Mapping[str, Any]) -> int:
        return len(_at(column)) if "at" in column else len(self._numbers)

    def _each(self, column: Mapping[str, Any], values: Iterable[T]) -> Iterator[tuple[int, T]]:
        """The values with their trials' rows."""
        return zip(_at(column) if "at" in column else range(len(self._numbers)), values, strict=True)


_FIELDS: dict[str, Callable[[Page], list[Any]]] = {
    "values": Page._values,
    "params": Page._params,
    "distributions": Page._distributions,
    "user_attrs": lambda page: page._rare("user_attrs", dict),
    "intermediate_values": Page._intermediate_values,
    "intermediate_costs": Page._intermediate_costs,
    "datetime_start": lambda page: page._times("started_at"),
    "datetime_complete": lambda page: page._times("finished_at"),
    "cause": lambda page: page._rare("cause", lambda: None),
    "origin": lambda page: page._words("origin", str),
    "attempt": lambda page: page._rare("attempt", int),
    "fixed": lambda page: page._rare("fixed", dict),
    "constraints": Page._constraints,
    "exempt": lambda page: page._rare("exempt", bool),
}
"""For each field what makes it for all trials of a page. Trials share no dict or list."""


@cache
def _distribution(spec: str) -> Distribution:
    return from_spec(json.loads(spec))


def _external(distribution: Distribution, packed: str) -> Iterable[Any]:
    """The values as the distribution gives them to an objective."""
    values = _unpacked(FLOAT64, packed)
    if isinstance(distribution, CategoricalDistribution):
        return [distribution.choices[int(index)] for index in values]
    return map(int, values) if isinstance(distribution, IntDistribution) else values


def _at(column: Mapping[str, Any]) -> array[int]:
    return _unpacked(INT32, column["at"])


def _unpacked(kind: str, packed: str) -> array[Any]:
    """Numbers of this kind, which travel as the lowest bytes of all of them, then the next ones, and so on."""
    planes, numbers = b64decode(packed), array(kind)
    data, count = bytearray(len(planes)), len(planes) // numbers.itemsize
    for place in range(numbers.itemsize):
        data[place :: numbers.itemsize] = planes[place * count : (place + 1) * count]
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
