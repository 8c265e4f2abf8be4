"""Handing out trials."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.errors import RequestIdReused
from tpeak_server.domain.hosts import Host, outlasts
from tpeak_server.domain.study import StudyState
from tpeak_server.domain.trial import Interned, Lease, Trial, TrialRecord, issued
from tpeak_server.service.commands import Ask
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.prepared import Point, Prepared
from tpeak_server.service.proposing import Sampling
from tpeak_server.service.scenes import space_of

UNDER_LOCK = 64
"""Trials that a batch may create where samples must be drawn under the study's lock, which others wait for: an ask may
get fewer than its count."""

RETRY_AFTER_S = 1.0
"""How long a worker waits that found nothing to do while other trials still run."""


class Reason(StrEnum):
    """Why a worker gets nothing, where it is not the budget: `exhausted`, all points of the space were tried."""

    EXHAUSTED = "exhausted"
    PAUSED = "paused"
    HOST_PAUSED = "host_paused"
    WALL_TIME = "wall_time"
    STOP_WHEN = "stop_when"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A trial as its worker gets it."""

    record: TrialRecord
    lease: Lease
    params: Mapping[str, Any]
    distributions: Mapping[str, Distribution]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to an ask: trials, or when to come again, or that the study is done."""

    trials: tuple[Issued, ...]
    seq: int
    retry_after_s: float | None = None
    done: bool = False
    reason: Reason | None = None
    cause: str | None = None


def ask(ledger: Ledger, command: Ask, sampling: Sampling, prepared: Prepared) -> Asked:
    """Hands out waiting trials first, then new ones, as the study's state and budget allow."""
    before = ledger.asks.get(command.request_id)
    if before:
        return _again(ledger, command, before)
    trials: list[Issued] = []
    exhausted = False
    pausing = _paused(ledger, command)
    if ledger.study.state is StudyState.OPEN:
        if not pausing:
            # Beside other changes of the same batch, which no sampler has seen, nothing is certain.
            certain = not (ledger.touched or ledger.history.unfinished)
            trials, exhausted = _hand_out(ledger, command, sampling, prepared)
            exhausted = exhausted and certain
        _start_clock(ledger)  # not before: an ask that is refused is none
    if trials:
        return Asked(trials=tuple(trials), seq=ledger.seq)
    # A repetition that hands out trials runs into the leases of the first; one that does not must be looked up.
    ledger.changes.doubtful = True
    ledger.writable()
    return _nothing(ledger, command, pausing, exhausted)


def _nothing(ledger: Ledger, command: Ask, pausing: Host | None, exhausted: bool) -> Asked:
    """What a worker is to do that gets no trial."""
    study, seq = ledger.study, ledger.seq
    if study.state is StudyState.PAUSED:
        return Asked(trials=(), seq=seq, retry_after_s=RETRY_AFTER_S, reason=Reason.PAUSED)
    if study.stop_reason is not None:
        return Asked(trials=(), seq=seq, done=True, reason=Reason.STOP_WHEN, cause=study.stop_reason)
    if _done(ledger):
        return Asked(trials=(), seq=seq, done=True)
    if exhausted:
        return Asked(trials=(), seq=seq, done=True, reason=Reason.EXHAUSTED)
    if pausing is not None:
        left_s = pausing.paused_s(ledger.now)
        return Asked(trials=(), seq=seq, retry_after_s=left_s, reason=Reason.HOST_PAUSED, cause=pausing.cause)
    if _short_of_time(ledger, command):
        return Asked(trials=(), seq=seq, done=True, reason=Reason.WALL_TIME)
    return Asked(trials=(), seq=seq, retry_after_s=RETRY_AFTER_S)


def _paused(ledger: Ledger, command: Ask) -> Host | None:
    """The worker's host, if it is paused."""
    host = ledger.hosts.get(command.host) if command.host is not None else None
    return host if host is not None and host.paused_s(ledger.now) > 0 else None


def _short_of_time(ledger: Ledger, command: Ask) -> bool:
    """Whether a trial is expected to outlast the worker, and would be lost with it."""
    if command.wall_time_s is None or command.resumable:
        return False
    return outlasts(command.wall_time_s, ledger.durations_s)


def _again(ledger: Ledger, command: Ask, leases: list[Lease]) -> Asked:
    if leases[0].request_hash != command.fingerprint():
        raise RequestIdReused(
            "this request_id was used for an ask with another worker, count or distributions; use a new one",
            where="/request_id",
        )
    return Asked(trials=tuple(_issued(ledger, lease.number, lease) for lease in leases), seq=ledger.seq)


def _start_clock(ledger: Ledger) -> None:
    if ledger.study.first_ask_at is None:
        ledger.study = replace(ledger.study, first_ask_at=ledger.now)
        ledger.changes.first_ask = True


