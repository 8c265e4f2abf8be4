"""A study as a sampler saw it at an earlier seq, rebuilt from its rows as they are now and its events.

Rows change: a lost trial is tried again, a running one finishes, any is deleted. The events say what state each was in;
what they do not say has not changed since, or is named as a doubt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tpeak_server.domain.changes import Clock, Delta
from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.observations import Floats, View
from tpeak_server.domain.trial import FINAL, Suggested, Trial, TrialRecord, TrialState
from tpeak_server.service.history import FEW_TRIALS, History
from tpeak_server.service.results import TEACHES
from tpeak_server.storage.history import record_of
from tpeak_server.storage.past import Part, Past, Row
from tpeak_server.storage.rows import lease_from_row, report_from_row, suggested_from_row, trial_from_row

STATES_AFTER = {
    "issued": TrialState.RUNNING,
    "failed": TrialState.FAILED,
    "retried": TrialState.WAITING,
}
"""The state after events that do not name it."""

USED_IS_CERTAIN = FINAL | {TrialState.WAITING}
"""States in which the names that a trial used are known, or no matter."""

SHOWN = 5
"""How many numbers a sentence names."""


@dataclass(slots=True, kw_only=True)
class Course:
    """What became of a trial: `state` and `epoch` as of the seq asked for, `last` as of the latest event."""

    created: int
    state: TrialState | None = None
    last: TrialState | None = None
    epoch: int | None = None
    next_epoch: int | None = None
    changed: bool = False
    deleted: int | None = None
    imported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The study at a seq, as the trial's sampler saw it: `first` was the next number, `current` is the trial as it is
    now, `late` what was suggested to it after the ask.

    `gone` are trials seen then that have been deleted since; `changed` and `doubtful` as in a replay.
    """

    history: History
    first: int
    current: TrialRecord
    imported: bool
    late: Sequence[Suggested]
    gone: Sequence[int]
    changed: Sequence[str]
    doubtful: Sequence[str]

    def view(self, space: Mapping[str, Distribution], *, walks: bool) -> View:
        """The finished trials then; with every other one where the sampler walks, or the space is discrete."""
        view = self.history.view(space)
        if not walks and view.tried is None:
            return view
        tries = self.history.tries()
        before = {number: tried for number, tried in tries.trials.items() if number < self.first}
        return replace(view, tried=replace(tries, trials=before))

    def pending(self, space: Mapping[str, Distribution]) -> dict[str, Floats]:
        """What was pending to the proposal: what ran then, and the numbers sampled from there up to its own."""
        running, since = self.history.pending(space), self.history.proposed_since(self.first, space)
        return {name: np.append(running[name], since[name]) for name in space}


@dataclass(slots=True, kw_only=True)
class _Rows:
    """The rows of some trials, by number."""

    trials: Sequence[Trial]
    leases: Mapping[int, list[Any]]
    suggested: Mapping[int, list[Any]]
    reports: Mapping[int, list[Any]]
    reported_since: set[int]

    def record(self, trial: Trial, seq: int) -> TrialRecord:
        """The trial's record with what had been suggested by then."""
        leases, suggested = self.leases.get(trial.number, ()), self.suggested.get(trial.number, ())
        return record_of(
            trial,
            {lease.epoch: lease for lease in leases},
            {one.name: (one.distribution_id, one.value) for one in suggested if one.seq <= seq},
            self.reports.get(trial.number, ()),
            {},
        )


@dataclass(slots=True, kw_only=True)
class _Found:
    """Numbers of trials, and seqs of changed settings, by what is to be said about them."""

    gone: list[int] = field(default_factory=list)
    deleted_before: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    contradictory: list[int] = field(default_factory=list)
    settings: list[int] = field(default_factory=list)


