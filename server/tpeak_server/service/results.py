"""What finished trials teach, by trial number: growing columns, written by change."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.finished import Alike, Finished, Stepwise
from tpeak_server.domain.observations import NONE, Floats, Outcome, Tried, generation_of
from tpeak_server.domain.trial import Interned, TrialRecord, TrialState

TEACHES = {
    TrialState.COMPLETE: Outcome.COMPLETE,
    TrialState.PRUNED: Outcome.PRUNED,
    TrialState.LOST: Outcome.LOST,
}
"""The final states that a sampler learns from; a failed trial says nothing about its point."""

SILENT = -1
"""Outcome of a number whose trial does not teach (yet)."""

FIRST_ROWS = 256


class Column:
    """One parameter over all trial numbers: internal values, and the id of the distribution each came from."""

    def __init__(self, rows: int) -> None:
        self.values: Floats = np.full(rows, np.nan)
        self.ids: NDArray[np.int16] = np.full(rows, -1, dtype=np.int16)

    def grow(self, rows: int) -> None:
        """Makes room for that many numbers."""
        more = rows - len(self.values)
        self.values = np.concatenate([self.values, np.full(more, np.nan)])
        self.ids = np.concatenate([self.ids, np.full(more, -1, dtype=np.int16)])


class Results:
    """The columns over all trial numbers; `signs` turn values into losses."""

    def __init__(self, signs: Sequence[float]) -> None:
        self.outcome: NDArray[np.int8] = np.full(FIRST_ROWS, SILENT, dtype=np.int8)
        self.loss: Floats = np.full((FIRST_ROWS, len(signs)), np.nan)
        self.violation: Floats = np.zeros(FIRST_ROWS)
        self.last_step: NDArray[np.int64] = np.full(FIRST_ROWS, -1, dtype=np.int64)
        self.last_loss: Floats = np.full(FIRST_ROWS, np.nan)
        self.columns: dict[str, Column] = {}
        self.generations: dict[str, NDArray[np.int32]] = {}
        self._signs = signs
        self._rows = FIRST_ROWS

    def rows(self) -> NDArray[np.int64]:
        """The numbers of the trials that teach, in order."""
        return np.flatnonzero(self.outcome != SILENT)

    def feasible_losses(self, without: Container[int | None]) -> Iterator[tuple[float, ...]]:
        """The losses of the complete and feasible trials whose numbers are not in `without`."""
        rows = np.flatnonzero((self.outcome == Outcome.COMPLETE) & (self.violation == 0.0))
        for number, losses in zip(rows.tolist(), self.loss[rows].tolist(), strict=True):
            if number not in without:
                yield tuple(losses)

    def write(self, rows: Sequence[tuple[TrialRecord, Tried]], interned: Mapping[int, Interned]) -> None:
        """Writes what trials teach, the values of all that have the same parameters at once."""
        self._grow_to(1 + max(record.trial.number for record, _ in rows))
        alike: dict[tuple[tuple[int, ...], tuple[str, ...] | None], list[tuple[int, Sequence[float]]]] = {}
        for record, tried in rows:
            self._write_result(record)
            alike.setdefault((tried.ids, tried.used), []).append((record.trial.number, tried.values))
        for (ids, used), points in alike.items():
            numbers = [number for number, _ in points]
            values = np.array([values for _, values in points])
            self._write_points(numbers, values, _places(ids, used, interned))

    def fill(self, finished: Finished, interned: Mapping[int, Interned]) -> None:
        """Writes what trials teach that have no row yet."""
        teaching = [alike for alike in finished.groups if alike.state in TEACHES]
        self._grow_to(1 + max((int(alike.numbers.max()) for alike in teaching), default=-1))
        for alike in teaching:
            self.outcome[alike.numbers] = TEACHES[alike.state]
            if alike.state is TrialState.COMPLETE and alike.values is not None:
                self._write_losses(alike.numbers, alike.values)
            self.violation[alike.numbers] = alike.violations()
            self._write_generations(alike)
            self._write_points(alike.numbers, alike.proposed, _places(alike.ids, alike.used, interned))
        self._write_ends(finished.reports)

    def clear(self, number: int) -> None:
        """Forgets a trial's row: a late result takes the place of a lost one's, nothing that of a deleted one's."""
        self.outcome[number], self.violation[number] = SILENT, 0.0
        self.loss[number] = self.last_loss[number] = math.nan
        self.last_step[number] = -1
        for generation in self.generations.values():
            generation[number] = NONE
        for column in self.columns.values():
            column.values[number], column.ids[number] = math.nan, -1

    def _write_points(
        self, numbers: Sequence[int] | NDArray[np.int64], values: Floats, places: Iterable[tuple[str, int, int]]
    ) -> None:
        for name, place, distribution_id in places:
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = Column(self._rows)
            column.values[numbers], column.ids[numbers] = values[:, place], distribution_id

    def _write_losses(self, numbers: NDArray[np.int64], values: Floats) -> None:
        if values.shape[1] == self.loss.shape[1]:
            self.loss[numbers] = np.multiply(values, self._signs)

    def _write_generations(self, alike: Alike) -> None:
        found = {origin: generation_of(origin) for origin in set(alike.origins)}
        if any(found.values()):
            for number, origin in zip(alike.numbers.tolist(), alike.origins, strict=True):
                self._write_generation(number, found[origin])

    def _write_ends(self, reports: Stepwise) -> None:
        """Writes the deepest reports of the trials that teach."""
        teach = self._teach(reports.numbers)
        numbers, ends = reports.numbers[teach], reports.starts[1:][teach] - 1
        self.last_step[numbers] = reports.steps[ends]
        self.last_loss[numbers] = self._signs[0] * reports.values[0, ends]

    def _teach(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        known = numbers < self._rows  # there is no room for those beyond, who teach nothing
        known[known] = self.outcome[numbers[known]] != SILENT
        return known

    def _write_result(self, record: TrialRecord) -> None:
        trial = record.trial
        self.outcome[trial.number] = TEACHES[trial.state]
        values = trial.values or ()
        if trial.state is TrialState.COMPLETE and len(values) == self.loss.shape[1]:
            self.loss[trial.number] = np.multiply(values, self._signs)
        self.violation[trial.number] = trial.violation
        if record.curve:
            self.last_step[trial.number] = last = max(record.curve)
            self.last_loss[trial.number] = self._signs[0] * record.curve[last][0]
        self._write_generation(trial.number, generation_of(trial.origin))

    def _write_generation(self, number: int, found: tuple[str, int] | None) -> None:
        if found is not None:
            kind, generation = found
            if kind not in self.generations:
                self.generations[kind] = np.full(self._rows, NONE, dtype=np.int32)
            self.generations[kind][number] = generation

    def _grow_to(self, rows: int) -> None:
        if rows <= self._rows:
            return
        more = max(rows, 2 * self._rows) - self._rows
        self._rows += more
        self.outcome = np.concatenate([self.outcome, np.full(more, SILENT, dtype=np.int8)])
        self.loss = np.concatenate([self.loss, np.full((more, self.loss.shape[1]), np.nan)])
        self.violation = np.concatenate([self.violation, np.zeros(more)])
        self.last_step = np.concatenate([self.last_step, np.full(more, -1, dtype=np.int64)])
        self.last_loss = np.concatenate([self.last_loss, np.full(more, np.nan)])
        for kind, generation in self.generations.items():
            self.generations[kind] = np.concatenate([generation, np.full(more, NONE, dtype=np.int32)])
        for column in self.columns.values():
            column.grow(self._rows)


def _places(
    ids: Sequence[int], used: Sequence[str] | None, interned: Mapping[int, Interned]
) -> list[tuple[str, int, int]]:
    """Names of the parameters that count, where each is among all that are known, and its distribution's id."""
    places = {interned[distribution_id].name: place for place, distribution_id in enumerate(ids)}
    return [(name, place, ids[place]) for name, place in places.items() if used is None or name in used]
