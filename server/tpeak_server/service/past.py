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
from tpeak_server.domain.observations import Floats
from tpeak_server.domain.trial import Suggested, Trial, TrialRecord, TrialState
from tpeak_server.service.history import TEACHES, History
from tpeak_server.storage.history import record_of
from tpeak_server.storage.past import Past, Row
from tpeak_server.storage.rows import lease_from_row, report_from_row, suggested_from_row, trial_from_row

STATES_AFTER = {
    "issued": TrialState.RUNNING,
    "failed": TrialState.FAILED,
    "retried": TrialState.WAITING,
}
"""The state after events that do not name it."""

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
    """The study at a seq. `records` are the trials as of then that taught or ran, `gone` those of them that have been
    deleted since; `first` was the next number.

    `changed` and `doubtful` as in a replay; `notes` are changes since that take nothing away from it.
    """

    history: History
    first: int
    records: Mapping[int, TrialRecord]
    gone: frozenset[int]
    current: TrialRecord
    course: Course | None
    late: Sequence[Suggested]
    changed: Sequence[str]
    doubtful: Sequence[str]
    notes: Sequence[str]

    def pending(self, space: Mapping[str, Distribution]) -> dict[str, Floats]:
        """What was pending to the proposal: what ran then, and the numbers sampled from there up to its own."""
        running, since = self.history.pending(space), self.history.proposed_since(self.first, space)
        return {name: np.append(running[name], since[name]) for name in space}


@dataclass(slots=True, kw_only=True)
class _Rows:
    """The rows by trial."""

    trials: Mapping[int, Trial]
    leases: Mapping[int, list[Any]]
    suggested: Mapping[int, list[Any]]
    reports: Mapping[int, list[Any]]

    def record(self, trial: Trial, seq: int) -> TrialRecord:
        """The trial's record with what had been suggested by then."""
        return record_of(
            trial,
            {lease.epoch: lease for lease in self.leases.get(trial.number, ())},
            {
                one.name: (one.distribution_id, one.value)
                for one in self.suggested.get(trial.number, ())
                if one.seq <= seq
            },
            self.reports.get(trial.number, ()),
            {},
        )


@dataclass(slots=True, kw_only=True)
class _Doubts:
    """Numbers of trials by what is doubtful about them."""

    deleted: list[int] = field(default_factory=list)
    deleted_before: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    contradictory: list[int] = field(default_factory=list)


def moment(past: Past) -> Moment:
    """The study as of `past.seq`, for the proposal of `past.number`."""
    courses = _courses(past.events, past.seq)
    rows = _rows(past)
    for number, trial in rows.trials.items():
        if trial.deleted and number in courses and courses[number].deleted is None:
            courses[number].deleted = courses[number].created  # it was imported as such
    first = next((number for number in sorted(courses) if courses[number].created > past.seq), past.number)
    own, doubts = courses.get(past.number), _Doubts()
    records = {
        number: _record_then(trial, courses[number], rows, past.seq, doubts)
        for number, trial in rows.trials.items()
        if number < first and number in courses and _mattered(courses[number], past.seq)
    }
    since = _sampled_since(rows, courses, first, past.number, doubts)
    _compare(rows.trials, courses, past.number, doubts)
    delta = Delta(
        clock=Clock(next_number=past.number, handed=0, seq=past.seq),
        study=past.study,
        interned=list(past.interned.values()),
        records=[*records.values(), *(TrialRecord(trial=trial) for trial in since)],
    )
    changed, doubtful = _said(past, own, doubts)
    return Moment(
        history=History(delta),
        first=first,
        records=records,
        gone=frozenset(doubts.deleted),
        current=rows.record(rows.trials[past.number], past.clock.seq),
        course=own,
        late=rows.suggested.get(past.number, []),
        changed=changed,
        doubtful=doubtful,
        notes=[f"deleted since: {_numbers(doubts.deleted)}"] if doubts.deleted else [],
    )


def _courses(events: Iterable[Row], seq: int) -> dict[int, Course]:
    courses: dict[int, Course] = {}
    for at, kind, number, state, epoch in events:
        if number is None:
            continue
        course = courses.get(number)
        if course is None:
            course = courses[number] = Course(created=at, imported=kind == "imported")
        after = STATES_AFTER.get(kind) or (TrialState(state) if state is not None else course.last)
        if at <= seq:
            course.state = after
        elif after is not course.last:
            course.changed = True
        course.last = after
        if kind == "issued" and at <= seq:
            course.epoch = epoch
        elif kind == "issued" and course.next_epoch is None:
            course.next_epoch = epoch
        elif kind == "deleted":
            course.deleted = at
    return courses


