"""Trials as columns: what a large reader gets, without an object for each trial.

| symbol | shape | what |
|---|---|---|
| n | | trials of the page |
| rows | (m,) int32, or None | which trials a column is of, by their place on the page; None: all, m = n |
| k | | objectives |
| r | | reports |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.storage.columns import ColumnRows, Row

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int32]
Times: TypeAlias = NDArray[np.int64]

POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01 in microseconds after 1970-01-01: where PostgreSQL's times begin."""

ARRAY_HEAD_BYTES = 20
ELEMENT = np.dtype([("length", ">i4"), ("value", ">f8")])
"""How PostgreSQL sends an array of one dimension that is not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """The internal values (m,) that trials have of a distribution."""

    interned: Interned
    rows: Rows | None
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The values (k, m) of trials that have a result."""

    rows: Rows | None
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Times (m,) in microseconds after 1970-01-01 UTC."""

    rows: Rows | None
    us: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Reports in the order of trials and steps: rows (r,), steps (r,), values (k, r), costs (r,), NaN where none."""

    rows: Rows
    steps: NDArray[np.int64]
    values: Floats
    costs: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialColumns:
    """Some trials of a study, by number; `next` continues where there may be more, `seq` is where they were read at.

    `curves` has one entry, or none; more only where trials have reports of different numbers of values. `rare` has
    (row, cause, fixed, constraints, constraint_names, exempt) of trials that have any of these, `attrs` the row of
    each trial with attributes and these as JSON. They are empty where only parameters were read.
    """

    numbers: Sequence[int]
    states: Sequence[str]
    origins: Sequence[str]
    attempts: NDArray[np.int32]
    started: Moments
    finished: Moments
    results: Sequence[Results]
    params: Sequence[Param]
    curves: Sequence[Curves]
    rare: Sequence[Row]
    attrs: Sequence[tuple[int, str]]
    next: int | None
    seq: int


def trial_columns(found: ColumnRows) -> TrialColumns:
    """The columns that the rows of the tables hold."""
    place = _Places(found.numbers)
    states, origins, attempts, started, finished = found.states
    return TrialColumns(
        numbers=found.numbers,
        states=states or [],
        origins=origins or [],
        attempts=np.frombuffer(attempts or b"", dtype=">i4").astype(np.int32),
        started=_moments(started),
        finished=_moments(finished),
        results=[
            Results(rows=place.or_none(rows), values=values)
            for rows, values in (place.sorted(row, _arrays(data, size)) for size, row, data in found.values if size)
        ],
        params=list(_params(found, place)),
        curves=list(_curves(found, place)),
        rare=[(place.of(number), *rest) for number, *rest in sorted(found.rare)],
        attrs=sorted((place.of(number), attrs) for number, attrs in found.attrs),
        next=found.next,
        seq=found.seq,
    )


