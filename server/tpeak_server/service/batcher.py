"""One batcher per active study: what arrived while the last commit was under way becomes one transaction.

Asks are sampled ahead while reports and tells keep committing: one group of them is being sampled while another is
being committed, each for the numbers that come after those of the group before. What a thread would take longer for, in
a contest for the interpreter, is drawn on the event loop, in portions: docs/adr/0020.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Container, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tpeak_server.domain.changes import Wanted, unread
from tpeak_server.domain.errors import DatabaseUnavailable, DomainError, Overloaded, ShuttingDown, StudyNotFound
from tpeak_server.service.commands import Ask, Command, Suggest
from tpeak_server.service.history import History
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.loading import load_history
from tpeak_server.service.plan import PORTION, Plan
from tpeak_server.service.prepared import Prepared
from tpeak_server.service.proposing import Sampling, TakesTime
from tpeak_server.service.verbs import Verbs
from tpeak_server.storage.database import Database, Driver
from tpeak_server.storage.history import load_changed, load_trials
from tpeak_server.storage.locked import load
from tpeak_server.storage.writing import OutOfDate, save, write

MAX_BATCH = 256
MAX_QUEUE = 4096
"""Commands that may wait for one study; 1,000 workers with a report and a heartbeat each fit."""

FRESH_STARTS = 3
"""How often a batch begins anew because connections were lost; a database that is read-only loses them every time."""

UNSTEADY = "the connections to the database break again and again; send the request again with the same key"

LEAVING = "the server is shutting down; send the request again"

Transaction: TypeAlias = Callable[[Driver], Awaitable[tuple[Ledger, list[Any]]]]

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Item:
    """A command, who waits for its answer, and what was sampled for it."""

    command: Command
    answer: asyncio.Future[Any]
    prepared: Prepared = field(default_factory=Prepared)


class AnotherDatabase(Exception):
    """The database may have been restored, or be another server's, since the history was read from it."""


class Crowded(Exception):
    """A command that must see the study exactly as it is was put into a transaction with others."""