def _rows(past: Past) -> _Rows:
    return _Rows(
        trials={trial.number: trial for trial in map(trial_from_row, past.trials)},
        leases=_by_number(map(lease_from_row, past.leases)),
        suggested=_by_number(map(suggested_from_row, past.suggestions)),
        reports=_by_number(map(report_from_row, past.reports)),
    )


def _by_number(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.number].append(row)
    return dict(found)


def _mattered(course: Course, seq: int) -> bool:
    """Whether the trial taught or ran at the seq."""
    gone = course.deleted is not None and course.deleted <= seq
    return not gone and (course.state in TEACHES or course.state is TrialState.RUNNING)


def _record_then(trial: Trial, course: Course, rows: _Rows, seq: int, doubts: _Doubts) -> TrialRecord:
    """The trial's record as of the seq, out of its rows as of now."""
    assert course.state is not None, "a trial that taught or ran"
    if course.deleted is not None:
        doubts.deleted.append(trial.number)
    if course.changed or course.deleted is not None:
        has_result = course.state in {TrialState.COMPLETE, TrialState.PRUNED}
        trial = replace(
            trial,
            state=course.state,
            deleted=False,
            epoch=_epoch_then(trial, course),
            told_epoch=trial.told_epoch if has_result else None,
        )
    record = rows.record(trial, seq)
    lease = record.lease
    if lease is None or lease.used is None or course.state in {TrialState.COMPLETE, TrialState.PRUNED}:
        return record
    # A worker says which names it used with a report or with the result; only the last word is kept.
    if not any(report.epoch == lease.epoch for report in rows.reports.get(trial.number, ())):
        return record if course.epoch is None else replace(record, lease=replace(lease, used=None))
    if course.changed:
        doubts.used.append(trial.number)
    return record


def _epoch_then(trial: Trial, course: Course) -> int:
    if course.epoch is not None:
        return course.epoch
    return trial.epoch if course.next_epoch is None else course.next_epoch - 1


def _sampled_since(rows: _Rows, courses: Mapping[int, Course], first: int, number: int, doubts: _Doubts) -> list[Trial]:
    """The trials sampled from `first` on below the number; waiting, so that nothing but their proposals counts."""
    since = []
    end = courses[number].created if number in courses else 0
    for one in range(first, number):
        trial = rows.trials.get(one)
        if trial is None or trial.sampled_at_seq is None:
            continue
        deleted = courses[one].deleted if one in courses else None
        if deleted is not None:
            (doubts.deleted_before if deleted < end else doubts.deleted).append(one)
        since.append(replace(trial, state=TrialState.WAITING, deleted=False))
    return since


def _compare(trials: Mapping[int, Trial], courses: Mapping[int, Course], number: int, doubts: _Doubts) -> None:
    """Finds the trials whose events do not lead to what their rows say."""
    for one, trial in trials.items():
        course = courses.get(one)
        known = course is not None and (course.last is trial.state or (course.deleted is not None and trial.deleted))
        if one < number and not known:
            doubts.contradictory.append(one)


def _said(past: Past, own: Course | None, doubts: _Doubts) -> tuple[list[str], list[str]]:
    """What has changed for certain, and what may have, in words."""
    changed, doubtful = [], []
    if own is None:
        changed.append("no event tells when it came")
    if doubts.contradictory:
        changed.append(f"the events do not tell how {_numbers(doubts.contradictory)} came to be as now")
    settings = [seq for seq, kind, *_ in past.events if kind == "changed" and seq > past.seq]
    if own is not None and any(seq > own.created for seq in settings):
        changed.append(f"the sampler's settings were changed at seq {settings[-1]}")
    elif settings:
        doubtful.append(f"the sampler's settings were changed at seq {settings[-1]}, while it was drawn")
    if doubts.used:
        doubtful.append(f"which parameters were used by then is not kept of {_numbers(doubts.used)}")
    if doubts.deleted_before:
        doubtful.append(f"deleted while it was drawn: {_numbers(doubts.deleted_before)}")
    return changed, doubtful


def _numbers(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{'trial' if len(numbers) == 1 else 'trials'} {named}{more}"
