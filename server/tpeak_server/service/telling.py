"""A trial's result: taken once, and from a worker that was given up as well where the result is worth it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tpeak_server.domain.changes import LateResult
from tpeak_server.domain.errors import AlreadyFinished, Conflict, Invalid, InvalidValue, LeaseLost, NotRunning
from tpeak_server.domain.study import LateResults
from tpeak_server.domain.trial import (
    CANCELLED,
    FINAL,
    Lease,
    LeaseEnd,
    Trial,
    TrialRecord,
    TrialState,
    finished,
    returned,
)
from tpeak_server.service.commands import Tell
from tpeak_server.service.hosts import note_outcome
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.stopping import count_told

RETURNED_NAN = "the objective returned NaN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The result as it was stored."""

    number: int
    state: TrialState
    values: tuple[float, ...] | None
    cause: str | None
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is stored of a tell, after a NaN has become a failure."""

    state: TrialState
    values: tuple[float, ...] | None
    cause: str | None
    content: bytes
    """The hash of the command but for its lease: by this a repetition is known."""


def tell(ledger: Ledger, command: Tell) -> Told:
    """Stores the result, or repeats the first answer. What is refused with a conflict is kept in `late_results`."""
    record = ledger.record(command.number) if command.lease else ledger.visible(command.number)
    try:
        return _tell(ledger, command, record)
    except Conflict as conflict:
        ledger.keep_late(
            LateResult(
                number=command.number,
                hash=command.fingerprint(),
                code=conflict.code,
                body=_body(command),
            )
        )
        raise


def _tell(ledger: Ledger, command: Tell, record: TrialRecord) -> Told:
    trial = record.trial
    lease = ledger.lease(command.number, command.lease) if command.lease else record.lease
    if lease is not None and command.lease and lease.told_hash is not None:
        return _repeated(ledger, command, trial, lease)
    if trial.deleted:
        raise LeaseLost(f"trial {command.number} has been deleted; stop working on it", where="/lease")
    epoch = lease.epoch if lease is not None else trial.epoch
    if trial.state in FINAL:
        return _told_already(ledger, command, trial, epoch)
    ledger.writable()
    result = _result(ledger, command, record, epoch)
    _accept(command, lease, trial, result, ledger)
    _end_leases(ledger, command, record, lease, result.content)
    if command.retry and lease is not None and not lease.cancelled:
        _return(ledger, command, trial, lease, result.content)
    else:
        _finish(ledger, command, trial, epoch, result)
    if command.lease and lease is not None:
        note_outcome(ledger, command, lease, ended_trial=ledger.record(trial.number).trial.state in FINAL)
    count_told(ledger, trial.number)
    if command.user_attrs:
        ledger.set_attrs(trial.number, command.user_attrs)
    return _told(ledger, command.number)


def _repeated(ledger: Ledger, command: Tell, trial: Trial, lease: Lease) -> Told:
    """The first answer to what the lease has told. Raises AlreadyFinished and LeaseLost for anything else."""
    if lease.told_hash != _content(command):
        if trial.state in FINAL and not trial.deleted:
            raise AlreadyFinished(f"trial {trial.number} is {trial.state} with another result, which stands")
        raise LeaseLost(f"this lease of trial {trial.number} has told another result ({lease.ended})", where="/lease")
    if trial.told_epoch == lease.epoch:
        return _told(ledger, trial.number)
    # The trial has been tried again since: only of a failure is that possible.
    state = TrialState.WAITING if lease.ended is LeaseEnd.RETURNED else TrialState.FAILED
    cause = RETURNED_NAN if command.state is TrialState.COMPLETE else _cause(command, lease)
    return Told(number=trial.number, state=state, values=None, cause=cause, seq=ledger.seq)


def _told_already(ledger: Ledger, command: Tell, trial: Trial, epoch: int) -> Told:
    """The first answer to a result without a lease. Raises AlreadyFinished for any other."""
    if command.lease is None and trial.told_epoch == epoch and trial.told_hash == _content(command):
        return _told(ledger, trial.number)
    raise AlreadyFinished(f"trial {trial.number} is {trial.state} with another result, which stands")


def _accept(command: Tell, lease: Lease | None, trial: Trial, result: Result, ledger: Ledger) -> None:
    """Raises LeaseLost or NotRunning where the result does not count."""
    if command.lease is None:
        if trial.state is TrialState.WAITING:
            raise NotRunning(f"trial {trial.number} is waiting: ask for it before you tell its result")
        return
    assert lease is not None, "a lease was found by its token"
    if lease.live:
        return
    if ledger.study.late_results is LateResults.REFUSE:
        raise LeaseLost(
            f"the lease of trial {trial.number} has ended ({lease.ended}); this study takes no late results"
        )
    if not _worth_it(ledger, lease, result):
        raise LeaseLost(f"the lease of trial {trial.number} has ended ({lease.ended}); the result is kept aside")


def _worth_it(ledger: Ledger, lease: Lease, result: Result) -> bool:
    """Whether a result from an ended lease counts: the proposal is the same, and the hours were paid."""
    if result.state is TrialState.COMPLETE:
        return all(math.isfinite(value) for value in result.values or ())
    return result.state is TrialState.PRUNED and _decided_to_prune(ledger, lease)


def _decided_to_prune(ledger: Ledger, lease: Lease) -> bool:
    ended = ledger.ended_curves.get((lease.number, lease.epoch))
    return ended is not None and ended.prune


def _end_leases(ledger: Ledger, command: Tell, record: TrialRecord, lease: Lease | None, content: bytes) -> None:
    """Ends the lease that tells, which keeps what it told, and a newer one."""
    newest, told = record.lease, None if lease is None else lease.epoch
    if newest is not None and newest.epoch != told:
        # The winning curve is another epoch's, which the cache does not hold.
        ledger.stale = True
        if newest.live:
            ledger.end_lease(newest, LeaseEnd.SUPERSEDED)
    if lease is None:
        return
    goes_on = command.retry and not lease.cancelled and not _last_attempt(ledger, record.trial)
    if lease.live:
        lease = replace(lease, live=False, ended=LeaseEnd.RETURNED if goes_on else LeaseEnd.TOLD)
    used = lease.used if command.used is None else command.used
    ledger.change_lease(replace(lease, used=used, told_hash=content))


def _last_attempt(ledger: Ledger, trial: Trial) -> bool:
    return trial.attempt + 1 >= ledger.study.max_attempts


def _finish(ledger: Ledger, command: Tell, trial: Trial, epoch: int, result: Result) -> None:
    ledger.change(
        finished(
            trial,
            state=result.state,
            values=result.values,
            constraints=command.constraints,
            constraint_names=command.constraint_names,
            cause=result.cause,
            told_epoch=epoch,
            told_hash=result.content,
        )
    )
    ledger.event("told", trial.number, state=str(result.state), epoch=epoch)


def _return(ledger: Ledger, command: Tell, trial: Trial, lease: Lease, content: bytes) -> None:
    """Lets the trial be tried again, unless this was its last attempt."""
    after = returned(trial, max_attempts=ledger.study.max_attempts, host=lease.host, cause=command.error)
    if after.state in FINAL:
        after = replace(after, told_epoch=lease.epoch, told_hash=content)
    ledger.change(after)
    ledger.event("returned", trial.number, epoch=lease.epoch, state=str(after.state), attempt=after.attempt)


def _result(ledger: Ledger, command: Tell, record: TrialRecord, epoch: int) -> Result:
    """What the tell comes to. Raises Invalid and InvalidValue."""
    if command.retry and (command.state is not TrialState.FAILED or command.lease is None):
        raise Invalid("retry is for a failure that is told under its lease", where="/retry")
    objectives = len(ledger.study.directions)
    values, content = command.values, _content(command)
    if command.state is TrialState.COMPLETE:
        if values is None or len(values) != objectives:
            raise InvalidValue(
                f"a complete trial of this study needs {objectives} value(s), got {len(values or ())}", where="/values"
            )
        if any(math.isnan(value) for value in values):
            return Result(state=TrialState.FAILED, values=None, cause=RETURNED_NAN, content=content)
        return Result(state=TrialState.COMPLETE, values=values, cause=None, content=content)
    if command.state is TrialState.PRUNED:
        last = values or _last_values(ledger, record, epoch)
        return Result(state=TrialState.PRUNED, values=last, cause=command.error, content=content)
    if values is not None:
        raise Invalid("a failed trial has no values; leave them out", where="/values")
    cause = _cause(command, record.lease)
    return Result(state=TrialState.FAILED, values=None, cause=cause, content=content)


def _cause(command: Tell, lease: Lease | None) -> str | None:
    """Why a trial is told to have failed."""
    return command.error or (CANCELLED if lease is not None and lease.cancelled else None)


def _last_values(ledger: Ledger, record: TrialRecord, epoch: int) -> tuple[float, ...] | None:
    """The values of the deepest step that the epoch reported."""
    if record.lease is not None and record.lease.epoch == epoch and record.curve:
        return record.curve[max(record.curve)]
    ended = ledger.ended_curves.get((record.trial.number, epoch))
    return None if ended is None else ended.values


def _told(ledger: Ledger, number: int) -> Told:
    trial = ledger.record(number).trial
    return Told(number=number, state=trial.state, values=trial.values, cause=trial.cause, seq=ledger.seq)


def _content(command: Tell) -> bytes:
    """The hash of the result alone: which lease told it is compared by epoch."""
    return replace(command, lease=None).fingerprint()


def _body(command: Tell) -> Mapping[str, Any]:
    """The tell as it came, for `late_results`: JSON, so non-finite numbers as their names."""
    return {
        "lease": command.lease,
        "state": str(command.state),
        "values": _named(command.values),
        "constraints": _named(command.constraints),
        "error": command.error,
        "user_attrs": dict(command.user_attrs),
        "used": command.used and list(command.used),
    } | _later(command)


def _later(command: Tell) -> dict[str, Any]:
    """The fields that are left out where they say nothing."""
    names = {} if command.constraint_names is None else {"constraint_names": list(command.constraint_names)}
    return names | ({"retry": True} if command.retry else {})


def _named(values: tuple[float, ...] | None) -> list[float | str] | None:
    if values is None:
        return None
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return ["NaN" if math.isnan(value) else names.get(value, value) for value in values]
