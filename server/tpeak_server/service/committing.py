"""How a batch of a study's commands becomes one transaction, and how its answers are found."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from tpeak_server.domain.changes import Locked, Wanted, unread
from tpeak_server.domain.errors import DatabaseUnavailable, DomainError
from tpeak_server.service.cached import CachedStudy, Forgotten
from tpeak_server.service.commands import Ask, Command, ImportLines, Suggest
from tpeak_server.service.history import History
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.prepared import Prepared
from tpeak_server.service.proposing import TakesTime
from tpeak_server.storage.database import Database, Driver
from tpeak_server.storage.history import load_changed, load_trials
from tpeak_server.storage.locked import load
from tpeak_server.storage.writing import OutOfDate, save, write

FRESH_STARTS = 3
"""How often a batch begins anew because its history was forgotten: it lagged far behind, or connections were lost, as
they are every time to a database that is read-only."""

SLOW_UNDER_LOCK = 16
"""Suggestions that take their time and are drawn under a study's lock, for a third of a second: one an ask at least."""

FAR_BEHIND = 5_000
"""Changes that a history may lag behind by and still catch up under the study's lock, where their records are read and
parsed on the event loop: some tenths of a second."""

UNSTEADY = "the connections to the database break again and again; send the request again with the same key"

Outcome: TypeAlias = tuple[Ledger, list[Any]]
"""What a transaction has changed, and the answers."""


@dataclass(slots=True, kw_only=True)
class Item:
    """A command, who waits for its answer, and what was sampled for it."""

    command: Command
    answer: asyncio.Future[Any]
    prepared: Prepared = field(default_factory=Prepared)


class Crowded(Exception):
    """A command that must see the study exactly as it is was put into a transaction with others."""


class Batch:
    """Items on their way into one transaction, which may take several tries.

    `patient` says that its history catches up under the lock however far behind it is.
    """

    def __init__(self, items: Sequence[Item], history: History, *, patient: bool) -> None:
        self.items = items
        self.history = history
        self.patient = patient
        self._taken = [(item.prepared, item.prepared.taken) for item in items]

    def take_back(self) -> None:
        """Undoes what a try took of the samples, and had the curves show: what was not committed was not taken."""
        for prepared, count in self._taken:
            prepared.rewind(count)
        self.history.take_back()