class Rebuilding:
    """Puts a moment together: first takes all events, then all trials, in order."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._found = _Found()
        self._courses: dict[int, Course] = {}
        self._first: int | None = None
        self._last: tuple[TrialRecord, Sequence[Suggested]] | None = None
        clock = Clock(next_number=past.number, handed=0, seq=past.seq)
        interned = list(past.interned.values())
        self._nothing = Delta(clock=clock, study=past.study, interned=interned, records=[], warm=past.warm)
        self._history = History(self._nothing)

    def take_events(self, events: Iterable[Row]) -> None:
        """Follows the trials' lives."""
        for seq, kind, number, state, epoch in events:
            if number is not None:
                self._follow(seq, kind, number, state, epoch)
            elif kind == "changed" and seq > self._past.seq:
                self._found.settings.append(seq)

    def few(self) -> bool:
        """Whether finished trials were so few that the sampler could see their reports; known after all events."""
        return max((n for n, course in self._courses.items() if self._had_ended(course)), default=0) < FEW_TRIALS

    def _had_ended(self, course: Course) -> bool:
        deleted = course.deleted is not None and course.deleted <= self._past.seq
        return course.state in TEACHES and not deleted

    def take(self, part: Part) -> None:
        """Remembers what the trials were then."""
        rows = _rows(part)
        records = []
        for trial in rows.trials:
            course = self._courses.get(trial.number)
            if course is not None and trial.deleted and course.deleted is None:
                course.deleted = course.created  # it was imported as such
            if trial.number == self._past.number:
                now = rows.record(trial, self._past.clock.seq)
                self._last = (now, rows.suggested.get(trial.number, []))
            elif course is None or not (course.last is trial.state or course.deleted is not None):
                self._found.contradictory.append(trial.number)
            else:
                records += self._then(trial, course, rows)
        self._history.apply(replace(self._nothing, interned=[], records=records))

    def moment(self) -> Moment:
        """The moment, after all has been taken."""
        assert self._last is not None, "the trial itself is among the parts"
        own = self._courses.get(self._past.number)
        changed, doubtful = _said(self._past, self._found)
        return Moment(
            history=self._history,
            first=self._next_number(),
            current=self._last[0],
            imported=own is not None and own.imported,
            late=self._last[1],
            gone=self._found.gone,
            changed=changed,
            doubtful=doubtful,
        )

    def _follow(self, seq: int, kind: str, number: int, state: str | None, epoch: int | None) -> None:
        course = self._courses.get(number)
        if course is None:
            course = self._courses[number] = Course(created=seq, imported=kind == "imported")
        after = STATES_AFTER.get(kind) or (TrialState(state) if state is not None else course.last)
        if seq <= self._past.seq:
            course.state = after
        elif after is not course.last:
            course.changed = True
        course.last = after
        if kind == "issued" and seq <= self._past.seq:
            course.epoch = epoch
        elif kind == "issued" and course.next_epoch is None:
            course.next_epoch = epoch
        elif kind == "deleted":
            course.deleted = seq

    def _next_number(self) -> int:
        """The number that came next after the seq."""
        if self._first is None:
            after = [number for number, course in self._courses.items() if course.created > self._past.seq]
            self._first = min([*after, self._past.number])
        return self._first

    def _then(self, trial: Trial, course: Course, rows: _Rows) -> list[TrialRecord]:
        """The trial's record as of then, if it was there, or was sampled from there on."""
        seq, deleted = self._past.seq, course.deleted
        if course.created > seq:
            return self._since(trial, course)
        if course.state is None or (deleted is not None and deleted <= seq):
            return []
        if deleted is not None:
            self._found.gone.append(trial.number)
        record = rows.record(_trial_then(trial, course), seq)
        lease = record.lease
        if lease is None or lease.used is None or course.state in USED_IS_CERTAIN:
            return [record]
        # A worker says which names it used with a report or with the result; only the last word is kept.
        if not any(report.epoch == lease.epoch for report in rows.reports.get(trial.number, ())):
            return [record if course.epoch is None else replace(record, lease=replace(lease, used=None))]
        if course.changed or trial.number in rows.reported_since:
            self._found.used.append(trial.number)
        return [record]

    def _since(self, trial: Trial, course: Course) -> list[TrialRecord]:
        """A trial that came later, if it was sampled: waiting, so that nothing but its proposal counts."""
        if trial.sampled_at_seq is None:
            return []
        if course.deleted is not None:
            drawn = self._past.created or 0
            (self._found.deleted_before if course.deleted < drawn else self._found.gone).append(trial.number)
        return [TrialRecord(trial=replace(trial, state=TrialState.WAITING, deleted=False))]


def _trial_then(trial: Trial, course: Course) -> Trial:
    """The trial's row as of then."""
    assert course.state is not None, "there was an event"
    if not course.changed and course.deleted is None:
        return trial
    epoch = course.epoch
    if epoch is None:
        epoch = trial.epoch if course.next_epoch is None else course.next_epoch - 1
    has_result = course.state in {TrialState.COMPLETE, TrialState.PRUNED}
    told_epoch = trial.told_epoch if has_result else None
    return replace(trial, state=course.state, deleted=False, epoch=epoch, told_epoch=told_epoch)


def _rows(part: Part) -> _Rows:
    return _Rows(
        trials=[trial_from_row(row) for row in part.trials],
        leases=_by_number(map(lease_from_row, part.leases)),
        suggested=_by_number(map(suggested_from_row, part.suggestions)),
        reports=_by_number(map(report_from_row, part.reports)),
        reported_since={row[0] for row in part.reported_since},
    )


def _by_number(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.number].append(row)
    return found


def _said(past: Past, found: _Found) -> tuple[list[str], list[str]]:
    """What has changed for certain, and what may have, in words."""
    changed, doubtful = [], []
    if past.created is None:
        changed.append("no event tells when it came")
    if found.contradictory:
        changed.append(f"the events do not tell how {numbered(found.contradictory)} came to be as now")
    if found.settings and found.settings[-1] > (past.created or 0):
        changed.append(f"the sampler's settings were changed at seq {found.settings[-1]}")
    elif found.settings:
        doubtful.append(f"the sampler's settings were changed at seq {found.settings[-1]}, while it was drawn")
    if found.used:
        doubtful.append(f"which parameters were used by then is not kept of {numbered(found.used)}")
    if found.deleted_before:
        doubtful.append(f"deleted while it was drawn: {numbered(found.deleted_before)}")
    return changed, doubtful


def numbered(numbers: Sequence[int]) -> str:
    """The trials with these numbers, or the first SHOWN of them, in words."""
    named = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{'trial' if len(numbers) == 1 else 'trials'} {named}{more}"
