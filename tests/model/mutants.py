"""Bugs that the model must find: each is planted in this process alone, and is gone after its test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tpeak_server.service import asking, committing, leasing, reaper, reporting, telling, verbs
from tpeak_server.service.commands import Expire
from tpeak_server.service.ledger import Ledger
from tpeak_server.storage import writing

Patch = Callable[[pytest.MonkeyPatch], None]


def no_epoch_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_accept", lambda *_: None)
    monkeypatch.setattr(Ledger, "live_lease", Ledger.lease)


def no_request_key(monkeypatch: pytest.MonkeyPatch) -> None:
    salt, ask = itertools.count(), verbs.ask

    def anew(ledger: Any, command: Any, *rest: Any) -> Any:
        return ask(ledger, replace(command, request_id=f"{command.request_id} {next(salt)}"), *rest)

    monkeypatch.setattr(verbs, "ask", anew)


def told_hash_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_content", lambda _: b"")


def report_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    report = verbs.report

    def forgetful(ledger: Any, command: Any, pruning: Any) -> Any:
        lease = ledger.lease(command.number, command.lease or "")
        for step in command.steps:
            ledger.reports.pop((command.number, lease.epoch, step.step), None)
        return report(ledger, command, pruning)

    columns = "AS t (number, epoch, step, vals, cost, seq, prune, reason)"
    assert columns in writing.PARTS["r"]
    update = " ON CONFLICT (study_id, number, epoch, step) DO UPDATE SET values = excluded.values, seq = excluded.seq"
    monkeypatch.setattr(writing, "PARTS", writing.PARTS | {"r": writing.PARTS["r"].replace(columns, columns + update)})
    monkeypatch.setattr(writing, "_statement", cache(writing._statement.__wrapped__))
    monkeypatch.setattr(verbs, "report", forgetful)


def prune_decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = reporting.Pruning.decide

    def again(self: Any, study: Any, record: Any, history: Any) -> Any:
        return decide(self, study, replace(record, prune_reason=None), history)

    monkeypatch.setattr(reporting.Pruning, "decide", again)


def budget_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    affordable = asking._affordable
    monkeypatch.setattr(
        asking,
        "_affordable",
        lambda ledger, wanted: min(wanted, affordable(ledger, wanted) + 1),
    )


def reaper_without_recheck(monkeypatch: pytest.MonkeyPatch) -> None:
    expire = leasing.expire

    def rash(ledger: Any, command: Any) -> None:
        key = (command.number, command.epoch)
        ledger._leases[key] = replace(ledger._leases[key], remaining_s=-1.0)
        ledger.changes.renewed.pop(key, None)
        expire(ledger, command)

    monkeypatch.setitem(verbs.PLAIN, Expire, rash)  # type: ignore[arg-type]


def no_amnesty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "AMNESTY_SHARE", math.inf)


def stale_cache_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "stale", property(lambda self: False, lambda self, value: None), raising=False)


def reply_before_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out = committing.Committing._carry_out

    def hasty(self: Any, ledger: Any, batch: Any, *drawn: Any) -> Any:
        answers = carry_out(self, ledger, batch, *drawn)
        for item, answer in zip(batch.items, answers, strict=True):
            committing._deliver(item, answer)
        return answers

    monkeypatch.setattr(committing.Committing, "_carry_out", hasty)


MUTANTS: tuple[Patch, ...] = (
    no_epoch_check,
    no_request_key,
    told_hash_ignored,
    report_overwritten,
    prune_decided_again,
    budget_off_by_one,
    reaper_without_recheck,
    no_amnesty,
    stale_cache_kept,
    reply_before_commit,
)
