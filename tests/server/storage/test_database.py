"""Transactions: what is run again, and what the caller gets to hear."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from tpeak_server.domain.errors import DatabaseUnavailable, InvalidValue, NotRunning
from tpeak_server.storage import database as storage
from tpeak_server.storage import finished
from tpeak_server.storage.database import POOL_SIZE, Database, Driver, driver

Sql = Callable[..., list[tuple[Any, ...]]]
Work = Callable[[Driver], Awaitable[Any]]
CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tpeak' AND datname = current_database()"


class Tried:
    """Work that notes its run, and fails in its first runs."""

    def __init__(self, statement: str, *, failures: int) -> None:
        self.runs = 0
        self._statement = statement
        self._failures = failures

    async def __call__(self, connection: Driver) -> int:
        self.runs += 1
        await connection.execute("INSERT INTO noted VALUES (%s)", [self.runs])
        if self.runs <= self._failures:
            await connection.execute(self._statement)
        return self.runs


def failing(state: str) -> str:
    """A statement that fails with this SQLSTATE."""
    return f"DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{state}'; END $$"


@pytest.fixture(autouse=True)
def noted(sql: Sql) -> Callable[[], list[int]]:
    """What has been committed to a table of this test's."""
    sql("DROP TABLE IF EXISTS noted")
    sql("CREATE TABLE noted (run integer)")
    return lambda: [row[0] for row in sql("SELECT run FROM noted ORDER BY run")]


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of a port that is taken and where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"postgresql://user@127.0.0.1:{taken.getsockname()[1]}/none"


class Way:
    """A way to the database whose connections can fall silent: what is sent arrives nowhere, and nobody says so."""

    def __init__(self, database_url: str) -> None:
        self._opened = self._silent = 0
        with psycopg.connect(database_url) as connection:
            self._host, self._port = connection.info.host, connection.info.port
        self._url = make_url(database_url)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """The URL of the database by this way."""
        async with await asyncio.start_server(self._go_between, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = self._url.set(host="127.0.0.1", port=port).difference_update_query(["host", "port"])
            yield url.render_as_string(hide_password=False)

    def fall_silent(self) -> None:
        """Silences the connections that are open now."""
        self._silent = self._opened

    async def _go_between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await self._there()
        self._opened = place = self._opened + 1
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(self._copy(reader, there[1], place), self._copy(there[0], writer, place))

    async def _there(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, self._port)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: int) -> None:
        while data := await reader.read(65536):
            if place > self._silent:
                writer.write(data)
        writer.close()


