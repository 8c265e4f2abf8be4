"""One study under its lock: what the commands of a batch see, and what they leave to be written.

A command checks everything before it changes anything here, so that one which is wrong leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import merge
from typing import Any

from tpeak_server.domain.changes import Changes, Clock, Delta, Event, LateResult, Locked, Request
from tpeak_server.domain.distributions import Distribution, canonical
from tpeak_server.domain.errors import Invalid, LeaseLost, StudyArchived, TrialNotFound
from tpeak_server.domain.hosts import Host
from tpeak_server.domain.observations import Decision
from tpeak_server.domain.study import Study, StudyState
from tpeak_server.domain.trial import (
    UNFINISHED,
    Interned,
    Lease,
    LeaseEnd,
    Report,
    Suggested,
    Trial,
    TrialRecord,
    TrialState,
    up_to_checkpoint,
)
from tpeak_server.service.curves import Curves
from tpeak_server.service.history import History

MAX_DISTRIBUTIONS = 32_767
"""Distinct distributions of a study: ids are 16-bit, and a range that differs in every trial teaches nothing."""


class Ledger:
    """The locked rows, overlaid with what the batch has changed so far."""

    def __init__(self, locked: Locked, history: History) -> None:
        self.study: Study = history.study
        self.now: datetime = locked.now
        self.history = history
        self.asks: dict[str, list[Lease]] = dict(locked.asks)
        self.reports: dict[tuple[int, int, int], Report] = dict(locked.reports)
        self.ended_curves = locked.ended_curves
        self.requests: dict[str, tuple[bytes, Any]] = dict(locked.requests)
        self.durations_s = locked.durations_s
        self.hosts: dict[str, Host] = dict(history.hosts)
        self.changes = Changes()
        self.next_number = locked.clock.next_number
        self.handed = locked.clock.handed
        self.progress = locked.clock.progress
        self.interned: dict[int, Interned] = dict(history.interned)
        self.stale = False
        self._seq = locked.clock.seq
        self._ids: dict[tuple[str, str], int] = dict(history.ids)
        self._trials = locked.trials
        self._whole = locked.whole
        self._suggested = locked.suggested
        self._locked_leases = locked.leases
        self._leases: dict[tuple[int, int], Lease] = dict(locked.leases)
        self._records: dict[int, TrialRecord] = {}
        self._shown: dict[int, TrialRecord] = {}
        self._current: dict[str, Interned] | None = None

    @property
    def seq(self) -> int:
        """The study's seq as of the last change of this batch."""
        return self._seq

    def writable(self) -> None:
        """Raises StudyArchived unless the study can be written to."""
        if self.study.state is StudyState.ARCHIVED:
            raise StudyArchived("the study is archived: it can be read by its id, and nothing can be added to it")

    def record(self, number: int) -> TrialRecord:
        """The trial as of now, deleted or not. Raises TrialNotFound.

        Of a trial that had finished before this batch only its row is at hand, without its curve, unless the batch
        asked for the whole; its suggestions are known where an ask is repeated.
        """
        record = self._records.get(number) or self.history.unfinished.get(number) or self._whole.get(number)
        if record is not None:
            return record
        trial = self._trials.get(number)
        if trial is None:
            raise self._not_found(number)
        return TrialRecord(
            trial=trial,
            lease=self._leases.get((number, trial.told_epoch or trial.epoch)),
            suggested=self._suggested.get(number, {}),
        )

    def curves(self, without: int) -> Curves:
        """The curves as of now, with all that this batch has changed but for the trial `without`."""
        for number, record in self._records.items():
            if number != without and self._shown.get(number) is not record:
                self._shown[number] = record
                self.history.foresee(record)
        return self.history.curves

    def visible(self, number: int) -> TrialRecord:
        """The trial as of now. Raises TrialNotFound, for a deleted one too."""
        record = self.record(number)
        if record.trial.deleted:
            raise self._not_found(number)
        return record

    def lease(self, number: int, token: str) -> Lease:
        """The trial's lease with this token, live or ended. Raises LeaseLost where the trial never had it."""
        current = self.record(number).lease
        if current is not None and current.token == token:
            return current
        for (of_trial, _), lease in self._leases.items():
            if of_trial == number and lease.token == token:
                return lease
        raise LeaseLost(f"this is not a lease of trial {number}", where="/lease")

    def locked_lease(self, number: int, epoch: int) -> Lease | None:
        """The lease as its row was under the lock, with its age and the time it had left."""
        return self._locked_leases.get((number, epoch))

    def live_lease(self, number: int, token: str) -> Lease:
        """The lease if it is the trial's current one. Raises LeaseLost, saying how it ended."""
        lease = self.lease(number, token)
        if not lease.live:
            raise LeaseLost(
                f"the lease of trial {number} has ended ({lease.ended}); stop working on it", where="/lease"
            )
        return lease

    def event(self, kind: str, number: int | None = None, **payload: Any) -> None:
        """Notes a change that stands in no row of its own, under the next seq."""
        self.changes.events.append(Event(seq=self.take_seq(), kind=kind, number=number, payload=payload or None))

    def take_seq(self) -> int:
        """The next seq."""
        self._seq += 1
        return self._seq

    def take_number(self) -> int:
        """The next trial number."""
        self.next_number += 1
        return self.next_number - 1

    def current(self) -> Mapping[str, Interned]:
        """The distribution that each known name was last given."""
        if self._current is None:
            self._current = self.history.current()
        return self._current

    def need_room(self, distributions: Iterable[tuple[str, Distribution]], where: str) -> None:
        """Raises Invalid where interning all of these would go past MAX_DISTRIBUTIONS."""
        named = list(distributions)
        if len(self.interned) + len(named) <= MAX_DISTRIBUTIONS:
            return
        new = {(name, canonical(distribution)) for name, distribution in named} - self._ids.keys()
        if new and len(self.interned) + len(new) > MAX_DISTRIBUTIONS:
            raise Invalid(
                f"the study would have more than {MAX_DISTRIBUTIONS} different distributions; a range that changes "
                "with every trial cannot be learned from: keep it the same and scale inside of the objective",
                where=where,
            )

    def intern(self, name: str, distribution: Distribution) -> int:
        """The id of the distribution, which becomes its name's current one; there must be room for it."""
        current = self.current().get(name)
        if current is not None and current.distribution is distribution:
            return current.id  # as every ask for a known space, which need not be spelled out to be compared
        key = (name, canonical(distribution))
        known = self._ids.get(key)
        if known is not None and current == self.interned[known]:
            return known
        return self._remember(key, name, distribution, known)

    def create(self, trial: Trial) -> None:
        """Adds a new trial, waiting or finished."""
        self.changes.created[trial.number] = trial
        self._records[trial.number] = TrialRecord(trial=trial)

    def issue(self, trial: Trial, lease: Lease) -> TrialRecord:
        """Hands the trial out under the lease."""
        before = self.record(trial.number)
        record = replace(
            before,
            trial=trial,
            lease=lease,
            curve=before.inherited,
            costs=before.inherited_costs,
            prune_reason=None,
        )
        self._put_trial(trial)
        self._records[trial.number] = record
        self._leases[trial.number, lease.epoch] = lease
        self.changes.issued[trial.number, lease.epoch] = lease
        return record

    def change(self, trial: Trial) -> None:
        """Writes the trial's new row."""
        record = self.record(trial.number)
        if self._partial(record):
            self.stale = True
        self._records[trial.number] = replace(record, trial=trial)
        self._put_trial(trial)

    def change_lease(self, lease: Lease) -> None:
        """Writes the lease's new row."""
        key = (lease.number, lease.epoch)
        self._leases[key] = lease
        record = self.record(lease.number)
        if record.lease is not None and record.lease.epoch == lease.epoch:
            record = replace(record, lease=lease)
            if lease.checkpoint is not None:
                inherited, costs = up_to_checkpoint(record.curve, lease), up_to_checkpoint(record.costs, lease)
                record = replace(record, resume=lease, inherited=inherited, inherited_costs=costs)
            self._records[lease.number] = record
        where = self.changes.issued if key in self.changes.issued else self.changes.leases
        where[key] = lease

    def end_lease(self, lease: Lease, end: LeaseEnd) -> Lease:
        """Ends a live lease."""
        ended = replace(lease, live=False, ended=end)
        self.change_lease(ended)
        return ended

    def note_used(self, lease: Lease, used: tuple[str, ...] | None) -> Lease:
        """Remembers the names that the worker has asked for, where it says so and they are new."""
        if used is None or used == lease.used:
            return lease
        noted = replace(lease, used=used)
        self.change_lease(noted)
        return noted

    def renew(self, lease: Lease) -> None:
        """Gives the lease, as it is now, a fresh period."""
        key = (lease.number, lease.epoch)
        if key not in self.changes.issued:
            self.changes.leases.setdefault(key, lease)
            self.changes.renewed[key] = max(self.changes.renewed.get(key, 0.0), self.study.lease_seconds)

    def suggest(self, suggested: Suggested) -> None:
        """Stores a parameter that came after the ask."""
        self.changes.suggested.append(suggested)
        record = self.record(suggested.number)
        value = (suggested.distribution_id, suggested.value)
        self._records[suggested.number] = replace(record, suggested={**record.suggested, suggested.name: value})

    def report(self, number: int, reports: Sequence[Report]) -> None:
        """Stores a trial's intermediate values, all that came at once: the curve is copied."""
        rows = {(report.number, report.epoch, report.step): report for report in reports}
        self.changes.reports.update(rows)
        self.reports.update(rows)
        record = self.record(number)
        curve = {**record.curve, **{report.step: report.values for report in reports}}
        # A report without a cost takes the place of one with a cost, too: a step may be made anew in a later epoch.
        costs: dict[int, float | None] = {**record.costs, **{report.step: report.cost for report in reports}}
        known = {step: cost for step, cost in costs.items() if cost is not None}
        self._records[number] = replace(record, curve=curve, costs=known)

    def decide(self, report: Report, decision: Decision) -> None:
        """Stores the decision on a report of this batch; a decision to prune stands for the rest of the epoch."""
        decided = replace(report, prune=decision.prune, reason=decision.reason)
        self.changes.reports[report.number, report.epoch, report.step] = decided
        self.reports[report.number, report.epoch, report.step] = decided
        if decision.prune:
            record = self.record(report.number)
            self._records[report.number] = replace(record, prune_reason=decision.reason)

    def set_attrs(self, number: int, user_attrs: Mapping[str, Any]) -> None:
        """Merges attributes into the trial's."""
        for key, value in user_attrs.items():
            self.changes.attrs[number, key] = value
        record = self.record(number)
        merged = {**record.trial.user_attrs, **user_attrs}
        if self._partial(record):
            self.stale = True
        self._records[number] = replace(record, trial=replace(record.trial, user_attrs=merged))

    def put_host(self, host: Host) -> None:
        """Stores how a host fares; one that has not failed last is as good as unknown."""
        self.changes.hosts[host.name] = host
        if host.failures:
            self.hosts[host.name] = host
        else:
            self.hosts.pop(host.name, None)

    def keep_late(self, late: LateResult) -> None:
        """Keeps the body of a tell that is answered 409."""
        self.changes.late.append(late)

    def remember(self, request: Request) -> None:
        """Keeps the answer under its request id."""
        self.changes.requests.append(request)
        self.requests[request.request_id] = (request.hash, request.reply)

    def close(self) -> None:
        """Puts the clock's new values among the changes."""
        self.changes.clock = self._clock()

    def delta(self) -> Delta:
        """What this batch changed, for the cache."""
        return Delta(
            clock=self._clock(),
            study=self.study,
            interned=list(self.changes.interned.values()),
            records=list(self._records.values()),
            hosts=self.hosts,
        )

    @property
    def touched(self) -> bool:
        """Whether this batch has changed any trial."""
        return bool(self._records)

    def losses(self, record: TrialRecord) -> tuple[float, ...] | None:
        """The losses of a complete and feasible trial that is not deleted, None of any other."""
        trial = record.trial
        if trial.state is not TrialState.COMPLETE or trial.deleted or trial.violation or trial.values is None:
            return None
        return tuple(sign * value for sign, value in zip(self.study.signs, trial.values, strict=True))

    def feasible_losses(self, without: int | None = None) -> Iterator[tuple[float, ...]]:
        """The losses of all complete and feasible trials as of now, but for one of them."""
        yield from self.history.feasible_losses({*self._records, without})
        own = (self.losses(record) for number, record in self._records.items() if number != without)
        yield from (losses for losses in own if losses is not None)

    def running(self) -> bool:
        """Whether any worker holds a trial."""
        return next(self.live_leases(), None) is not None

    def live_leases(self) -> Iterator[Lease]:
        """The leases of the trials that workers hold."""
        for number in self.history.unfinished.keys() | self._records.keys():
            lease = self.record(number).lease
            if lease is not None and lease.live:
                yield lease

    def waiting(self) -> Iterator[int]:
        """The numbers of waiting trials, in order: the first of many cost little.

        Those that were given may be handed out while the next ones are looked for.
        """
        own = sorted(n for n, record in self._records.items() if record.trial.state is TrialState.WAITING)
        return merge((n for n in self.history.waiting() if n not in self._records), own)

    def _clock(self) -> Clock:
        return Clock(next_number=self.next_number, handed=self.handed, seq=self._seq, progress=self.progress)

    def _partial(self, record: TrialRecord) -> bool:
        """Whether the record holds only what the row of a trial says that had ended: the cache must read it anew."""
        number = record.trial.number
        return record.trial.state not in UNFINISHED and number not in self._whole

    def _not_found(self, number: int) -> TrialNotFound:
        return TrialNotFound(f"the study has no trial {number}; its numbers end at {self.next_number - 1}")

    def _put_trial(self, trial: Trial) -> None:
        where = self.changes.created if trial.number in self.changes.created else self.changes.updated
        where[trial.number] = trial

    def _remember(self, key: tuple[str, str], name: str, distribution: Distribution, known: int | None) -> int:
        new_id = len(self.interned) if known is None else known
        interned = Interned(id=new_id, name=name, distribution=distribution, seen_seq=self._seq + 1)
        self.interned[new_id] = interned
        self._ids[key] = new_id
        self.changes.interned[new_id] = interned
        self._current = {**self.current(), name: interned}
        return new_id
