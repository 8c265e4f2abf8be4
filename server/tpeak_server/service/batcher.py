"""One batcher per active study: what arrived while the last commit was under way becomes one transaction.

Asks are sampled ahead while reports and tells keep committing: one group of them is being sampled while another is
being committed, each for the numbers that come after those of the group before. What a thread would take longer for, in
a contest for the interpreter, is drawn on the event loop, in portions: docs/adr/0020.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from tpeak_server.domain.errors import DatabaseUnavailable, DomainError, Overloaded, ShuttingDown, StudyNotFound
from tpeak_server.service.cached import CachedStudy
from tpeak_server.service.commands import Ask, Command, Suggest
from tpeak_server.service.committing import Committing, Item, asks_and_suggests
from tpeak_server.service.history import History
from tpeak_server.service.plan import Plan
from tpeak_server.service.prepared import Prepared
from tpeak_server.service.proposing import Sampling
from tpeak_server.storage.database import Database

MAX_BATCH = 256
MAX_SLOW = 8
"""Commands that become one transaction, and asks that are one draw where each suggestion takes its time."""

MAX_QUEUE = 4096
"""Commands that may wait for one study; 1,000 workers with a report and a heartbeat each fit."""

LEAVING = "the server is shutting down; send the request again"

logger = logging.getLogger(__name__)


class Batcher:
    """Carries out the commands of one study, in order of arrival, in as few transactions as there is time for."""

    def __init__(self, study_id: int, database: Database, executor: Executor) -> None:
        self._study = CachedStudy(study_id, database)
        self._committing = Committing(self._study, database, executor)
        self._executor = executor
        self._to_sample: deque[Item] = deque()
        self._drawing: list[Item] = []  # the latest that are off this queue, and may not have got to the next
        self._to_commit: deque[Item] = deque()
        self._in_flight: list[Prepared] = []
        self._sampler: asyncio.Task[None] | None = None
        self._committer: asyncio.Task[None] | None = None
        self._fitting: asyncio.Task[None] | None = None
        self._closed = False
        self.used_at = 0.0
        """When the last command came, on the event loop's clock."""

    @property
    def history(self) -> History | None:
        """The study's cache, None while it is not read."""
        return self._study.history

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
        loop = asyncio.get_running_loop()
        self.used_at = loop.time()
        item = Item(command=command, answer=loop.create_future())
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
        _fail([*self._to_sample, *self._drawing, *self._to_commit], ShuttingDown(LEAVING))

    def _commit_soon(self, items: Sequence[Item]) -> None:
        self._to_commit.extend(items)
        if not self._working(self._committer):
            self._committer = asyncio.create_task(self._commit())

    async def _sample(self) -> None:
        committing: asyncio.Task[None] | None = None
        while self._to_sample:
            items: list[Item] = []
            self._drawing = items
            _take(items, self._to_sample, lambda command: command.alone, MAX_SLOW if self._slow else MAX_BATCH)
            prepared = await self._prepared(items) if items else None
            if committing is not None:
                await committing
                committing = None
            if prepared is not None:
                committing = self._hand_over(items, prepared)
            if committing is not None and (not self._to_sample or prepared is None or prepared.in_vain):
                # Asks that come in the meantime find this task at work, so it looks again before it ends. What is drawn
                # again under the lock is nothing to draw the next group in sight of.
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
            # It is drawn once more under the lock, at last item by item, which finds out whose fault it was.
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
        history = await self._study.warm()
        if not self._committing.alone and self._slow:
            return Prepared()  # another replica will have taken the numbers: it is drawn under the lock
        self._fit_ahead(history)
        sampling = self._study.verbs.sampling
        plan = sampling.plan(history, *asks_and_suggests(items), self._in_flight, alone=self._committing.alone)
        if plan.heavy:
            prepared = await asyncio.get_running_loop().run_in_executor(self._executor, plan.draw)
        else:
            prepared = await _drawn_in_turns(plan)
        sampling.keep(plan, prepared)
        return prepared

    @property
    def _slow(self) -> bool:
        """Whether a suggestion may take much longer than one of TPE: so it is where nothing is known yet."""
        try:
            return self._study.history is None or self._study.verbs.sampling.labours(self._study.history)
        except Exception:
            # Who draws finds the same, and tells those who asked; the task that serves them all must go on.
            return True

    def _fit_ahead(self, history: History) -> None:
        """Has a thread fit the next model, where it takes one and that is due."""
        draft = self._study.verbs.sampling.draft(history)
        if draft is not None:
            self._fitting = asyncio.create_task(self._fit(self._study.verbs.sampling, draft))

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
            items: list[Item] = []
            try:
                _take(items, self._to_commit, self._committing.shares_nothing, MAX_BATCH)
                await self._committing.commit(items)
            except (DatabaseUnavailable, StudyNotFound) as error:
                _fail(items, error)
            except Exception as error:
                await self._one_by_one(items, error)
            finally:
                # Whatever ends this task: what it has taken off the queue nobody else would answer.
                _fail(items, ShuttingDown(LEAVING))

    async def _one_by_one(self, items: Sequence[Item], error: Exception) -> None:
        """After a batch failed as a whole: whoever is at fault fails alone."""
        if len(items) == 1:
            _fail(items, error)
            return
        for item in items:
            try:
                await self._committing.commit([item])
            except Exception as own:
                _fail([item], own)

    @staticmethod
    def _working(task: asyncio.Task[None] | None) -> bool:
        return task is not None and not task.done()


def _take(items: list[Item], queue: deque[Item], alone: Callable[[Command], bool], most: int) -> None:
    """Moves up to so many items off the queue, and drops those whose requester has gone before they began."""
    while queue and len(items) < most and not (items and (alone(queue[0].command) or alone(items[0].command))):
        item = queue.popleft()
        if not item.answer.cancelled():
            items.append(item)


async def _drawn_in_turns(plan: Plan) -> Prepared:
    """What is drawn on the event loop; after each portion others get a turn."""
    portions = plan.portions()
    prepared = next(portions)
    for more in portions:
        await asyncio.sleep(0)
        prepared = more
    return prepared


def _fail(items: Sequence[Item], error: Exception) -> None:
    for item in items:
        if not item.answer.done():
            item.answer.set_exception(error)
