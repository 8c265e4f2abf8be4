"""What the model is compared with: two servers in one event loop, on one real PostgreSQL, under a clock that the test
moves, on connections that it cuts.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import psycopg
import uvloop

from tpeak_server.domain.errors import DomainError, NotFound
from tpeak_server.service.application import Application
from tpeak_server.service.commands import Command, Expire
from tpeak_server.service.history import History
from tpeak_server.service.loading import load_history
from tpeak_server.service.studies import NewStudy
from tpeak_server.storage import database

REPLICAS = 2
PATIENCE_S = 20.0
"""No answer takes that long; what does is a command that nobody works on any more."""

# A sequence is read without a snapshot, as a clock is, and the function is inlined: no plan must be made anew when it
# moves.
CLOCK = """
CREATE SEQUENCE IF NOT EXISTS model_clock MINVALUE 0;
SELECT setval('model_clock', extract(epoch FROM clock_timestamp())::bigint + 1);
CREATE OR REPLACE FUNCTION tpeak_now() RETURNS timestamptz LANGUAGE sql VOLATILE
AS $$SELECT to_timestamp(pg_sequence_last_value('model_clock'::regclass))$$
"""


Work: TypeAlias = Callable[[Any], Awaitable[Any]]


class Faults:
    """Cuts the connection of one server's transactions: `before` COMMIT is sent, or `after` it was carried out."""

    def __init__(self, of: database.Database) -> None:
        self.plan: list[str] = []
        self.forever = ""
        of._once = self._faulty(of._once, _cut)  # type: ignore[method-assign]
        of._by_itself = self._faulty(of._by_itself, _cut_statement)  # type: ignore[method-assign]

    def _faulty(self, run: Callable[[Work], Awaitable[Any]], cut: Callable[[Any, Work], Awaitable[None]]) -> Any:
        async def once(work: Work) -> Any:
            fault = self.plan.pop(0) if self.plan else self.forever
            if fault == "before":
                return await run(lambda connection: cut(connection, work))
            result = await run(work)
            if fault == "after":
                raise psycopg.OperationalError("cut after COMMIT")
            return result

        return once


async def _cut_statement(connection: Any, work: Work) -> None:
    await connection.execute("BEGIN")
    await work(connection)
    connection.pgconn.finish()
    raise psycopg.OperationalError("cut before COMMIT")


async def _cut(connection: Any, work: Work) -> None:
    execute = connection.execute

    async def refuse(statement: Any, *rest: Any, **more: Any) -> Any:
        if statement != "COMMIT":
            return await execute(statement, *rest, **more)
        connection.pgconn.finish()
        raise psycopg.OperationalError("cut before COMMIT")

    connection.execute = refuse
    await work(connection)
    # The work leaves its COMMIT to the caller.
    connection.pgconn.finish()
    raise psycopg.OperationalError("cut before COMMIT")


