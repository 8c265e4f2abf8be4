"""Connections, transactions, and what to do when PostgreSQL does not answer.

Writers and readers have a pool of their own, so a streaming reader never starves a batcher.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.pq import PipelineStatus
from sqlalchemy import exc, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tpeak_server.domain.errors import DatabaseUnavailable, InvalidValue

Result = TypeVar("Result")
Driver: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Cursor: TypeAlias = psycopg.AsyncCursor[tuple[Any, ...]]
Work: TypeAlias = Callable[[Driver], Awaitable[Result]]

BY_KEY = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
"""A writer finds every row by its key. A prepared plan outlives the size that the tables had when it was made: one from
their first minute would scan them for ever."""

POOL_SIZE = 4
"""Connections of each pool; on two cores 4 give a p99 of 6 ms where 16 give 45."""

TRIES = 5
PATIENCE_S = 3.0
FIRST_PAUSE_S = 0.05

RERUN_STATES = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "25006"})
QUERY_CANCELED = "57014"
GONE_STATES = frozenset({"57P01", "57P02", "57P03", "25006"})

SESSION = "-c lock_timeout=2000 -c statement_timeout=10000 -c idle_in_transaction_session_timeout=15000"
"""Limits in ms: a writer that hangs must not hold a study's lock for longer than its clients wait."""

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

TOO_SLOW = "the database did not take the write in time; send it again with the same key"

logger = logging.getLogger(__name__)


class Database:
    """The write pool and the read pool over one PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.writers = _engine(url, SESSION + BY_KEY)
        self.readers = _engine(url, SESSION)

    async def transaction(self, work: Work[Result]) -> Result:
        """Runs `work` on a connection and commits; `work` runs anew where the trouble may pass.

        `work` must find what an earlier run of it committed, since a lost connection leaves a COMMIT's outcome
        unknown. Raises DatabaseUnavailable when the tries or the time are used up, InvalidValue where PostgreSQL
        refuses a value (class 22).
        """
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, TRIES + 1):
            try:
                return await self._once(work)
            except psycopg.Error as error:
                await self._may_rerun(error, attempt)
            except (exc.DBAPIError, exc.TimeoutError, OSError) as error:
                await self._may_rerun(getattr(error, "orig", None) or error, attempt)
            if asyncio.get_running_loop().time() + pause_s > deadline:
                break
            await asyncio.sleep(pause_s)
            pause_s *= 2
        raise DatabaseUnavailable(TOO_SLOW)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Driver]:
        """A connection that sees one snapshot. Raises DatabaseUnavailable where there is none to be had."""
        try:
            async with driver(self.readers) as connection:
                await connection.execute(SNAPSHOT)
                try:
                    yield connection
                finally:
                    if not connection.closed:
                        await connection.rollback()
        except psycopg.DataError as error:
            raise InvalidValue(f"the database refuses a value: {error}") from error
        except (psycopg.OperationalError, exc.DBAPIError, exc.TimeoutError, OSError) as error:
            logger.warning("a read failed: %s", error)
            await self.readers.dispose()
            raise DatabaseUnavailable("the database does not answer; try again") from error

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

    async def _may_rerun(self, error: BaseException, attempt: int) -> None:
        state = getattr(error, "sqlstate", None)
        if state is not None and state.startswith("22"):
            raise InvalidValue(f"the database refuses a value: {error}") from error
        if state == QUERY_CANCELED and attempt == 1:
            return
        if state == QUERY_CANCELED:
            raise DatabaseUnavailable(TOO_SLOW) from error
        if state is not None and state not in RERUN_STATES and not state.startswith("08"):
            raise error
        if state in GONE_STATES or state is None or state.startswith("08"):
            # Every pooled connection leads to the same dead or read-only server: trying them one by one wastes tries.
            await self.writers.dispose()
        logger.warning("transaction attempt %d failed (%s): %s", attempt, state, error)


@asynccontextmanager
async def driver(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """A psycopg connection out of the engine's pool, for statements that go in one pipeline."""
    pool = engine.pool
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driven: Driver = raw.driver_connection  # type: ignore[assignment]
        try:
            yield driven
        finally:
            # What is left of a broken pipeline cannot be rolled back: the pool must not try to. A pool that was given
            # up in the meantime would keep the connection open, which nobody would use again.
            broken = driven.closed or driven.pgconn.pipeline_status != PipelineStatus.OFF
            if broken or engine.pool is not pool:
                await connection.invalidate()


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
        connect_args={"options": options, "connect_timeout": 3, "application_name": "tpeak"},
    )
