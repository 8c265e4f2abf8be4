"""Connections, transactions, and what to do when PostgreSQL does not answer.

Writers and readers have a pool of their own, so readers that take their time keep no transaction waiting. But a study
that a server does not know yet is read by a connection of the readers': its first request may have to wait for one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy import exc, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from tpeak_server.domain.errors import DatabaseUnavailable, InvalidValue, Overloaded

Result = TypeVar("Result")
Driver: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Cursor: TypeAlias = psycopg.AsyncCursor[tuple[Any, ...]]
Work: TypeAlias = Callable[[Driver], Awaitable[Result]]

BY_KEY = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
"""A writer finds every row by its key. A prepared plan outlives the size that the tables had when it was made: one from
their first minute would scan them for ever."""

WITHOUT_LOOPS = " -c enable_nestloop=off"
"""A reader joins whole studies. Of one that is newer than the tables' statistics PostgreSQL expects a row, and would go
through the other table once for each of thousands: 4 s for what takes 7 ms."""

POOL_SIZE = 4
"""Connections of each pool; on two cores 4 give a p99 of 6 ms where 16 give 45."""

TRIES = 5
PATIENCE_S = 3.0
FIRST_PAUSE_S = 0.05

SILENCE_S = 20.0
"""How long an answer may take: the server's own limits end it earlier, unless the way there swallows what is sent."""

ENDED_STATES = frozenset({"25P03", "25P04", "57P05"})
"""PostgreSQL ended a session that was idle, or in a transaction, for longer than its settings allow: this process may
have stood still. Other connections may be whole."""

RERUN_STATES = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "25006"}) | ENDED_STATES
RERUN_CLASSES = ("08", "53")
"""A connection that broke, and a server short of disk, memory or connections."""

QUERY_CANCELED = "57014"
GONE_STATES = frozenset({"57P01", "57P02", "57P03", "25006"})

NOT_COMPILED = "-c jit=off "
"""What is asked for takes less than a millisecond, and its cost is estimated for tables of any size: to compile it,
which PostgreSQL does where it was built with LLVM, took a quarter of a second for each tick of the reaper."""

SESSION = NOT_COMPILED + "-c lock_timeout=2000 -c statement_timeout=10000 -c idle_in_transaction_session_timeout=15000"
"""Limits in ms: a writer that hangs must not hold a study's lock for longer than its clients wait."""

TROUBLE = (psycopg.OperationalError, psycopg.InternalError, exc.DBAPIError, OSError)
"""What a reader runs into that may pass, unless it is `_unforeseen`."""

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

UNDEFINED_STATES = frozenset({"42P01", "42703", "42883"})
"""A table, column or function is missing: the database has not been migrated yet, or not for this version."""

OTHER_SCHEMA = "the database has no schema of this version; run `tpeak migrate`, or see what GET /readyz says"

TOO_SLOW = "the database does not answer in time; send the request again with the same key"

IN_USE = "all connections to the database are in use; send the request again with the same key"

logger = logging.getLogger(__name__)


EXPORTS = 2
"""Exports that may be under way at once; each holds a connection of its own and a snapshot."""

EXPORT_SESSION = NOT_COMPILED + "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=300000"
"""Limits in ms: a client takes its time over what it was sent, but may not hold the snapshot of one that is gone."""


