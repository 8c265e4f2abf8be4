"""Hosts that fail fast, several times in a row: paused, and what they burned through given back to the budget."""

from __future__ import annotations

from dataclasses import replace

from tpeak_server.domain.hosts import Host, failed_fast, is_fast
from tpeak_server.domain.trial import Lease, TrialState
from tpeak_server.service.commands import Tell
from tpeak_server.service.ledger import Ledger


def note_outcome(ledger: Ledger, command: Tell, lease: Lease, *, ended_trial: bool) -> None:
    """Counts a fast failure of the lease's host; anything else that it tells ends the row."""
    if lease.host is None:
        return
    if _failed_fast(ledger, command, lease):
        _count(ledger, command, lease, ended_trial)
        return
    before = ledger.hosts.get(lease.host)
    if before is None:
        return
    ledger.put_host(Host(name=lease.host))
    if before.paused_until is not None:
        ledger.event("host_cleared", host=lease.host)


def _failed_fast(ledger: Ledger, command: Tell, lease: Lease) -> bool:
    """Whether this is a failure that the study counts. A NaN is none: the objective ran to its end."""
    if command.state is not TrialState.FAILED or ledger.study.max_host_failures is None or lease.cancelled:
        return False
    stored = ledger.locked_lease(lease.number, lease.epoch) or lease
    return is_fast(stored.age_s, ledger.durations_s)


def _count(ledger: Ledger, command: Tell, lease: Lease, ended_trial: bool) -> None:
    limit = ledger.study.max_host_failures
    assert lease.host is not None, "a failure that counts has a host"
    assert limit is not None, "a failure that counts has a limit"
    before = ledger.hosts.get(lease.host) or Host(name=lease.host)
    host = failed_fast(before, now=ledger.now, limit=limit, ended_trial=ended_trial, cause=command.error)
    if host.failures >= limit:
        refunded = min(host.owed, _refundable(ledger))
        ledger.handed -= refunded
        host = replace(host, owed=host.owed - refunded)
        seconds = host.paused_s(ledger.now)
        ledger.event("host_paused", host=host.name, failures=host.failures, seconds=seconds, refunded=refunded)
    ledger.put_host(host)


def _refundable(ledger: Ledger) -> int:
    """How much may be given back, so that all numbers, taken and to be had, stay within twice the budget."""
    budget = ledger.study.max_trials
    if budget is None:
        return 0
    left = budget - ledger.handed
    return max(0, 2 * budget - ledger.next_number - left)