class Committing:
    """Carries out one study's batches.

    `alone` says that the cache knew of everything when it was last compared with the database: that neither had another
    server written to the study, nor this one what the cache does not follow, as an import or a late result.
    """

    def __init__(self, study: CachedStudy, database: Database, executor: Executor) -> None:
        self.alone = True
        self._study = study
        self._database = database
        self._executor = executor

    async def commit(self, items: Sequence[Item]) -> None:
        """Answers all of them, each with its own error if it has one. Raises what is wrong with the whole batch."""
        # Each request of an import leaves the history behind by all that it brings: to catch up with that is less than
        # to read the whole study anew.
        patient = any(isinstance(item.command, ImportLines) for item in items)
        for _ in range(FRESH_STARTS):
            if await self._committed(Batch(items, await self._study.warm(), patient=patient)):
                return
            patient = True  # it was read a moment ago, and others may write faster than a study can be read
        raise DatabaseUnavailable(UNSTEADY)

    def shares_nothing(self, command: Command) -> bool:
        """Whether the command shares its transaction with no other: so do those for a sampler that must see all.

        And those for a sampler that this version cannot build: they fail when they are carried out, nobody with them.
        """
        if command.alone or not isinstance(command, (Ask, Suggest)) or self._study.history is None:
            return command.alone
        try:
            return self._study.verbs.sampling.walks(self._study.history.study)
        except Exception:
            return True

    async def _committed(self, batch: Batch) -> bool:
        """Whether the batch was carried out: not where its history had to be forgotten."""
        try:
            ledger, answers = await self._first_that_fits(batch)
        except Forgotten:
            batch.take_back()
            return False
        except Exception:
            batch.take_back()
            raise
        if not ledger.stale:
            self._study.follow(batch.history, ledger.delta())
        for item, answer in zip(batch.items, answers, strict=True):
            _deliver(item, answer)
        return True

    async def _first_that_fits(self, batch: Batch) -> Outcome:
        """One round trip where the cache holds all that is needed, two where it does not or is out of date.

        Where the cache was out of date the last time, it is taken to be so again: another replica may be at work.
        """
        if self.alone and _known(batch):
            try:
                return await self._database.statement(partial(self._unlocked, batch))
            except OutOfDate:
                pass
        return await self._database.transaction(partial(self._locked, batch))

    async def _unlocked(self, batch: Batch, connection: Driver) -> Outcome:
        self._study.check(batch.history)
        clock = batch.history.clock
        ledger = Ledger(unread(clock), batch.history)
        try:
            answers = self._carry_out(ledger, batch)
        except TakesTime as error:
            raise OutOfDate from error
        if not ledger.changes.hot:
            raise OutOfDate
        await write(connection, self._study.study_id, clock.seq, ledger.changes)
        return ledger, answers

    async def _locked(self, batch: Batch, connection: Driver) -> Outcome:
        rows = await self._read(batch, connection)
        ledger = Ledger(rows, batch.history)
        try:
            answers = self._carry_out(ledger, batch)
        except TakesTime as wanted:
            drawn = await self._drawn_under_lock(batch, rows.asks, wanted.first)
            ledger = Ledger(rows, batch.history)
            answers = self._carry_out(ledger, batch, drawn)
        await save(connection, self._study.study_id, rows.clock.seq, ledger.changes)
        return ledger, answers

    async def _read(self, batch: Batch, connection: Driver) -> Locked:
        """Locks the study, brings the cache up to date and reads what the batch wants beside it."""
        study_id, history = self._study.study_id, batch.history
        rows = await load(connection, study_id, wanted := _wanted(batch))
        if rows.clock.seq - history.clock.seq > FAR_BEHIND and not batch.patient:
            # The study is read without the lock, in threads, and in a form that costs a small part of as many records.
            self._study.forget()
        self._study.check(history)
        self.alone = rows.clock.seq == history.clock.seq
        if not self.alone:
            changed = await load_changed(connection, study_id, history.clock.seq, history.warm)
            self._study.follow(history, changed)
            before, wanted = wanted, _wanted(batch)
            # What the cache seemed to know may have been wrong; what was read is right, under the lock.
            if wanted != before:
                rows = await load(connection, study_id, wanted)
        if wanted.whole:
            whole = await load_trials(connection, study_id, sorted(wanted.whole))
            rows.whole = {record.trial.number: record for record in whole.records}
        return rows

    async def _drawn_under_lock(self, batch: Batch, answered: Container[str], first: int) -> Prepared:
        """The samples for a batch whose own are of no use, drawn in a thread: for the numbers from `first` on.

        The history is the latest there is: the study waits, and the event loop does not. Repetitions of asks need none,
        and each ask gets a share of what the lock may be held for.
        """
        batch.history.take_back()
        asks, suggests = asks_and_suggests(batch.items)
        new = [ask for ask in asks if ask.request_id not in answered]
        share = max(1, SLOW_UNDER_LOCK // max(1, len(new)))
        few = [replace(ask, count=min(ask.count, share)) for ask in new]
        plan = self._study.verbs.sampling.plan(batch.history, few, suggests, (), first=first)
        return await asyncio.get_running_loop().run_in_executor(self._executor, plan.draw_under_lock, share)

    def _carry_out(self, ledger: Ledger, batch: Batch, drawn: Prepared | None = None) -> list[Any]:
        """The answers, errors of the domain among them. What was `drawn` takes the place of the batch's own samples."""
        batch.take_back()  # of an earlier try
        if len(batch.items) > 1 and any(self.shares_nothing(item.command) for item in batch.items):
            raise Crowded  # another replica has changed the sampler
        answers = [self._answer(ledger, item.command, drawn or item.prepared) for item in batch.items]
        ledger.close()
        return answers

    def _answer(self, ledger: Ledger, command: Command, prepared: Prepared) -> Any:
        try:
            return self._study.verbs.carry_out(ledger, command, prepared)
        except DomainError as error:
            return error


def asks_and_suggests(items: Sequence[Item]) -> tuple[list[Ask], list[Suggest]]:
    """What a sampler has to do with."""
    commands = [item.command for item in items]
    asks = [command for command in commands if isinstance(command, Ask)]
    return asks, [command for command in commands if isinstance(command, Suggest)]


def _known(batch: Batch) -> bool:
    """Whether the cache holds all that these commands need to see: no row, and no time."""
    commands = [item.command for item in batch.items]
    if any(isinstance(command, Ask) and _needs_time(command, batch.history) for command in commands):
        return False
    return not _wanted(batch).rows


def _needs_time(ask: Ask, history: History) -> bool:
    study, host = history.study, history.hosts.get(ask.host or "")
    timed = study.timeout_s is not None or study.first_ask_at is None
    return timed or (host is not None and host.paused_until is not None)


def _wanted(batch: Batch) -> Wanted:
    wanted = Wanted()
    for item in batch.items:
        item.command.wants(wanted, batch.history.unfinished.get)
    return wanted


def _deliver(item: Item, answer: Any) -> None:
    if item.answer.done():
        return
    if isinstance(answer, DomainError):
        item.answer.set_exception(answer)
    else:
        item.answer.set_result(answer)