def run(database_url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        database = Database(database_url)
        try:
            return await asyncio.wait_for(work(database), 30)
        finally:
            await database.close()

    return asyncio.run(bounded())


@pytest.mark.parametrize(
    "state",
    [
        *("40001", "40P01", "55P03", "57P01", "57P02", "57P03", "25006", "08006", "08001", "53100", "53300", "57014"),
        *("25P03", "25P04", "57P05"),
    ],
)
def test_what_may_pass_is_run_again_from_the_start(database_url: str, noted: Any, state: str) -> None:
    work = Tried(failing(state), failures=1)
    assert run(database_url, lambda database: database.transaction(work)) == 2
    assert noted() == [2]


def test_a_backend_that_dies_in_the_middle_leaves_nothing_and_the_work_is_done_once(
    database_url: str, noted: Any
) -> None:
    work = Tried("SELECT pg_terminate_backend(pg_backend_pid())", failures=1)
    assert run(database_url, lambda database: database.transaction(work)) == 2
    assert noted() == [2]


@pytest.mark.parametrize(
    "limit", ["idle_in_transaction_session_timeout", "transaction_timeout", "idle_session_timeout"]
)
def test_work_whose_session_postgresql_has_ended_for_its_idleness_is_done_again(
    database_url: str, noted: Any, sql: Sql, limit: str
) -> None:
    if not sql("SELECT 1 FROM pg_settings WHERE name = %s", limit):
        pytest.skip(f"this PostgreSQL has no {limit}")
    runs: list[int] = []

    async def stand_still_at_first(connection: Driver) -> None:
        runs.append(connection.info.backend_pid)
        await connection.execute("INSERT INTO noted VALUES (%s)", [len(runs)])
        if len(runs) == 1:
            await be_ended(connection, sql, limit)

    run(database_url, lambda database: database.transaction(stand_still_at_first))
    assert noted() == [2]
    assert len(set(runs)) == 2


async def be_ended(connection: Driver, sql: Sql, limit: str) -> None:
    """Has PostgreSQL end the connection's session, which only the next statement finds out."""
    if limit == "idle_session_timeout":
        await connection.rollback()
    await connection.execute(f"SET {limit} = '1ms'")
    if limit == "idle_session_timeout":
        await connection.commit()
    while sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", connection.info.backend_pid):
        pass
    await connection.execute("SELECT 1")


def test_a_connection_that_broke_within_a_pipeline_is_given_up_without_a_trace(
    database_url: str, noted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    async def breaks_at_first(connection: Driver) -> None:
        runs.append(connection.pgconn.backend_pid)
        await connection.execute("INSERT INTO noted VALUES (%s)", [len(runs)])
        if len(runs) == 1:
            connection.pgconn.enter_pipeline_mode()
            connection.pgconn.send_query_params(b"SELECT 1", None)
            raise psycopg.OperationalError("the connection is lost")

    run(database_url, lambda database: database.transaction(breaks_at_first))
    assert noted() == [2]
    assert len(set(runs)) == 2
    assert [record for record in caplog.records if record.exc_info] == []


def test_connections_that_were_in_use_when_the_pool_was_given_up_are_closed(database_url: str, sql: Sql) -> None:
    async def all_at_once(database: Database) -> None:
        together = asyncio.Barrier(POOL_SIZE)
        one_has_died = asyncio.Event()

        async def work(connection: Driver, place: int) -> None:
            if not one_has_died.is_set():
                await together.wait()
                if place == 0:
                    one_has_died.set()
                    await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
                await asyncio.sleep(0.2)  # for the pool to be given up
            await connection.execute("SELECT 1")

        tries = (database.transaction(lambda c, place=place: work(c, place)) for place in range(POOL_SIZE))
        await asyncio.gather(*tries)

    async def twice(database: Database) -> int:
        for _ in range(2):
            await all_at_once(database)
        return int(sql(CONNECTED)[0][0])

    assert run(database_url, twice) <= POOL_SIZE


def test_a_connection_that_is_returned_as_the_pool_is_given_up_is_closed(database_url: str, sql: Sql) -> None:
    async def returned_too_late(database: Database) -> int:
        async with driver(database.writers) as connection:
            await connection.execute("SELECT 1")
            await connection.rollback()
            giving_up = asyncio.create_task(database._give_up(database.writers))
        await giving_up
        return int(sql(CONNECTED)[0][0])

    assert run(database_url, returned_too_late) == 0


def test_two_transactions_that_cannot_both_be_serial_are_both_done_in_the_end(database_url: str, noted: Any) -> None:
    both_have_read = asyncio.Event()
    reads = 0

    async def count_and_note(connection: Driver) -> None:
        nonlocal reads
        await connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        row = await (await connection.execute("SELECT count(*) FROM noted")).fetchone()
        reads += 1
        if reads == 2:
            both_have_read.set()
        await both_have_read.wait()
        assert row is not None
        await connection.execute("INSERT INTO noted VALUES (%s)", [row[0]])

    async def both(database: Database) -> None:
        await asyncio.gather(*(database.transaction(count_and_note) for _ in range(2)))

    run(database_url, both)
    assert noted() == [0, 1]
    assert reads > 2


def test_after_all_backends_have_died_the_work_is_done_at_the_second_try(database_url: str, sql: Sql) -> None:
    async def restarted(database: Database) -> int:
        together = asyncio.Barrier(POOL_SIZE)

        async def hold(connection: Driver) -> None:
            await connection.execute("SELECT 1")
            await together.wait()

        await asyncio.gather(*(database.transaction(hold) for _ in range(POOL_SIZE)))
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tpeak'")
        return int(await database.transaction(Tried("SELECT 1", failures=0)))

    assert run(database_url, restarted) == 2


@pytest.mark.parametrize(("state", "anew"), [("25006", True), ("57P03", True), ("40001", False)])
def test_a_server_that_has_become_read_only_or_leaves_is_asked_no_more(
    database_url: str, state: str, anew: bool
) -> None:
    backends = []

    async def note(connection: Driver) -> None:
        backends.append(connection.info.backend_pid)
        if len(backends) == 1:
            await connection.execute(failing(state))

    run(database_url, lambda database: database.transaction(note))
    assert (backends[0] != backends[1]) is anew


def test_tries_are_used_up_in_the_end(database_url: str, noted: Any) -> None:
    work = Tried(failing("40001"), failures=99)
    with pytest.raises(DatabaseUnavailable):
        run(database_url, lambda database: database.transaction(work))
    assert (work.runs, noted()) == (5, [])


def test_a_statement_that_takes_too_long_gets_one_more_chance(database_url: str, noted: Any) -> None:
    work = Tried("SET LOCAL statement_timeout = 20; SELECT pg_sleep(60)", failures=99)
    with pytest.raises(DatabaseUnavailable):
        run(database_url, lambda database: database.transaction(work))
    assert (work.runs, noted()) == (2, [])


def test_a_database_that_refuses_connections_is_unavailable_to_writers_and_readers(nobody: str) -> None:
    async def read(database: Database) -> None:
        async with database.reading():
            pass

    work = Tried("SELECT 1", failures=0)
    with pytest.raises(DatabaseUnavailable):
        run(nobody, lambda database: database.transaction(work))
    with pytest.raises(DatabaseUnavailable):
        run(nobody, read)
    assert work.runs == 0


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", "SELECT 'x'::text::integer", "SELECT 10 ^ 400"])
def test_a_value_that_postgresql_refuses_is_the_caller_s_fault(database_url: str, noted: Any, statement: str) -> None:
    async def read(database: Database) -> None:
        async with database.reading() as connection:
            await connection.execute(statement)

    work = Tried(statement, failures=99)
    with pytest.raises(InvalidValue):
        run(database_url, lambda database: database.transaction(work))
    with pytest.raises(InvalidValue):
        run(database_url, read)
    assert (work.runs, noted()) == (1, [])


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT run FROM noted GROUP BY ()", psycopg.errors.GroupingError),
        (failing("23505"), psycopg.errors.UniqueViolation),
        # Another schema: tried again it would be the same, and another server may know it.
        ("SELECT * FROM nowhere", DatabaseUnavailable),
        ("SELECT nothing FROM noted", DatabaseUnavailable),
    ],
)
def test_other_errors_are_raised_at_once(database_url: str, noted: Any, statement: str, error: type[Exception]) -> None:
    work = Tried(statement, failures=99)
    with pytest.raises(error):
        run(database_url, lambda database: database.transaction(work))
    assert (work.runs, noted()) == (1, [])


