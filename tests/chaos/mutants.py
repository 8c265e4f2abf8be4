"""The planted bugs: each one replaces something of the product in the process that serves (or works) for a test.

| bug | what is replaced |
|---|---|
| no request key | every ask gets a key of its own |
| no epoch check | an ended lease is as good as a live one |
| reaper without recheck | what looked overdue is taken away, whatever has happened since |
| asynchronous commit | PostgreSQL answers before the commit is on disk |
| max(number) + 1 | the next number is read before the lock |
| no study lock | the clock is read and written without a lock and a check |
| reply before commit | answers leave before the transaction |
| client retry without key | the client sends a repetition under a new key |
| cache cursor by id | a cache reads trials with higher numbers, not what has changed |
| transaction time for clock time | the database's clock stands still within a transaction |
| no amnesty | an outage earns no fresh period |
| prune decided again | a repeated report is decided once more |
| report overwritten | a step's second value replaces the first |
| tell hash ignored | any tell of the winning lease gets the winner's answer |
| budget checked outside the lock | whether budget is left is looked up when the ask arrives |
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any


def no_request_key() -> None:
    from tpeak_server.service.batcher import Batcher
    from tpeak_server.service.commands import Ask

    submit = Batcher.submit

    def forgetful(batcher: Batcher, command: Any) -> Any:
        return submit(batcher, replace(command, request_id=uuid.uuid4().hex) if isinstance(command, Ask) else command)

    Batcher.submit = forgetful  # type: ignore[method-assign]


def no_epoch_check() -> None:
    from tpeak_server.service import telling
    from tpeak_server.service.ledger import Ledger

    telling._accept = lambda *_: None  # type: ignore[assignment]
    Ledger.live_lease = Ledger.lease  # type: ignore[method-assign]


def reaper_without_recheck() -> None:
    from tpeak_server.domain.trial import LeaseEnd, expired
    from tpeak_server.service import verbs
    from tpeak_server.service.commands import Expire
    from tpeak_server.service.ledger import Ledger

    def expire(ledger: Ledger, command: Expire) -> None:
        record = ledger.record(command.number)
        if record.lease is None or record.lease.epoch != command.epoch or not record.lease.live:
            return
        ledger.end_lease(record.lease, LeaseEnd.EXPIRED)
        trial = expired(record.trial, max_attempts=ledger.study.max_attempts, cancelled=False)
        ledger.change(trial)
        ledger.event("expired", command.number, epoch=command.epoch, state=str(trial.state), attempt=trial.attempt)

    verbs.PLAIN[Expire] = expire  # type: ignore[index]


def asynchronous_commit() -> None:
    from tpeak_server.storage import database

    database.SESSION += " -c synchronous_commit=off"


def max_number() -> None:
    from tpeak_server.service import committing
    from tpeak_server.storage.database import Database

    found: ContextVar[dict[int, int]] = ContextVar("found")
    load, transaction = committing.load, Database.transaction

    async def fresh(database: Database, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def once(connection: Any) -> Any:
            found.set({})
            return await work(connection)

        return await transaction(database, once)

    async def by_maximum(connection: Any, study_id: int, wanted: Any) -> Any:
        if study_id not in found.get():
            statement = "SELECT coalesce(max(number) + 1, 0) FROM trials WHERE study_id = %s"
            found.get()[study_id] = (await (await connection.execute(statement, (study_id,))).fetchone())[0]
        locked = await load(connection, study_id, wanted)
        return replace(locked, clock=replace(locked.clock, next_number=found.get()[study_id]))

    Database.transaction = fresh  # type: ignore[method-assign, assignment]
    committing.load = by_maximum  # type: ignore[assignment]


def no_study_lock() -> None:
    from tpeak_server.storage import locked, writing

    locked.LOCK = locked.LOCK.replace("FOR NO KEY UPDATE", "")
    writing.CLOCK = writing.CLOCK.replace("AND seq = %(expected)s", "AND %(expected)s::bigint IS NOT NULL")


def reply_before_commit() -> None:
    from tpeak_server.service import committing

    carry_out = committing.Committing._carry_out

    def hasty(self: Any, ledger: Any, batch: Any, *drawn: Any) -> Any:
        answers = carry_out(self, ledger, batch, *drawn)
        for item, answer in zip(batch.items, answers, strict=True):
            committing._deliver(item, answer)
        return answers

    committing.Committing._carry_out = hasty  # type: ignore[method-assign]


def cache_cursor_by_id() -> None:
    from tpeak_server.service import committing
    from tpeak_server.storage.history import load_trials

    last: dict[int, int] = {}

    async def newer(connection: Any, study_id: int, after: int, *_: Any) -> Any:
        statement = "SELECT number FROM trials WHERE study_id = %s AND number > %s ORDER BY number"
        cursor = await connection.execute(statement, (study_id, last.get(study_id, -1)))
        numbers = [row[0] for row in await cursor.fetchall()]
        last[study_id] = max(numbers, default=last.get(study_id, -1))
        return await load_trials(connection, study_id, numbers)

    committing.load_changed = newer  # type: ignore[assignment]


def transaction_time() -> None:
    import psycopg

    statement = "CREATE OR REPLACE FUNCTION tpeak_now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()'"
    with psycopg.connect(os.environ["TPEAK_CHAOS_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute(statement)


def no_amnesty() -> None:
    from tpeak_server.service import leasing, reaper

    leasing.AMNESTY_SHARE = reaper.AMNESTY_SHARE = float("inf")


def prune_decided_again() -> None:
    from tpeak_server.service import verbs

    report = verbs.report

    def anew(ledger: Any, command: Any, pruning: Any) -> Any:
        reported = report(ledger, command, pruning)
        record = ledger.record(command.number)
        decision = pruning.decide(ledger, record, record)
        return replace(reported, prune=decision.prune, reason=decision.reason)

    verbs.report = anew


def report_overwritten() -> None:
    from tpeak_server.service import reporting
    from tpeak_server.storage import writing

    report = reporting.report

    def overwriting(ledger: Any, command: Any, pruning: Any) -> Any:
        lease = ledger.lease(command.number, command.lease or "")
        for step in command.steps:
            ledger.reports.pop((lease.number, lease.epoch, step.step), None)
        return report(ledger, command, pruning)

    from tpeak_server.service import verbs

    verbs.report = overwriting
    columns = "AS t (number, epoch, step, vals, cost, seq, prune, reason)"
    assert columns in writing.PARTS["r"]
    rule = " ON CONFLICT (study_id, number, epoch, step) DO UPDATE SET values = excluded.values, seq = excluded.seq"
    writing.PARTS["r"] = writing.PARTS["r"].replace(columns, columns + rule)


def tell_hash_ignored() -> None:
    from tpeak_server.service import telling

    telling._content = lambda _: b"any result"


def budget_outside_the_lock() -> None:
    from tpeak_server.service import asking
    from tpeak_server.service.batcher import Batcher
    from tpeak_server.service.commands import Ask

    submit, hand_out, affordable = Batcher.submit, asking._hand_out, asking._affordable
    looked_up: dict[str, int] = {}
    of_this_ask: list[int] = []

    def looking(batcher: Batcher, command: Any) -> Any:
        if isinstance(command, Ask) and batcher.history is not None:
            looked_up.setdefault(command.request_id, batcher.history.clock.handed)
        return submit(batcher, command)

    def handing(ledger: Any, command: Ask, *more: Any) -> Any:
        of_this_ask[:] = [looked_up.get(command.request_id, ledger.handed)]
        try:
            return hand_out(ledger, command, *more)
        finally:
            of_this_ask.clear()

    def left(ledger: Any, wanted: int) -> int:
        if of_this_ask and ledger.study.max_trials is not None:
            return max(0, min(wanted, ledger.study.max_trials - of_this_ask[0]))
        return affordable(ledger, wanted)

    Batcher.submit = looking  # type: ignore[method-assign]
    asking._hand_out, asking._affordable = handing, left


def client_retry_without_key() -> None:
    import json

    from tpeak.transport import Client

    attempt = Client._attempt

    def another_key(self: Any, method: str, path: str, content: bytes | None, *more: Any) -> Any:
        body = json.loads(content) if content else {}
        if "request_id" in body:
            content = json.dumps({**body, "request_id": uuid.uuid4().hex}).encode()
        return attempt(self, method, path, content, *more)

    Client._attempt = another_key  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    "no request key": no_request_key,
    "no epoch check": no_epoch_check,
    "reaper without recheck": reaper_without_recheck,
    "asynchronous commit": asynchronous_commit,
    "max(number) + 1": max_number,
    "no study lock": no_study_lock,
    "reply before commit": reply_before_commit,
    "client retry without key": client_retry_without_key,
    "cache cursor by id": cache_cursor_by_id,
    "transaction time for clock time": transaction_time,
    "no amnesty": no_amnesty,
    "prune decided again": prune_decided_again,
    "report overwritten": report_overwritten,
    "tell hash ignored": tell_hash_ignored,
    "budget checked outside the lock": budget_outside_the_lock,
}


def plant(bug: str) -> None:
    """Makes this process have the bug."""
    BUGS[bug]()
