"""What is done to a study or to a trial by others than the workers: pause, cancel, fail, try again, exempt, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tpeak_server.domain.errors import AlreadyFinished
from tpeak_server.domain.study import StudyState
from tpeak_server.domain.trial import (
    CANCELLED,
    UNFINISHED,
    LeaseEnd,
    TrialRecord,
    TrialState,
    deleted,
    exempted,
    failed,
    retried,
)
from tpeak_server.service.adding import first_answer, remember
from tpeak_server.service.commands import Action, ChangeTrial, Control, ControlStudy, Delete
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.stopping import count_anew, count_deleted

AFTERWARDS = {
    Control.PAUSE: StudyState.PAUSED,
    Control.STOP: StudyState.STOPPED,
    Control.CANCEL: StudyState.STOPPED,
    Control.RESUME: StudyState.OPEN,
}
"""The state that a study is in after each command, whichever it was in before."""

EVENTS = {
    Control.PAUSE: "paused",
    Control.STOP: "stopped",
    Control.CANCEL: "cancelled",
    Control.RESUME: "resumed",
}

FAILED_BY_HAND = "failed by hand"
"""Why a trial failed that somebody failed without another cause."""


def control_study(ledger: Ledger, command: ControlStudy) -> object:
    """Opens the study or keeps it from handing out trials; the answer is {"seq": n}."""
    before = first_answer(ledger, command)
    if before is not None:
        return before
    ledger.writable()
    state = AFTERWARDS[command.control]
    to_cancel = [lease for lease in ledger.live_leases() if not lease.cancelled]
    cancels = command.control is Control.CANCEL and bool(to_cancel)
    if ledger.study.state is not state or cancels:
        if command.control is Control.RESUME and ledger.study.state is StudyState.STOPPED:
            count_anew(ledger)
        ledger.study = ledger.changes.study = replace(ledger.study, state=state, stop_reason=None)
        ledger.event(EVENTS[command.control])
    if cancels:
        for lease in sorted(to_cancel, key=lambda lease: lease.number):
            _cancel_running(ledger, ledger.record(lease.number), None)
    return remember(ledger, command, {"seq": ledger.seq})


def change_trial(ledger: Ledger, command: ChangeTrial) -> object:
    """Acts on the trial and merges attributes; the answer is {"seq": n}. Raises AlreadyFinished."""
    before = first_answer(ledger, command)
    if before is not None:
        return before
    ledger.writable()
    record = ledger.visible(command.number)
    ACTIONS[command.action](ledger, record, command.cause)
    if command.user_attrs:
        ledger.set_attrs(command.number, command.user_attrs)
        ledger.event("attrs", command.number)
    return remember(ledger, command, {"seq": ledger.seq})


def delete(ledger: Ledger, command: Delete) -> None:
    """Hides the trial from every reader and from the sampler; a deleted one stays as it is."""
    record = ledger.record(command.number)
    if record.trial.deleted:
        return
    ledger.writable()
    count_deleted(ledger, command.number)
    _take_away(ledger, record)
    ledger.change(deleted(record.trial))
    ledger.event("deleted", command.number)


def _cancel(ledger: Ledger, record: TrialRecord, cause: str | None) -> None:
    """Fails a waiting trial; of a running one the next report or heartbeat says so."""
    trial = record.trial
    if trial.state is TrialState.RUNNING:
        _cancel_running(ledger, record, cause)
    elif trial.state is TrialState.WAITING:
        ledger.change(failed(trial, cause or CANCELLED))
        ledger.event("cancelled", trial.number, epoch=None, state=str(TrialState.FAILED))
    else:
        raise AlreadyFinished(f"trial {trial.number} is {trial.state}: there is nothing to cancel")


def _cancel_running(ledger: Ledger, record: TrialRecord, cause: str | None) -> None:
    lease = record.lease
    assert lease is not None, "a running trial has a lease"
    if lease.cancelled:
        return
    ledger.change_lease(replace(lease, cancelled=True))
    if cause is not None:
        # Stays if its worker falls silent or gives it back; who tells of the failure has a cause of its own.
        ledger.change(replace(record.trial, cause=cause))
    ledger.event("cancelled", record.trial.number, epoch=lease.epoch, state=str(TrialState.RUNNING))


def _fail(ledger: Ledger, record: TrialRecord, cause: str | None) -> None:
    """Fails an unfinished trial at once; its worker has lost it."""
    trial = record.trial
    if trial.state not in {TrialState.WAITING, TrialState.RUNNING}:
        raise AlreadyFinished(f"trial {trial.number} is {trial.state}: it cannot be failed any more")
    _take_away(ledger, record)
    ledger.change(failed(trial, cause or FAILED_BY_HAND))
    ledger.event("failed", trial.number)


def _retry(ledger: Ledger, record: TrialRecord, cause: str | None) -> None:
    """Lets a failed or lost trial wait again; an unfinished one stays as it is."""
    trial = record.trial
    if trial.state in {TrialState.COMPLETE, TrialState.PRUNED}:
        raise AlreadyFinished(f"trial {trial.number} is {trial.state}: its result stands")
    if trial.state in {TrialState.FAILED, TrialState.LOST}:
        ledger.change(retried(trial, cause))
        ledger.event("retried", trial.number)


def _exempt(ledger: Ledger, record: TrialRecord, cause: str | None) -> None:
    """Lets nobody prune an unfinished trial any more; a decision that was made stays with its step."""
    trial = record.trial
    if trial.state not in UNFINISHED:
        raise AlreadyFinished(f"trial {trial.number} is {trial.state}: there is nothing left to prune")
    if not trial.exempt:
        ledger.change(exempted(trial))
        ledger.event("exempted", trial.number)


def _take_away(ledger: Ledger, record: TrialRecord) -> None:
    if record.lease is not None and record.lease.live:
        ledger.end_lease(record.lease, LeaseEnd.SUPERSEDED)


ACTIONS: dict[Action, Callable[[Ledger, TrialRecord, str | None], None]] = {
    Action.CANCEL: _cancel,
    Action.FAIL: _fail,
    Action.RETRY: _retry,
    Action.EXEMPT: _exempt,
}