def test_an_error_of_the_domain_rolls_back_and_leaves_no_connection_in_a_transaction(
    database_url: str, sql: Sql, noted: Any
) -> None:
    async def refuse(connection: Driver) -> None:
        await connection.execute("INSERT INTO noted VALUES (1)")
        raise NotRunning("on purpose")

    async def refused(database: Database) -> list[tuple[Any, ...]]:
        for _ in range(2 * POOL_SIZE):
            with pytest.raises(NotRunning):
                await database.transaction(refuse)
        return sql("SELECT DISTINCT state FROM pg_stat_activity WHERE application_name = 'tpeak' AND state <> 'idle'")

    assert (run(database_url, refused), noted()) == ([], [])


def test_a_cancelled_transaction_leaves_nothing_and_gives_its_connection_back(database_url: str, noted: Any) -> None:
    async def cancelled(database: Database) -> int:
        for _ in range(2 * POOL_SIZE):
            begun = asyncio.Event()

            async def hang(connection: Driver, begun: asyncio.Event = begun) -> None:
                await connection.execute("INSERT INTO noted VALUES (0)")
                begun.set()
                await connection.execute("SELECT pg_sleep(60)")

            task = asyncio.create_task(database.transaction(hang))
            await begun.wait()
            task.cancel()
            await asyncio.wait([task])
        return int(await database.transaction(Tried("SELECT 1", failures=0)))

    assert (run(database_url, cancelled), noted()) == (1, [1])