class _Places:
    """Which row of the page a trial's number is."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.count = len(numbers)
        self._numbers = np.array(numbers, dtype=np.int32)

    def of(self, number: int) -> int:
        return int(np.searchsorted(self._numbers, number))

    def all(self, numbers: bytes | Sequence[int]) -> Rows:
        """Of numbers as PostgreSQL sends them, or has them in an array."""
        given = np.frombuffer(numbers, dtype=">i4") if isinstance(numbers, bytes) else np.array(numbers, dtype=np.int32)
        return np.searchsorted(self._numbers, given).astype(np.int32)

    def sorted(self, numbers: bytes, values: Floats) -> tuple[Rows, Floats]:
        """Rows in order, and the values (k, m) that go with them."""
        rows = self.all(numbers)
        order = np.argsort(rows, kind="stable")
        return rows[order], values[:, order]

    def or_none(self, rows: Rows) -> Rows | None:
        """The rows, None where they are all there are."""
        return None if len(rows) == self.count else rows


def _params(found: ColumnRows, place: _Places) -> Iterable[Param]:
    """What `TrialRecord.params` says, for all trials at once."""
    parts: dict[int, list[tuple[Rows, Floats]]] = {}
    late: dict[str, NDArray[np.bool_]] = {}
    used = _Used(found.used, place)
    for distribution_id, numbers, data in found.suggested:
        name, rows = found.interned[distribution_id].name, place.all(numbers)
        late.setdefault(name, np.zeros(place.count, dtype=bool))[rows] = True
        kept = used.allows(name, rows)
        parts.setdefault(distribution_id, []).append((rows[kept], _floats(data)[kept]))
    for ids, numbers, data in found.proposed:
        rows = place.all(numbers)
        for distribution_id, values in zip(ids, _arrays(data, len(ids)), strict=True):
            name = found.interned[distribution_id].name
            kept = used.allows(name, rows)
            if name in late:  # what was suggested replaces what was proposed
                kept &= ~late[name][rows]
            parts.setdefault(distribution_id, []).append((rows[kept], values[kept]))
    for distribution_id in sorted(parts):
        rows = np.concatenate([rows for rows, _ in parts[distribution_id]])
        if len(rows):
            order = np.argsort(rows, kind="stable")
            values = np.concatenate([values for _, values in parts[distribution_id]])[order]
            yield Param(interned=found.interned[distribution_id], rows=place.or_none(rows[order]), values=values)


class _Used:
    """Which names the trials' workers used, where they said so."""

    def __init__(self, used: Sequence[Row], place: _Places) -> None:
        self._names = [frozenset(names) for names, _ in used]
        self._group = np.zeros(place.count, dtype=np.intp)
        for group, (_, numbers) in enumerate(used, start=1):
            self._group[place.all(numbers)] = group

    def allows(self, name: str, rows: Rows) -> NDArray[np.bool_]:
        """For each row whether the trial has the parameter."""
        allowed = np.array([True, *(name in names for names in self._names)])
        return allowed[self._group[rows]]


def _curves(found: ColumnRows, place: _Places) -> Iterable[Curves]:
    resumed = place.all([record.trial.number for record in found.resumed])
    for size, numbers, steps, values, costs in found.reports:
        rows = place.all(numbers)
        own = ~np.isin(rows, resumed)
        if own.any():
            yield Curves(
                rows=rows[own],
                steps=np.frombuffer(steps, dtype=">i8").astype(np.int64)[own],
                values=_arrays(values, size)[:, own],
                costs=_floats(costs)[own],
            )
    yield from (_curve(record, place) for record in found.resumed if record.curve)


def _curve(record: TrialRecord, place: _Places) -> Curves:
    """The curve of one trial."""
    steps = sorted(record.curve)
    return Curves(
        rows=np.full(len(steps), place.of(record.trial.number), dtype=np.int32),
        steps=np.array(steps, dtype=np.int64),
        values=np.array([record.curve[step] for step in steps]).T,
        costs=np.array([record.costs.get(step, np.nan) for step in steps]),
    )


def _moments(data: bytes | None) -> Moments:
    moments = np.frombuffer(data or b"", dtype=">i8").astype(np.int64)
    there = moments != np.iinfo(np.int64).min  # "-infinity" stands for NULL
    rows = None if there.all() else np.flatnonzero(there).astype(np.int32)
    return Moments(rows=rows, us=moments[there] + POSTGRES_EPOCH_US)


def _floats(data: bytes) -> Floats:
    return np.frombuffer(data, dtype=">f8").astype(np.float64)


def _arrays(data: bytes, size: int) -> Floats:
    """The elements (size, m) of m arrays, each of that size."""
    heads = np.frombuffer(data, dtype=np.uint8).reshape(-1, ARRAY_HEAD_BYTES + size * ELEMENT.itemsize)
    elements = np.ascontiguousarray(heads[:, ARRAY_HEAD_BYTES:]).view(ELEMENT)["value"]
    return np.ascontiguousarray(elements.T, dtype=np.float64)


def by_name(columns: TrialColumns) -> Mapping[str, Sequence[Param]]:
    """The parameters by their names; one that had several distributions has as many columns."""
    found: dict[str, list[Param]] = {}
    for param in columns.params:
        found.setdefault(param.interned.name, []).append(param)
    return found


def each_row(rows: Rows | None, values: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    """Each value with its trial's row."""
    return enumerate(values) if rows is None else zip(rows.tolist(), values, strict=True)