class Database:
    """The write pool and the read pool over one PostgreSQL, and connections for exports."""

    def __init__(self, url: str) -> None:
        self.writers = _engine(url, SESSION + BY_KEY)
        self.readers = _engine(url, SESSION + WITHOUT_LOOPS)
        self.breaks = 0
        self._trouble: str | None = None
        self._exporters = create_async_engine(
            sqlalchemy_url(url), poolclass=NullPool, connect_args=_arguments(EXPORT_SESSION + BY_KEY)
        )
        self._exports = 0

    async def transaction(self, work: Work[Result]) -> Result:
        """Runs `work` on a connection and commits; `work` runs anew where the trouble may pass.

        `work` must find what an earlier run of it committed, since a lost connection leaves a COMMIT's outcome
        unknown. Raises DatabaseUnavailable when the tries or the time are used up, InvalidValue where PostgreSQL
        refuses a value (class 22).
        """
        result = await self._persistently(self.writers, lambda: self._once(work))
        self._trouble = None
        return result

    async def statement(self, work: Work[Result]) -> Result:
        """Like `transaction`, of a `work` that executes one statement: that commits by itself.

        BEGIN and COMMIT around it would each be sent, waited for and carried out for themselves.
        """
        result = await self._persistently(self.writers, lambda: self._by_itself(work))
        self._trouble = None
        return result

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Driver]:
        """A connection that sees one snapshot. Raises DatabaseUnavailable where there is none to be had."""
        try:
            async with AsyncExitStack() as stack:
                connection = await self._persistently(self.readers, lambda: self._snapshot(stack))
                try:
                    yield connection
                    self._trouble = None
                finally:
                    if not connection.closed:
                        await connection.rollback()
        except psycopg.DataError as error:
            raise InvalidValue(f"the database refuses a value: {error}") from error
        except (
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.UndefinedFunction,
        ) as error:
            self._note(error)
            raise DatabaseUnavailable(OTHER_SCHEMA) from error
        except exc.TimeoutError as error:
            raise DatabaseUnavailable(IN_USE) from error
        except TROUBLE as error:
            cause = getattr(error, "orig", None) or error
            if _unforeseen(cause):
                raise
            self._note(cause)
            if _gone(cause):
                await self._give_up(self.readers)
            raise DatabaseUnavailable("the database does not answer; try again") from error

    @asynccontextmanager
    async def exporting(self) -> AsyncIterator[Driver]:
        """A connection outside of the pools that sees one snapshot for as long as it takes.

        Raises Overloaded where EXPORTS are under way, DatabaseUnavailable where the connection is lost.
        """
        if self._exports >= EXPORTS:
            raise Overloaded(f"{EXPORTS} exports are under way on this server; try again when one has ended")
        self._exports += 1
        try:
            async with driver(self._exporters) as connection:
                await connection.execute(SNAPSHOT)
                yield connection
        except TROUBLE as error:
            if _unforeseen(error):
                raise
            logger.warning("an export failed: %s", error)
            raise DatabaseUnavailable("the database does not answer; try again") from error
        finally:
            self._exports -= 1

    async def close(self) -> None:
        """Closes every connection."""
        await self.writers.dispose()
        await self.readers.dispose()

    async def _once(self, work: Work[Result]) -> Result:
        async with driver(self.writers) as connection:
            try:
                result = await work(connection)
                await connection.commit()
            except BaseException:
                if not connection.closed and connection.pgconn.pipeline_status == PipelineStatus.OFF:
                    await connection.rollback()
                raise
            return result

    async def _by_itself(self, work: Work[Result]) -> Result:
        async with driver(self.writers) as connection:
            await connection.set_autocommit(True)
            try:
                return await work(connection)
            finally:
                if _at_rest(connection):
                    await connection.set_autocommit(False)

    async def _snapshot(self, stack: AsyncExitStack) -> Driver:
        """A connection that sees one snapshot until the stack is left. Pooled ones may have died meanwhile."""
        async with AsyncExitStack() as own:
            connection = await own.enter_async_context(driver(self.readers))
            await connection.execute(SNAPSHOT)
            stack.push_async_exit(own.pop_all())
        return connection

    async def _persistently(self, pool: AsyncEngine, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """What `attempt` gives, made anew where the trouble may pass; see `transaction` for what is raised."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        pause_s = FIRST_PAUSE_S
        for number in range(1, TRIES + 1):
            try:
                return await attempt()
            except psycopg.Error as error:
                await self._may_rerun(pool, error, number)
            except exc.TimeoutError as error:
                # The pool is whole, and waited for long enough: a new one would double the connections under load.
                raise DatabaseUnavailable(IN_USE) from error
            except (exc.DBAPIError, OSError) as error:
                await self._may_rerun(pool, getattr(error, "orig", None) or error, number)
            if asyncio.get_running_loop().time() + pause_s > deadline:
                break
            await asyncio.sleep(pause_s)
            pause_s *= 2
        raise DatabaseUnavailable(TOO_SLOW)

    async def _give_up(self, pool: AsyncEngine) -> None:
        self.breaks += 1
        await pool.dispose()

    def _note(self, error: BaseException) -> None:
        """Logs the trouble, once: the reaper alone reads twice a second, and an outage may last for hours."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            logger.warning("the database is in trouble (%s): %s", getattr(error, "sqlstate", None), error)

    async def _may_rerun(self, pool: AsyncEngine, error: BaseException, attempt: int) -> None:
        state = getattr(error, "sqlstate", None)
        if state is not None and state.startswith("22"):
            raise InvalidValue(f"the database refuses a value: {error}") from error
        if state in UNDEFINED_STATES:
            self._note(error)
            raise DatabaseUnavailable(OTHER_SCHEMA) from error
        if state == QUERY_CANCELED and attempt == 1:
            return
        if state == QUERY_CANCELED:
            raise DatabaseUnavailable(TOO_SLOW) from error
        if state is not None and state not in RERUN_STATES and not state.startswith(RERUN_CLASSES):
            raise error
        if _gone(error):
            await self._give_up(pool)
        self._note(error)


def _unforeseen(error: BaseException) -> bool:
    """Whether it is an error that does not pass; of psycopg's InternalErrors only that a session was ended does."""
    return isinstance(error, psycopg.InternalError) and error.sqlstate not in ENDED_STATES


def _gone(error: BaseException) -> bool:
    """Whether the server that the pooled connections lead to is dead, read-only, or may be another one.

    To try them one by one would waste tries, and nothing that was read from it is sure any more. After any other error,
    as of a statement that took too long, the pool is as good as before, and so are the histories that are kept.
    """
    state = getattr(error, "sqlstate", None)
    return state is None or state in GONE_STATES or state.startswith("08")


@asynccontextmanager
async def driver(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """A psycopg connection out of the engine's pool, for statements that go in one pipeline."""
    pool = engine.pool
    connection = await engine.connect()
    try:
        raw = await connection.get_raw_connection()
        driven: Driver = raw.driver_connection  # type: ignore[assignment]
        try:
            yield driven
        finally:
            # What is left of a broken pipeline cannot be rolled back: the pool must not try to. A pool that was given
            # up in the meantime would keep the connection open, which nobody would use again.
            if not _at_rest(driven) or engine.pool is not pool:
                await connection.invalidate()
    finally:
        # "async with" would do it in a task of its own, before which the pool may be given up. This waits for nothing,
        # as there is nothing to roll back.
        await connection.close()


def _at_rest(connection: Driver) -> bool:
    """Whether it is open, and neither in a transaction nor in a pipeline."""
    if connection.closed or connection.pgconn.pipeline_status != PipelineStatus.OFF:
        return False
    return connection.pgconn.transaction_status == TransactionStatus.IDLE


class _Limited(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that is cut where an answer takes longer than SILENCE_S, however long all of them take."""

    async def wait(self, *arguments: Any, **more: Any) -> Any:
        """What psycopg does whenever it waits for the server."""
        limit = asyncio.get_running_loop().call_later(SILENCE_S, _cut, self)
        try:
            return await super().wait(*arguments, **more)
        finally:
            limit.cancel()


def _cut(connection: Driver) -> None:
    """Ends the connection under whoever waits for it, who finds what a dead server leaves behind.

    To cancel the waiting would not do: psycopg then asks the server to cancel, and waits for its answer.
    """
    logger.warning("a connection to the database was silent for %g s and is given up", SILENCE_S)
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def sqlalchemy_url(url: str) -> str:
    """The URL with psycopg 3 as its driver, whatever spelling of PostgreSQL it came with."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _engine(url: str, options: str) -> AsyncEngine:
    return create_async_engine(
        sqlalchemy_url(url),
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=PATIENCE_S,
        pool_use_lifo=True,
        connect_args=_arguments(options),
    )


def _arguments(options: str) -> dict[str, Any]:
    limits = {"options": options, "connect_timeout": 3, "application_name": "tpeak"}
    return {**limits, "async_creator_fn": _Limited.connect}