def test_a_reader_sees_one_snapshot_and_writes_nothing(database_url: str, sql: Sql, noted: Any) -> None:
    async def read(database: Database) -> list[int]:
        counts = []
        async with database.reading() as connection:
            for _ in range(2):
                row = await (await connection.execute("SELECT count(*) FROM noted")).fetchone()
                assert row is not None
                counts.append(row[0])
                sql("INSERT INTO noted VALUES (1)")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            async with database.reading() as connection:
                await connection.execute("INSERT INTO noted VALUES (2)")
        return counts

    assert (run(database_url, read), noted()) == ([0, 0], [1, 1])


@pytest.mark.parametrize("statement", [finished.GROUPS, finished.REPORTS])
def test_a_reader_goes_through_no_table_again_and_again_though_nobody_has_analyzed_it(
    database_url: str, sql: Sql, statement: str
) -> None:
    sql("DELETE FROM pg_statistic WHERE starelid IN ('trials'::regclass, 'leases'::regclass, 'reports'::regclass)")

    async def plan(database: Database) -> str:
        async with database.reading() as connection:
            rows = await connection.execute(f"EXPLAIN {statement}", {"study": 1, "first": 0, "last": 2499})
            return "\n".join(row[0] for row in await rows.fetchall())

    assert "Nested Loop" not in run(database_url, plan)


def test_a_reader_whose_backend_dies_is_told_to_try_again_and_then_succeeds(database_url: str) -> None:
    async def read(database: Database) -> int:
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        async with database.reading() as connection:
            row = await (await connection.execute("SELECT 7")).fetchone()
        assert row is not None
        return int(row[0])

    assert run(database_url, read) == 7