class Batcher:
    """Carries out the commands of one study, in order of arrival, in as few transactions as there is time for."""

    def __init__(self, study_id: int, database: Database, executor: Executor) -> None:
        self.study_id = study_id
        self.history: History | None = None
        self._database = database
        self._executor = executor
        self._verbs = Verbs()
        self._breaks = 0
        self._alone = True
        self._warming = asyncio.Lock()
        self._to_sample: deque[Item] = deque()
        self._to_commit: deque[Item] = deque()
        self._in_flight: list[Prepared] = []
        self._sampler: asyncio.Task[None] | None = None
        self._committer: asyncio.Task[None] | None = None
        self._fitting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not (self._to_sample or self._to_commit or self._at_work)

    @property
    def _at_work(self) -> list[asyncio.Task[None]]:
        tasks = (self._sampler, self._committer, self._fitting)
        return [task for task in tasks if task is not None and not task.done()]

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """The command's answer, once it is committed. Raises Overloaded and ShuttingDown."""
        if self._closed:
            raise ShuttingDown(LEAVING)
        if len(self._to_sample) + len(self._to_commit) >= MAX_QUEUE:
            raise Overloaded(f"{MAX_QUEUE} requests wait for this study; send the request again later")
        item = Item(command=command, answer=asyncio.get_running_loop().create_future())
        if isinstance(command, (Ask, Suggest)):
            self._to_sample.append(item)
            if not self._working(self._sampler):
                self._sampler = asyncio.create_task(self._sample())
        else:
            self._commit_soon([item])
        return item.answer

    async def close(self) -> None:
        """Takes no more commands and finishes those that wait; what nobody works on any more is refused."""
        self._closed = True
        while self._at_work:
            await asyncio.wait(self._at_work)
        _fail([*self._to_sample, *self._to_commit], ShuttingDown(LEAVING))

    def _commit_soon(self, items: Sequence[Item]) -> None:
        self._to_commit.extend(items)
        if not self._working(self._committer):
            self._committer = asyncio.create_task(self._commit())

    async def _sample(self) -> None:
        committing: asyncio.Task[None] | None = None
        while self._to_sample:
            most = PORTION if self._verbs.sampling.labours() else MAX_BATCH
            items = _take(self._to_sample, lambda command: command.alone, most)
            prepared = await self._prepared(items) if items else None
            if committing is not None:
                await committing
                committing = None
            if prepared is not None:
                committing = self._hand_over(items, prepared)
            if committing is not None and not self._to_sample:
                # Asks that come in the meantime find this task at work, so it looks again before it ends.
                await committing
                committing = None

    async def _prepared(self, items: Sequence[Item]) -> Prepared | None:
        """The samples for a group of asks, None where they have failed already."""
        try:
            return await self._prepare(items)
        except DomainError as error:
            _fail(items, error)
            return None
        except Exception:
            # The verb samples once more under the lock, item by item, and so finds out whose fault it was.
            logger.exception("sampling ahead failed")
            return Prepared()

    def _hand_over(self, items: Sequence[Item], prepared: Prepared) -> asyncio.Task[None]:
        """Has the group committed, which the task waits for; until then its points are pending to the next."""
        for item in items:
            item.prepared = prepared
        self._in_flight.append(prepared)
        self._commit_soon(items)
        return asyncio.create_task(self._until_answered(items, prepared))

    async def _until_answered(self, items: Sequence[Item], prepared: Prepared) -> None:
        await asyncio.wait([item.answer for item in items])
        self._in_flight.remove(prepared)
        prepared.ahead = ()  # or each would keep all before it

    async def _prepare(self, items: Sequence[Item]) -> Prepared:
        history = await self._warm()
        if not self._alone and self._verbs.sampling.labours():
            return Prepared()  # another replica will have taken the numbers: it is drawn under the lock
        self._fit_ahead(history)
        plan = self._verbs.sampling.plan(history, *_asks_and_suggests(items), self._in_flight)
        if plan.heavy:
            return await asyncio.get_running_loop().run_in_executor(self._executor, plan.draw)
        prepared = Prepared()
        for portion in plan.portions():
            prepared = portion
            await asyncio.sleep(0)  # others get a turn
        return prepared

    def _fit_ahead(self, history: History) -> None:
        """Has a thread fit the next model, where it takes one and that is due."""
        draft = self._verbs.sampling.draft(history)
        if draft is not None:
            self._fitting = asyncio.create_task(self._fit(self._verbs.sampling, draft))

    async def _fit(self, sampling: Sampling, draft: Plan) -> None:
        drawn = False
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, draft.draw)
            drawn = True
        except Exception:
            # Who asks next has it fitted once more, and is told what is wrong.
            logger.exception("fitting a model ahead failed")
        finally:
            sampling.take_up(drawn=drawn)

    async def _commit(self) -> None:
        while self._to_commit:
            items = _take(self._to_commit, self._is_alone, MAX_BATCH)
            try:
                await self._commit_batch(items)
            except (DatabaseUnavailable, StudyNotFound) as error:
                _fail(items, error)
            except Exception as error:
                await self._one_by_one(items, error)

    async def _one_by_one(self, items: Sequence[Item], error: Exception) -> None:
        """After a batch failed as a whole: whoever is at fault fails alone."""
        if len(items) == 1:
            _fail(items, error)
            return
        for item in items:
            try:
                await self._commit_batch([item])
            except Exception as own:
                _fail([item], own)

    async def _commit_batch(self, items: Sequence[Item]) -> None:
        for _ in range(FRESH_STARTS):
            if await self._committed(items, await self._warm()):
                return
        raise DatabaseUnavailable(UNSTEADY)

    async def _committed(self, items: Sequence[Item], history: History) -> bool:
        """Whether the batch was carried out: not where the database may be one that this history is not of."""
        taken = [(item.prepared, item.prepared.taken) for item in items]

        async def unlocked(connection: Driver) -> tuple[Ledger, list[Any]]:
            self._check_database()
            ledger = Ledger(unread(history.clock), history)
            try:
                answers = self._carry_out(ledger, items, taken)
            except TakesTime as error:
                raise OutOfDate from error
            if not ledger.changes.hot:
                raise OutOfDate
            await write(connection, self.study_id, history.clock.seq, ledger.changes)
            return ledger, answers

        async def locked(connection: Driver) -> tuple[Ledger, list[Any]]:
            rows = await load(connection, self.study_id, wanted := _wanted(items, history))
            self._check_database()
            self._alone = rows.clock.seq == history.clock.seq
            if not self._alone:
                history.apply(await load_changed(connection, self.study_id, history.clock.seq, history.warm))
                before, wanted = wanted, _wanted(items, history)
                # What the cache seemed to know may have been wrong; what was read is right, under the lock.
                if wanted != before:
                    rows = await load(connection, self.study_id, wanted)
            if wanted.whole:
                whole = await load_trials(connection, self.study_id, sorted(wanted.whole))
                rows.whole = {record.trial.number: record for record in whole.records}
            ledger = Ledger(rows, history)
            try:
                answers = self._carry_out(ledger, items, taken)
            except TakesTime:
                drawn = await self._drawn_under_lock(items, history, rows.asks)
                ledger = Ledger(rows, history)
                answers = self._carry_out(ledger, items, taken, drawn)
            await save(connection, self.study_id, rows.clock.seq, ledger.changes)
            return ledger, answers

        try:
            ledger, answers = await self._first_that_fits(items, history, unlocked, locked)
        except AnotherDatabase:
            return False
        except Exception:
            for prepared, count in taken:  # what was not committed was not taken
                prepared.rewind(count)
            history.take_back()
            raise
        if not ledger.stale:
            history.apply(ledger.delta())
        for item, answer in zip(items, answers, strict=True):
            _deliver(item, answer)
        return True

    async def _first_that_fits(
        self, items: Sequence[Item], history: History, unlocked: Transaction, locked: Transaction
    ) -> tuple[Ledger, list[Any]]:
        """One round trip where the cache holds all that is needed, two where it does not or is out of date.

        Where another replica has written to the study of late, the cache is taken to be out of date.
        """
        if self._alone and _known(items, history):
            try:
                return await self._database.statement(unlocked)
            except OutOfDate:
                pass
        return await self._database.transaction(locked)

    async def _drawn_under_lock(self, items: Sequence[Item], history: History, answered: Container[str]) -> Prepared:
        """The samples for a batch whose own are of no use, drawn in a thread; repetitions of asks need none.

        The history is the latest there is: the study waits, and other studies do not.
        """
        history.take_back()
        asks, suggests = _asks_and_suggests(items)
        new = [ask for ask in asks if ask.request_id not in answered]
        plan = self._verbs.sampling.plan(history, new, suggests, ())
        return await asyncio.get_running_loop().run_in_executor(self._executor, plan.draw_under_lock)

    def _carry_out(
        self,
        ledger: Ledger,
        items: Sequence[Item],
        taken: Sequence[tuple[Prepared, int]],
        drawn: Prepared | None = None,
    ) -> list[Any]:
        """The answers, errors of the domain among them; `taken` undoes what an earlier try took of the samples.

        What was `drawn` since takes their place.
        """
        for prepared, count in taken:
            prepared.rewind(count)
        if len(items) > 1 and any(self._is_alone(item.command) for item in items):
            raise Crowded  # another replica has changed the sampler
        ledger.history.take_back()  # of an earlier try
        answers = [self._answer(ledger, item.command, drawn or item.prepared) for item in items]
        ledger.close()
        return answers

    def _answer(self, ledger: Ledger, command: Command, prepared: Prepared) -> Any:
        try:
            return self._verbs.carry_out(ledger, command, prepared)
        except DomainError as error:
            return error

    def _is_alone(self, command: Command) -> bool:
        """Whether the command shares its transaction with no other: so do those for a sampler that must see all."""
        if command.alone or not isinstance(command, (Ask, Suggest)) or self.history is None:
            return command.alone
        return self._verbs.sampling.walks(self.history.study)

    def _check_database(self) -> None:
        """Raises AnotherDatabase where connections were lost since the history was read."""
        if self._database.breaks != self._breaks:
            raise AnotherDatabase

    def _forget(self) -> None:
        """Begins anew, without what samplers and pruners made of the history either."""
        self.history, self._verbs = None, Verbs()

    async def _warm(self) -> History:
        async with self._warming:
            if self._breaks != self._database.breaks:
                self._forget()
            if self.history is None:
                self._breaks = self._database.breaks
                async with self._database.reading() as connection:
                    history = await load_history(connection, self.study_id)
                self.history = history
            return self.history

    @staticmethod
    def _working(task: asyncio.Task[None] | None) -> bool:
        return task is not None and not task.done()