def _hand_out(ledger: Ledger, command: Ask, sampling: Sampling, prepared: Prepared) -> tuple[list[Issued], bool]:
    """The trials, and whether there are not more for want of points to try."""
    trials: list[Issued] = []
    if ledger.study.timed_out(ledger.now):
        return trials, False
    drawn_here, share, new = False, prepared.share, 0
    short = _short_of_time(ledger, command)
    waiting = _suitable(ledger, command, short)
    space = space_of(ledger.study, ledger.current(), command.distributions)
    if not short and len(list(islice(ledger.waiting(), command.count))) < command.count:
        ledger.need_room(space.items(), "/distributions")
    while len(trials) < command.count:
        trial = next(waiting, None)
        if trial is None:
            number, count = ledger.next_number, _affordable(ledger, command.count - len(trials))
            if share is not None:
                count = min(count, share - new)
            if short or count <= 0:
                break
            point = prepared.take(number, space)
            if point is None and drawn_here:
                break
            if point is None:
                # All at once: one draw of many costs a small part of many draws.
                count, drawn_here = min(count, max(1, UNDER_LOCK - len(ledger.changes.created))), True
                prepared = sampling.points_under_lock(ledger, number, count, space, at_last=prepared.under_lock)
                point = prepared.take(number, space)
            if point is None:
                return trials, True
            trial, new = _new_trial(ledger, point), new + 1
        trials.append(_hand_over(ledger, command, trial, len(trials)))
    return trials, False


def _suits(ledger: Ledger, command: Ask, trial: Trial, short: bool) -> bool:
    """Whether the worker may have the waiting trial.

    Not one that failed on its host while another host is at work on the study, and while time is `short` only what left
    a checkpoint: it will leave another.
    """
    if short and trial.resume_epoch is None:
        return False
    if trial.avoid_host is None or trial.avoid_host != command.host:
        return True
    return all(lease.host in {None, command.host} for lease in ledger.live_leases())


def _suitable(ledger: Ledger, command: Ask, short: bool) -> Iterator[Trial]:
    """The waiting trials that may be handed out, each before the next one is looked for.

    A first handing out is paid from the budget.
    """
    for number in ledger.waiting():
        trial = ledger.record(number).trial
        paid = trial.epoch > 0 or _affordable(ledger, 1) > 0
        if paid and _suits(ledger, command, trial, short):
            yield trial


def _affordable(ledger: Ledger, wanted: int) -> int:
    """How many of the trials wanted the budget still allows to be handed out for the first time."""
    if ledger.study.max_trials is None:
        return wanted
    return max(0, min(wanted, ledger.study.max_trials - ledger.handed))


def _new_trial(ledger: Ledger, point: Point) -> Trial:
    proposed = {ledger.intern(name, point.distribution(name)): value for name, value in point.values.items()}
    trial = Trial(
        number=ledger.take_number(),
        proposed=proposed,
        fixed=point.fixed,
        origin=point.origin,
        sampled_at_seq=point.seq,
        sampler_version=point.version,
    )
    ledger.create(trial)
    return trial


def _hand_over(ledger: Ledger, command: Ask, trial: Trial, ordinal: int) -> Issued:
    if trial.epoch == 0:
        ledger.handed += 1
    handed = issued(trial)
    lease = Lease(
        number=trial.number,
        epoch=handed.epoch,
        token=secrets.token_urlsafe(18),
        worker=command.worker,
        host=command.host,
        request_id=command.request_id,
        ordinal=ordinal,
        request_hash=command.fingerprint(),
        remaining_s=ledger.study.lease_seconds,
        resume_epoch=trial.resume_epoch,
    )
    ledger.issue(handed, lease)
    ledger.asks.setdefault(command.request_id, []).append(lease)
    ledger.event("issued", trial.number, epoch=handed.epoch, worker=command.worker)
    return _issued(ledger, trial.number, lease)


def _issued(ledger: Ledger, number: int, lease: Lease) -> Issued:
    record = ledger.record(number)
    known = record.known(ledger.interned)
    return Issued(
        record=record,
        lease=lease,
        params={name: _external(ledger.interned, i, value) for name, (i, value) in known.items()},
        distributions={name: ledger.interned[i].distribution for name, (i, _) in known.items()},
    )


def _external(interned: Mapping[int, Interned], distribution_id: int, value: float) -> Any:
    return interned[distribution_id].distribution.to_external(value)


def _done(ledger: Ledger) -> bool:
    """Whether this study will never hand out a trial again, as far as can be known."""
    if ledger.study.state is StudyState.STOPPED or ledger.study.timed_out(ledger.now):
        return True
    return not (ledger.running() or _affordable(ledger, 1) or _waits_paid(ledger))


def _waits_paid(ledger: Ledger) -> bool:
    """Whether a trial waits that was handed out before, and so is no matter of the budget."""
    return any(ledger.record(number).trial.epoch > 0 for number in ledger.waiting())