@pytest.mark.parametrize("limit", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_a_reader_whose_session_postgresql_has_ended_for_its_idleness_is_told_to_try_again(
    database_url: str, sql: Sql, limit: str
) -> None:
    if not sql("SELECT 1 FROM pg_settings WHERE name = %s", limit):
        pytest.skip(f"this PostgreSQL has no {limit}")

    async def read(database: Database) -> None:
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as connection:
                await be_ended(connection, sql, limit)
        with pytest.raises(DatabaseUnavailable):
            async with database.exporting() as connection:
                await be_ended(connection, sql, limit)
        async with database.reading() as connection:
            await connection.execute("SELECT 1")

    run(database_url, read)


@pytest.mark.parametrize(
    ("statement", "breaks"),
    [
        ("SET LOCAL statement_timeout = 20; SELECT pg_sleep(60)", 0),
        (failing("53100"), 0),
        (failing("53200"), 0),
        (failing("55P03"), 0),
        (failing("25P03"), 0),
        (failing("08006"), 1),
        (failing("57P01"), 1),
    ],
)
def test_a_read_that_fails_costs_no_other_connection_unless_the_server_behind_it_is_gone(
    database_url: str, statement: str, breaks: int
) -> None:
    async def read(database: Database) -> tuple[int, bool]:
        async with database.reading() as connection:
            before = connection.info.backend_pid
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as connection:
                await connection.execute(statement)
        async with database.reading() as connection:
            return database.breaks, connection.info.backend_pid == before

    assert run(database_url, read) == (breaks, breaks == 0)


def test_who_finds_the_pool_in_use_is_told_so_and_opens_no_other_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PATIENCE_S", 0.1)

    async def backend(connection: Driver) -> int:
        return connection.info.backend_pid

    async def crowded(database: Database) -> tuple[set[int], set[int]]:
        async with AsyncExitStack() as held:
            readers = [await held.enter_async_context(database.reading()) for _ in range(POOL_SIZE)]
            writers = [await held.enter_async_context(driver(database.writers)) for _ in range(POOL_SIZE)]
            with pytest.raises(DatabaseUnavailable):
                await held.enter_async_context(database.reading())
            with pytest.raises(DatabaseUnavailable):
                await database.transaction(backend)
            before = {connection.info.backend_pid for connection in readers + writers}
        async with database.reading() as connection:
            return before, {await backend(connection), await database.transaction(backend)}

    before, after = run(database_url, crowded)
    assert after < before


def test_a_connection_that_falls_silent_is_given_up(
    database_url: str, noted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SILENCE_S", 0.3)

    async def interrupted(_: Database) -> tuple[int, int]:
        way = Way(database_url)
        runs = 0

        async def write(connection: Driver) -> int:
            nonlocal runs
            runs += 1
            if runs == 1:
                way.fall_silent()
            await connection.execute("INSERT INTO noted VALUES (%s)", [runs])
            return runs

        async with way.open() as url:
            database = Database(url)
            written = await database.transaction(write)
            with pytest.raises(DatabaseUnavailable):
                await count(database, before=way.fall_silent)
            counted = await count(database, before=lambda: None)
            await database.close()
        return written, counted

    async def count(database: Database, before: Callable[[], None]) -> int:
        async with database.reading() as connection:
            before()
            row = await (await connection.execute("SELECT count(*) FROM noted")).fetchone()
        assert row is not None
        return int(row[0])

    assert (run(database_url, interrupted), noted()) == ((2, 1), [2])


def test_a_connection_that_answers_again_and_again_may_take_as_long_as_it_needs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SILENCE_S", 0.2)

    async def long(database: Database) -> float:
        async with database.reading() as connection:
            begin = time.monotonic()
            while (took := time.monotonic() - begin) < 0.5:
                await (await connection.execute("SELECT 1")).fetchone()
            return took

    assert run(database_url, long) >= 0.5


def test_readers_that_take_their_time_keep_no_writer_waiting(database_url: str) -> None:
    async def crowded(database: Database) -> int:
        written = asyncio.Event()

        async def read() -> None:
            async with database.reading():
                await written.wait()

        readers = [asyncio.create_task(read()) for _ in range(2 * POOL_SIZE)]
        runs = await database.transaction(Tried("SELECT 1", failures=0))
        written.set()
        await asyncio.gather(*readers)
        return int(runs)

    assert run(database_url, crowded) == 1


@pytest.mark.parametrize("statement", ["SELECT 1 FROM nowhere", "SELECT nothing_of_that_name()"])
def test_a_database_without_the_schema_is_unavailable_to_writers_and_readers_until_it_is_migrated(
    database_url: str, statement: str
) -> None:
    async def write(database: Database) -> Any:
        return await database.transaction(lambda connection: connection.execute(statement))

    async def read(database: Database) -> None:
        async with database.reading() as connection:
            await connection.execute(statement)

    for work in (write, read):
        with pytest.raises(DatabaseUnavailable, match="no schema of this version; run `tpeak migrate`"):
            run(database_url, work)


def test_reads_that_fail_for_the_same_reason_are_logged_once_an_outage(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def reads(database: Database) -> None:
        for statement in ("SELECT 1 FROM nowhere",) * 3 + ("SELECT 1",) + ("SELECT 1 FROM nowhere",) * 3:
            with contextlib.suppress(DatabaseUnavailable):
                async with database.reading() as connection:
                    await connection.execute(statement)

    run(database_url, reads)
    assert [message.splitlines()[0] for message in caplog.messages] == [
        'the database is in trouble (42P01): relation "nowhere" does not exist'
    ] * 2