class Errors(logging.Handler):
    """What the servers log as an error: there must be none."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


class World:
    """The servers, the database, and the time."""

    def __init__(self, database_url: str) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.sql = psycopg.connect(database_url, autocommit=True)
        # What is tested is logic: nothing here must survive the loss of power.
        self.sql.execute(f'ALTER DATABASE "{self.sql.info.dbname}" SET synchronous_commit = off')
        self.sql.execute(CLOCK)
        self.replicas = [Application(database_url) for _ in range(REPLICAS)]
        self.faults = [Faults(replica.database) for replica in self.replicas]
        self._names = itertools.count()
        self._patience = (database.FIRST_PAUSE_S, database.TRIES)
        database.FIRST_PAUSE_S, database.TRIES = 0.0, 3
        self.errors = Errors()
        logger = logging.getLogger("tpeak_server")
        self._logged = (logger.level, logger.propagate)
        logger.addHandler(self.errors)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        # It tells of every connection that is cut.
        logging.getLogger("psycopg").setLevel(logging.ERROR)

    def now(self) -> int:
        """The database's clock."""
        return int(self.rows("SELECT extract(epoch FROM tpeak_now())::bigint")[0][0])

    def move(self, seconds: int) -> None:
        """Lets time pass."""
        self.sql.execute(
            "SELECT setval('model_clock', pg_sequence_last_value('model_clock'::regclass) + %s)", [seconds]
        )

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.sql.execute(statement, parameters, prepare=True).fetchall()

    def study(self, settings: dict[str, Any]) -> int:
        """A new study's id."""
        key = f"study {next(self._names)}"
        new = NewStudy(request_id=key, name=key, settings=settings, load_if_exists=False)
        return int(self.run(self.replicas[0].studies.create(new)).study.id)

    def forget(self, study_id: int) -> None:
        """Leaves nothing of the study that the reaper would look at."""
        self.sql.execute("UPDATE leases SET live = false WHERE study_id = %s AND live", [study_id])
        for replica in self.replicas:
            replica._batchers.pop(study_id, None)

    def evict(self, study_id: int, replica: int) -> None:
        """The server has nothing of the study in its cache any more."""
        self.replicas[replica]._batchers.pop(study_id, None)

    def send(self, study_id: int, command: Command, replica: int) -> Any:
        """The answer to one command, errors of the domain among them."""
        return self.run(self._answer(study_id, command, replica))

    def send_all(self, study_id: int, commands: list[tuple[Command, int]], ticking: int | None) -> list[Any]:
        """The answers to commands that are all there before any of them is worked on.

        With a server that is `ticking`, its reaper has seen what is overdue, and has not taken it back yet.
        """

        async def together() -> list[Any]:
            return await asyncio.gather(*(self._answer(study_id, command, replica) for command, replica in commands))

        async def in_between() -> list[Any]:
            reaper = self.replicas[ticking or 0].reaper
            submit = reaper._submit
            answers: list[asyncio.Task[list[Any]]] = []

            async def late(study_id: int, command: Command) -> object:
                if isinstance(command, Expire):
                    answers.extend([] if answers else [asyncio.create_task(together())])
                    await answers[0]
                return await submit(study_id, command)

            reaper._submit = late
            try:
                await reaper.tick()
            finally:
                reaper._submit = submit
            return answers[0].result() if answers else await together()

        return list(self.run(together() if ticking is None else in_between()))

    def tick(self, replica: int) -> None:
        self.run(self.replicas[replica].reaper.tick())

    def read(self, study_id: int, number: int, replica: int) -> Any:
        """The trial's record as a reader gets it, with the distributions that it refers to; None for a deleted one."""
        try:
            page = self.run(self.replicas[replica].reading.trial(study_id, number))
        except NotFound:
            return None
        return page.records[0], page.interned

    def best(self, study_id: int, replica: int) -> int | None:
        """The number of the best trial."""
        try:
            return int(self.run(self.replicas[replica].reading.best(study_id)).records[0].trial.number)
        except NotFound:
            return None

    def cached(self, study_id: int, replica: int) -> History | None:
        """What the server has in its cache, None where that is nothing, or not of now."""
        batcher = self.replicas[replica]._batchers.get(study_id)
        return None if batcher is None else batcher.history

    def fresh(self, study_id: int) -> History:
        """What a server that starts now would have in its cache."""

        async def load() -> History:
            async with self.replicas[0].database.reading() as connection:
                return await load_history(connection, study_id)

        history: History = self.run(load())
        return history

    def run(self, work: Any) -> Any:
        return self._runner.run(asyncio.wait_for(work, PATIENCE_S))

    def close(self) -> None:
        """Closes every connection, and leaves the process as it was."""
        for replica in self.replicas:
            self.run(replica.stop())
        self._runner.close()
        self.sql.close()
        database.FIRST_PAUSE_S, database.TRIES = self._patience
        logger = logging.getLogger("tpeak_server")
        logger.removeHandler(self.errors)
        logger.level, logger.propagate = self._logged

    async def _answer(self, study_id: int, command: Command, replica: int) -> Any:
        try:
            return await self.replicas[replica].submit(study_id, command)
        except DomainError as error:
            return error
