"""What keeps a lease, gives it back, or takes it away."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tpeak_server.domain.errors import LeaseLost, TrialNotFound
from tpeak_server.domain.trial import LeaseEnd, TrialState, expired, released
from tpeak_server.service.commands import Expire, Heartbeat, Release
from tpeak_server.service.ledger import Ledger

AMNESTY_SHARE = 1 / 3
"""An outage of more than this share of a lease earns every lease of the study a fresh period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The lease lives for that long from now; `cancel` asks the worker to stop."""

    lease_seconds: float
    cancel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The trial as it was given back."""

    number: int
    state: TrialState
    seq: int


def heartbeat(ledger: Ledger, command: Heartbeat) -> Beat:
    """Renews the lease."""
    lease = ledger.live_lease(command.number, command.lease or "")
    ledger.renew(lease)
    return Beat(lease_seconds=ledger.study.lease_seconds, cancel=lease.cancelled)


def release(ledger: Ledger, command: Release) -> Released:
    """Gives the trial back; no attempt is used up. One that is to be cancelled fails."""
    lease = ledger.lease(command.number, command.lease or "")
    record = ledger.record(command.number)
    step = command.step
    if step is None and command.checkpoint is not None and record.curve:
        step = max(record.curve)
    state = TrialState.FAILED if lease.cancelled else TrialState.WAITING
    same = lease.checkpoint == command.checkpoint and command.step in {None, lease.checkpoint_step}
    if lease.ended is LeaseEnd.RELEASED and same:
        return Released(number=command.number, state=state, seq=ledger.seq)
    if not lease.live:
        raise LeaseLost(f"the lease of trial {command.number} has ended ({lease.ended}); there is nothing to release")
    ledger.writable()
    ended = replace(lease, live=False, ended=LeaseEnd.RELEASED, checkpoint=command.checkpoint, checkpoint_step=step)
    ledger.change_lease(ended)
    ledger.change(
        released(record.trial, checkpointed=command.checkpoint is not None, cancelled=lease.cancelled),
    )
    ledger.event("released", command.number, epoch=lease.epoch, step=step, state=str(state))
    return Released(number=command.number, state=state, seq=ledger.seq)


def expire(ledger: Ledger, command: Expire) -> None:
    """Ends the epoch's lease if it is past its expiry under the lock as well: its worker may have come back."""
    try:
        record = ledger.record(command.number)
    except TrialNotFound:
        return
    lease = record.lease
    fresh = ledger.locked_lease(command.number, command.epoch)
    if lease is None or fresh is None or lease.epoch != command.epoch or not lease.live or fresh.remaining_s > 0:
        return
    if (command.number, command.epoch) in ledger.changes.renewed or _outage_since(ledger, command):
        return
    ledger.end_lease(lease, LeaseEnd.EXPIRED)
    trial = expired(record.trial, max_attempts=ledger.study.max_attempts, cancelled=lease.cancelled)
    ledger.change(trial)
    ledger.event("expired", command.number, epoch=command.epoch, state=str(trial.state), attempt=trial.attempt)


def _outage_since(ledger: Ledger, command: Expire) -> bool:
    """Whether so much time has passed since the tick that an outage may be why nobody renewed the lease."""
    if command.ticked_at is None:
        return False
    return (ledger.now - command.ticked_at).total_seconds() > AMNESTY_SHARE * ledger.study.lease_seconds
