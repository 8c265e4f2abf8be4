"""The cache of one study: its columns for the samplers, its curves for the pruners, its unfinished trials.

It is exact as of `clock.seq`: whoever holds the study's lock compares that with the database's clock and, where
another replica has written, replaces the records that changed. Nothing is rebuilt for an ask.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.changes import Clock, Delta
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, canonical
from tpeak_server.domain.hosts import Host
from tpeak_server.domain.observations import NONE, Floats, Outcome, Reports, Tried, Tries, View, Warm, generation_of
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import UNFINISHED, Interned, Trial, TrialRecord, TrialState
from tpeak_server.domain.warm import WarmSource, WarmTrial, internal
from tpeak_server.service.curves import Curves
from tpeak_server.service.tried import TriedTrials

TEACHES = {
    TrialState.COMPLETE: Outcome.COMPLETE,
    TrialState.PRUNED: Outcome.PRUNED,
    TrialState.LOST: Outcome.LOST,
}
"""The final states that a sampler learns from; a failed trial says nothing about its point."""

SILENT = -1
"""Outcome of a number whose trial does not teach (yet)."""

FIRST_ROWS = 256

KEPT_PROPOSALS = 4096
"""Latest proposals that are kept by number: more than are ever created while a sampler's scene is kept."""


FEW_TRIALS = 1_000
FEW_REPORTS = 100_000
"""Numbers of trials, and reports of all that finished, up to which a view has the reports."""


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