def _take(queue: deque[Item], alone: Callable[[Command], bool], most: int) -> list[Item]:
    """Up to so many items off the queue, without those whose requester has gone before they began."""
    items: list[Item] = []
    while queue and len(items) < most and not (items and (alone(queue[0].command) or alone(items[0].command))):
        items.append(queue.popleft())
    return [item for item in items if not item.answer.cancelled()]


def _asks_and_suggests(items: Sequence[Item]) -> tuple[list[Ask], list[Suggest]]:
    """What a sampler has to do with."""
    commands = [item.command for item in items]
    asks = [command for command in commands if isinstance(command, Ask)]
    return asks, [command for command in commands if isinstance(command, Suggest)]


def _known(items: Sequence[Item], history: History) -> bool:
    """Whether the cache holds all that these commands need to see: no row, and no time."""
    if any(isinstance(item.command, Ask) and _needs_time(item.command, history) for item in items):
        return False
    return not _wanted(items, history).rows


def _needs_time(ask: Ask, history: History) -> bool:
    study, host = history.study, history.hosts.get(ask.host or "")
    timed = study.timeout_s is not None or study.first_ask_at is None
    return timed or (host is not None and host.paused_until is not None)


def _wanted(items: Sequence[Item], history: History) -> Wanted:
    wanted = Wanted()
    for item in items:
        item.command.wants(wanted, history.unfinished.get)
    return wanted


def _deliver(item: Item, answer: Any) -> None:
    if item.answer.done():
        return
    if isinstance(answer, DomainError):
        item.answer.set_exception(answer)
    else:
        item.answer.set_result(answer)


def _fail(items: Sequence[Item], error: Exception) -> None:
    for item in items:
        if not item.answer.done():
            item.answer.set_exception(error)
