"""The schema's version: brought up to date, and refused where it is from the future."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import make_url

from tpeak_server.domain.errors import DatabaseUnavailable
from tpeak_server.service.application import Application
from tpeak_server.storage.schema import SchemaMismatch, explain, head, migrate

TABLES = [
    "alembic_version",
    "distributions",
    "events",
    "hosts",
    "late_results",
    "leases",
    "meta",
    "outages",
    "reports",
    "requests",
    "studies",
    "study_clocks",
    "study_names",
    "suggestions",
    "trial_attrs",
    "trials",
    "warm_trials",
    "workers",
]


@pytest.fixture
def empty(postgres_url: str) -> Iterator[str]:
    """A database with nothing in it."""
    name = f"tpeak_empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def look(empty: str) -> Callable[[str], list[object]]:
    """The first column of what a statement finds in that database."""

    def look(statement: str) -> list[object]:
        with psycopg.connect(empty, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return [row[0] for row in cursor.fetchall()] if cursor.description else []

    return look


def tables(look: Callable[[str], list[object]]) -> list[object]:
    return look("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")


async def ready(database_url: str) -> str:
    """ "ready", or why not."""
    app = Application(database_url)
    try:
        await app.ready()
    except DatabaseUnavailable as error:
        return error.message
    finally:
        await app.stop()
    return "ready"


def test_an_empty_database_gets_every_table(empty: str, look: Callable[[str], list[object]]) -> None:
    migrate(empty)
    assert tables(look) == TABLES
    assert look("SELECT version_num FROM alembic_version") == ["0008"]
    assert head() == "0008"


def test_migrating_again_changes_nothing(empty: str, look: Callable[[str], list[object]]) -> None:
    migrate(empty)
    incarnation = look("SELECT incarnation FROM meta")
    migrate(empty)
    assert (tables(look), look("SELECT incarnation FROM meta")) == (TABLES, incarnation)


def test_of_many_who_migrate_at_once_one_does_it(empty: str, look: Callable[[str], list[object]]) -> None:
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(migrate, [empty] * 6)) == [None] * 6
    assert (tables(look), look("SELECT count(*) FROM meta")) == (TABLES, [1])


def test_a_schema_from_the_future_is_left_alone(empty: str, look: Callable[[str], list[object]]) -> None:
    migrate(empty)
    look("UPDATE alembic_version SET version_num = '9999'")
    message = "the database has schema 9999, which this version does not know; install a newer tpeak"
    with pytest.raises(SchemaMismatch, match=message):
        migrate(empty)
    assert look("SELECT version_num FROM alembic_version") == ["9999"]
    assert asyncio.run(ready(empty)) == message


def test_a_server_is_not_ready_before_the_first_migration(empty: str) -> None:
    assert asyncio.run(ready(empty)) == "the database has no tpeak schema yet; run `tpeak migrate`"
    migrate(empty)
    assert asyncio.run(ready(empty)) == "ready"


def test_what_is_wrong_is_said_with_what_to_do() -> None:
    assert explain(None) == "the database has no tpeak schema yet; run `tpeak migrate`"
    assert explain("9999").endswith("install a newer tpeak")


def test_a_database_that_does_not_answer_is_not_ready() -> None:
    message = "the database does not answer in time; send the request again with the same key"
    assert asyncio.run(ready("postgresql://user@127.0.0.1:1/none")) == message