class History:
    """Everything about one study that suggesting and pruning need, kept by change.

    `forgotten` counts the times that something was taken back which a sampler may have seen.
    """

    def __init__(self, delta: Delta) -> None:
        self.study: Study = delta.study
        self.clock: Clock = Clock(next_number=0, handed=0, seq=0)
        self.interned: dict[int, Interned] = {}
        self.ids: dict[tuple[str, str], int] = {}
        self.unfinished: dict[int, TrialRecord] = {}
        self.hosts: Mapping[str, Host] = {}
        self.forgotten = 0
        self.curves = Curves(delta.study)
        self._foreseen: set[int] = set()
        self.counts: Counter[TrialState] = Counter()
        self._states: dict[int, TrialState] = {}
        self._tried = TriedTrials()
        self._proposals: dict[int, Mapping[int, float]] = {}
        self._rows = FIRST_ROWS
        self._outcome: NDArray[np.int8] = np.full(FIRST_ROWS, SILENT, dtype=np.int8)
        self._loss: Floats = np.full((FIRST_ROWS, len(delta.study.directions)), np.nan)
        self._violation: Floats = np.zeros(FIRST_ROWS)
        self._last_step: NDArray[np.int64] = np.full(FIRST_ROWS, -1, dtype=np.int64)
        self._last_loss: Floats = np.full(FIRST_ROWS, np.nan)
        self._columns: dict[str, Column] = {}
        self._generations: dict[str, NDArray[np.int32]] = {}
        self._view: View | None = None
        self._view_space: Mapping[str, Distribution] = {}
        self._warm_trials: Sequence[WarmTrial] = ()
        self._warm: tuple[Mapping[str, Distribution], Warm | None] | None = None
        self.apply(delta)

    def apply(self, delta: Delta) -> None:
        """Takes the changed records over and advances to the delta's clock."""
        self.take_back()
        self.study, self.clock, self.hosts = delta.study, delta.clock, delta.hosts
        self.curves.follow(delta.study)
        if delta.warm is not None:
            self._warm_trials, self._warm, self._view = delta.warm, None, None
        for interned in delta.interned:
            self.intern(interned)
        rows = [(record, tried) for record in delta.records if (tried := self._replace(record)) is not None]
        if rows:
            self._write_rows(rows)

    def foresee(self, record: TrialRecord) -> None:
        """Has the curves show what a batch makes of a trial that was not finished, though it is not committed yet.

        So those who report in one batch are compared with one another, as if each had come by itself.
        """
        number = record.trial.number
        if number in self.unfinished or (number not in self._states and record.curve):
            self._foreseen.add(number)
            self._show(record)

    def take_back(self) -> None:
        """Forgets what was foreseen: the batch was committed, and is applied next, or it was not."""
        for number in self._foreseen:
            before = self.unfinished.get(number)
            if before is None:
                self.curves.drop(number)
            else:
                self._show(before)
        self._foreseen.clear()

    def intern(self, interned: Interned) -> None:
        """Knows a distribution from here on, or that it has become its name's current one."""
        before = self.interned.get(interned.id)
        self.interned[interned.id] = interned
        self.ids[interned.name, canonical(interned.distribution)] = interned.id
        if before != interned:
            self._view = None

    def current(self) -> dict[str, Interned]:
        """The distribution that each known name was last given."""
        latest: dict[str, Interned] = {}
        for interned in self.interned.values():
            if interned.name not in latest or latest[interned.name].seen_seq < interned.seen_seq:
                latest[interned.name] = interned
        return latest

    def waiting(self) -> list[int]:
        """The numbers of waiting trials, in order."""
        return sorted(n for n, record in self.unfinished.items() if record.trial.state is TrialState.WAITING)

    def view(self, space: Mapping[str, Distribution]) -> View:
        """The finished trials under the space's distributions; the same object until something changes.

        Of running trials its tries show what was known of them when it was made.
        """
        if self._view is None or self._view_space != space:
            self._view, self._view_space = self._make_view(space), dict(space)
        return self._view

    def tries(self) -> Tries:
        """Every trial as of now."""
        return self._tried.tries(self.interned)

    def pending(self, space: Mapping[str, Distribution]) -> dict[str, Floats]:
        """The running trials' internal values by name, NaN where a trial does not have the parameter."""
        running = [record for _, record in sorted(self.unfinished.items()) if record.trial.state is TrialState.RUNNING]
        columns = {name: np.full(len(running), np.nan) for name in space}
        for row, record in enumerate(running):
            for name, (distribution_id, value) in record.params(self.interned).items():
                if name in columns:
                    columns[name][row] = self._translated(space[name], distribution_id, value)
        return columns

    def proposed_since(self, first: int, space: Mapping[str, Distribution]) -> dict[str, Floats]:
        """The internal values that were sampled for the numbers from `first` on, finished ones included."""
        proposals = [
            self._proposals[number] for number in range(first, self.clock.next_number) if number in self._proposals
        ]
        columns = {name: np.full(len(proposals), np.nan) for name in space}
        for row, proposed in enumerate(proposals):
            for distribution_id, value in proposed.items():
                name = self.interned[distribution_id].name
                if name in columns:
                    columns[name][row] = self._translated(space[name], distribution_id, value)
        return columns

    @property
    def warm(self) -> int:
        """How many trials of other studies it knows."""
        return len(self._warm_trials)

    def teaching(self) -> int:
        """How many trials teach the sampler."""
        return sum(self.counts[state] for state in TEACHES)

    def feasible_losses(self, without: Container[int | None]) -> Iterator[tuple[float, ...]]:
        """The losses of the complete and feasible trials whose numbers are not in `without`."""
        rows = np.flatnonzero((self._outcome == Outcome.COMPLETE) & (self._violation == 0.0))
        for number, losses in zip(rows.tolist(), self._loss[rows].tolist(), strict=True):
            if number not in without:
                yield tuple(losses)

    def _replace(self, record: TrialRecord) -> Tried | None:
        """Takes the trial as it is now; where it is, if it teaches: its row is to be written."""
        number, state = record.trial.number, record.trial.state
        before = self._states.pop(number, None)
        tried = self._tried.put(record)
        if {before, state} - {None, TrialState.RUNNING}:
            self._view = None  # running trials are no part of it
        if before is not None:
            self.counts[before] -= 1
        self.unfinished.pop(number, None)
        if before in TEACHES:
            self._clear_row(number)
        if record.trial.deleted:
            self._forget(record, before)
            return None
        if before is None and record.trial.sampled_at_seq is not None:
            self._remember_proposal(record.trial)
        self.counts[state] += 1
        self._states[number] = state
        self._show(record)
        if state in UNFINISHED:
            self.unfinished[number] = record
            self.forgotten += before in TEACHES
        return tried if state in TEACHES else None

    def _forget(self, record: TrialRecord, before: TrialState | None) -> None:
        """The rest of what is left of a deleted trial."""
        self._show(record)
        self._proposals.pop(record.trial.number, None)
        self.forgotten += before is not None

    def _show(self, record: TrialRecord) -> None:
        if record.trial.deleted:
            self.curves.drop(record.trial.number)
        else:
            self.curves.put(record, feasible=violation(record) == 0.0)

    def _write_rows(self, rows: Sequence[tuple[TrialRecord, Tried]]) -> None:
        """Writes what trials teach, the values of all that have the same parameters at once."""
        self._grow_to(1 + max(record.trial.number for record, _ in rows))
        signs = self.study.signs
        alike: dict[tuple[tuple[int, ...], tuple[str, ...] | None], list[tuple[int, Sequence[float]]]] = {}
        for record, tried in rows:
            self._write_result(record, signs)
            alike.setdefault((tried.ids, tried.used), []).append((record.trial.number, tried.values))
        for (ids, used), points in alike.items():
            numbers = [number for number, _ in points]
            values = np.array([values for _, values in points])
            for place, name in self._places(ids, used):
                column = self._columns.get(name)
                if column is None:
                    column = self._columns[name] = Column(self._rows)
                column.values[numbers], column.ids[numbers] = values[:, place], ids[place]

    def _places(self, ids: Sequence[int], used: Sequence[str] | None) -> Iterator[tuple[int, str]]:
        """Where the parameters that count are among all that are known, and their names, as a record has them."""
        places = {self.interned[distribution_id].name: place for place, distribution_id in enumerate(ids)}
        for name, place in places.items():
            if used is None or name in used:
                yield place, name

    def _write_result(self, record: TrialRecord, signs: Sequence[float]) -> None:
        trial = record.trial
        self._outcome[trial.number] = TEACHES[trial.state]
        values = trial.values or ()
        if trial.state is TrialState.COMPLETE and len(values) == self._loss.shape[1]:
            self._loss[trial.number] = np.multiply(values, signs)
        self._violation[trial.number] = violation(record)
        if record.curve:
            self._last_step[trial.number] = last = max(record.curve)
            self._last_loss[trial.number] = signs[0] * record.curve[last][0]
        self._write_generation(trial.number, trial.origin)

    def _write_generation(self, number: int, origin: str) -> None:
        found = generation_of(origin)
        if found is not None:
            kind, generation = found
            if kind not in self._generations:
                self._generations[kind] = np.full(self._rows, NONE, dtype=np.int32)
            self._generations[kind][number] = generation

    def _remember_proposal(self, trial: Trial) -> None:
        self._proposals[trial.number] = trial.proposed
        if len(self._proposals) > KEPT_PROPOSALS:
            for number in list(self._proposals)[: KEPT_PROPOSALS // 2]:
                del self._proposals[number]

    def _clear_row(self, number: int) -> None:
        """Forgets a trial's row: a late result takes the place of a lost one's, nothing that of a deleted one's."""
        self._outcome[number], self._violation[number] = SILENT, 0.0
        self._loss[number] = self._last_loss[number] = math.nan
        self._last_step[number] = -1
        for generation in self._generations.values():
            generation[number] = NONE
        for column in self._columns.values():
            column.values[number], column.ids[number] = math.nan, -1

    def _grow_to(self, rows: int) -> None:
        if rows <= self._rows:
            return
        more = max(rows, 2 * self._rows) - self._rows
        self._rows += more
        self._outcome = np.concatenate([self._outcome, np.full(more, SILENT, dtype=np.int8)])
        self._loss = np.concatenate([self._loss, np.full((more, self._loss.shape[1]), np.nan)])
        self._violation = np.concatenate([self._violation, np.zeros(more)])
        self._last_step = np.concatenate([self._last_step, np.full(more, -1, dtype=np.int64)])
        self._last_loss = np.concatenate([self._last_loss, np.full(more, np.nan)])
        for kind, generation in self._generations.items():
            self._generations[kind] = np.concatenate([generation, np.full(more, NONE, dtype=np.int32)])
        for column in self._columns.values():
            column.grow(self._rows)

    def _make_view(self, space: Mapping[str, Distribution]) -> View:
        rows = np.flatnonzero(self._outcome != SILENT)
        return View(
            seq=self.clock.seq,
            numbers=rows,
            outcome=self._outcome[rows],
            loss=self._loss[rows],
            last_step=self._last_step[rows],
            last_loss=self._last_loss[rows],
            violation=self._violation[rows],
            columns={name: self._column(name, distribution, rows) for name, distribution in space.items()},
            tried=self._tried.tries_in(space, self.interned),
            signs=self.study.signs,
            generations={kind: generation[rows] for kind, generation in self._generations.items()},
            warm=self._warm_under(space),
            reports=self._reports(rows),
        )

    def _reports(self, rows: NDArray[np.int64]) -> Reports | None:
        """What the trials reported where that tells more than how they ended, while they are few."""
        few = len(rows) and rows[-1] < FEW_TRIALS and len(self.study.directions) == 1
        pruned = few and bool((self._outcome[rows] == Outcome.PRUNED).any())
        return self.curves.reports(rows.tolist(), FEW_REPORTS) if pruned else None

    def _warm_under(self, space: Mapping[str, Distribution]) -> Warm | None:
        """What the study began with, under the space's distributions: the same for every view of the space."""
        if self._warm is None or self._warm[0] != space:
            self._warm = (dict(space), warm_view(self.study.warm_start, self._warm_trials, space))
        return self._warm[1]

    def _column(self, name: str, distribution: Distribution, rows: NDArray[np.int64]) -> Floats:
        column = self._columns.get(name)
        if column is None:
            return np.full(len(rows), np.nan)
        values, ids = column.values[rows], column.ids[rows]
        # Ids are small: to count them takes a fifth of the time that np.unique() does.
        for distribution_id in np.flatnonzero(np.bincount(ids + 1)[1:]).tolist():
            if self.interned[distribution_id].distribution != distribution:
                for row in np.flatnonzero(ids == distribution_id):
                    values[row] = self._translated(distribution, distribution_id, float(values[row]))
        return values

    def _translated(self, wanted: Distribution, distribution_id: int, value: float) -> float:
        """The internal value under another distribution of the same name, NaN where it has none there."""
        return translated(wanted, self.interned[distribution_id].distribution, value)


def warm_view(
    sources: Sequence[WarmSource], trials: Sequence[WarmTrial], space: Mapping[str, Distribution]
) -> Warm | None:
    """The trials as samplers see them under the space's distributions, None where there are none."""
    if not trials:
        return None
    columns = {
        name: np.array([internal(distribution, t.params[name]) if name in t.params else np.nan for t in trials])
        for name, distribution in space.items()
    }
    return Warm(
        source=np.array([trial.source for trial in trials]),
        rank=np.array([trial.rank for trial in trials]),
        seen=np.array([source.seen for source in sources]),
        weight=np.array([source.weight for source in sources], dtype=np.float64),
        columns=columns,
    )


def translated(wanted: Distribution, own: Distribution, value: float) -> float:
    """A distribution's internal value as one of another distribution of the same name, NaN where it has none there."""
    if own is wanted or own == wanted:
        return value
    if isinstance(own, CategoricalDistribution) != isinstance(wanted, CategoricalDistribution):
        return math.nan
    if not isinstance(wanted, CategoricalDistribution):
        return value
    choice = own.to_external(value)
    return wanted.to_internal(choice) if wanted.has(choice) else math.nan


def violation(record: TrialRecord) -> float:
    """How far a trial is from feasible: the sum of its positive constraints, infinite for a lost one."""
    if record.trial.state is TrialState.LOST:
        return math.inf
    return sum(max(0.0, value) for value in record.trial.constraints or () if not math.isnan(value))
