"""The cache of one study: its columns for the samplers, its curves for the pruners, its unfinished trials.

It is exact as of `clock.seq`: whoever holds the study's lock compares that with the database's clock and, where
another replica has written, replaces the records that changed. Nothing is rebuilt for an ask.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.changes import Clock, Delta
from tpeak_server.domain.distributions import Distribution, canonical
from tpeak_server.domain.finished import Alike, Finished
from tpeak_server.domain.hosts import Host
from tpeak_server.domain.observations import Floats, Outcome, Reports, Tried, Tries, View, Warm
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import UNFINISHED, Interned, Trial, TrialRecord, TrialState
from tpeak_server.domain.warm import WarmTrial
from tpeak_server.service.curves import Curves
from tpeak_server.service.results import TEACHES, Results
from tpeak_server.service.translating import translated, warm_view
from tpeak_server.service.tried import TriedTrials, discrete

KEPT_PROPOSALS = 4096
"""Latest proposals that are kept by number: more than are ever created while a sampler's scene is kept."""

BYTES_A_TRIAL, BYTES_A_VALUE, BYTES_A_REPORT = 440, 25, 90
"""By what a process grew that read studies of 10,000 and 100,000 trials: docs/benchmarks.md."""

FEW_TRIALS = 1_000
FEW_REPORTS = 100_000
"""Numbers of trials, and reports of all that finished, up to which a view has the reports."""


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
        self._waiting: list[int] = []
        self._tried = TriedTrials()
        self._proposals: dict[int, Mapping[int, float]] = {}
        self._results = Results(delta.study.signs)
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
            self._results.write(rows, self.interned)

    def fill(self, finished: Finished) -> None:
        """Takes over finished trials of which it has heard nothing yet, all at once; its clock knows their numbers."""
        self._view = None
        self._results.fill(finished, self.interned)
        self.curves.fill(finished)
        for alike in finished.groups:
            self._tried.fill(alike)
            self.counts[alike.state] += len(alike.numbers)
            self._states.update(dict.fromkeys(alike.numbers.tolist(), alike.state))
            self._remember_latest(alike)

    def spread(self) -> None:
        """Does now what the first ask would wait for, where samplers will look at every trial that was filled in."""
        if discrete(one.distribution for one in self.interned.values()):
            self._tried.spread()

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

    def waiting(self) -> Sequence[int]:
        """The numbers of waiting trials, in order."""
        return self._waiting

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
    def size(self) -> int:
        """About how many bytes it takes."""
        a_trial = BYTES_A_TRIAL + BYTES_A_VALUE * len(self.ids)
        return self.clock.next_number * a_trial + self.curves.length * BYTES_A_REPORT

    @property
    def warm(self) -> int:
        """How many trials of other studies it knows."""
        return len(self._warm_trials)

    def teaching(self) -> int:
        """How many trials teach the sampler."""
        return sum(self.counts[state] for state in TEACHES)

    def feasible_losses(self, without: Container[int | None]) -> Iterator[tuple[float, ...]]:
        """The losses of the complete and feasible trials whose numbers are not in `without`."""
        return self._results.feasible_losses(without)

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
        if before is TrialState.WAITING:
            del self._waiting[bisect_left(self._waiting, number)]
        if before in TEACHES:
            self._results.clear(number)
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
            if state is TrialState.WAITING:
                insort(self._waiting, number)
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
            self.curves.put(record, feasible=record.trial.violation == 0.0)

    def _remember_latest(self, alike: Alike) -> None:
        latest = alike.sampled & (alike.numbers >= self.clock.next_number - KEPT_PROPOSALS)
        for number, values in zip(alike.numbers[latest].tolist(), alike.proposed[latest].tolist(), strict=True):
            self._proposals[number] = dict(zip(alike.ids, values, strict=True))

    def _remember_proposal(self, trial: Trial) -> None:
        self._proposals[trial.number] = trial.proposed
        if len(self._proposals) > KEPT_PROPOSALS:
            for number in sorted(self._proposals)[: KEPT_PROPOSALS // 2]:
                del self._proposals[number]

    def _make_view(self, space: Mapping[str, Distribution]) -> View:
        results = self._results
        rows = results.rows()
        return View(
            seq=self.clock.seq,
            numbers=rows,
            outcome=results.outcome[rows],
            loss=results.loss[rows],
            last_step=results.last_step[rows],
            last_loss=results.last_loss[rows],
            violation=results.violation[rows],
            columns={name: self._column(name, distribution, rows) for name, distribution in space.items()},
            tried=self._tried.tries_in(space, self.interned),
            signs=self.study.signs,
            generations={kind: generation[rows] for kind, generation in results.generations.items()},
            warm=self._warm_under(space),
            reports=self._reports(rows),
        )

    def _reports(self, rows: NDArray[np.int64]) -> Reports | None:
        """What the trials reported where that tells more than how they ended, while they are few."""
        few = len(rows) and rows[-1] < FEW_TRIALS and len(self.study.directions) == 1
        pruned = few and bool((self._results.outcome[rows] == Outcome.PRUNED).any())
        return self.curves.reports(rows.tolist(), FEW_REPORTS) if pruned else None

    def _warm_under(self, space: Mapping[str, Distribution]) -> Warm | None:
        """What the study began with, under the space's distributions: the same for every view of the space."""
        if self._warm is None or self._warm[0] != space:
            self._warm = (dict(space), warm_view(self.study.warm_start, self._warm_trials, space))
        return self._warm[1]

    def _column(self, name: str, distribution: Distribution, rows: NDArray[np.int64]) -> Floats:
        column = self._results.columns.get(name)
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
