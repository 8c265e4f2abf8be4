"""The incarnation: as long as the database is the same one, and no longer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from tpeak_server.storage.database import Database
from tpeak_server.storage.incarnation import incarnation
from tpeak_server.storage.schema import migrate

Sql = Callable[..., list[tuple[Any, ...]]]

NO_TRACE = "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn) FROM public"


def read(url: str, times: int = 1) -> list[str]:
    """The incarnation as that many servers read it at once."""

    async def all_at_once() -> list[str]:
        databases = [Database(url) for _ in range(times)]
        found = await asyncio.gather(*map(incarnation, databases))
        for database in databases:
            await database.close()
        return found

    return asyncio.run(all_at_once())


@contextmanager
def copied(url: str) -> Iterator[str]:
    """A copy of the database, as a dump that was restored beside it."""
    name = f"tpeak_copy_{uuid.uuid4().hex[:12]}"
    place = make_url(url)
    with psycopg.connect(place.set(database="postgres").render_as_string(False), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{place.database}"')
        yield place.set(database=name).render_as_string(False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def known(database_url: str) -> str:
    """The incarnation of the module's database, which a server has looked at."""
    return read(database_url)[0]


def test_a_database_that_is_the_same_keeps_it(database_url: str, known: str) -> None:
    assert read(database_url, times=3) == [known] * 3


def test_a_copy_has_another_and_the_servers_on_it_agree(database_url: str, known: str) -> None:
    with copied(database_url) as copy:
        found = read(copy, times=6)
        assert (len(set(found)), known in found) == (1, False)
        assert read(copy) == found[:1]
    assert read(database_url) == [known]


def test_the_identity_is_system_timeline_and_database(database_url: str, known: str, sql: Sql) -> None:
    ((stored,),) = sql("SELECT identity FROM meta")
    ((system, oid),) = sql(
        "SELECT system_identifier::text, oid::text FROM pg_control_system(), pg_database"
        " WHERE datname = current_database()"
    )
    assert stored == f"{system}/00000001/{oid}"


@pytest.mark.parametrize("forbidden", [False, True])
def test_an_ordinary_role_notices_a_copy_too(database_url: str, known: str, forbidden: bool) -> None:
    role = f"tpeak_role_{uuid.uuid4().hex[:12]}"
    with copied(database_url) as copy, psycopg.connect(copy, autocommit=True) as own:
        own.execute(f'CREATE ROLE "{role}" LOGIN')
        own.execute(f'GRANT ALL ON meta TO "{role}"')
        if forbidden:
            own.execute(NO_TRACE)
        found = read(make_url(copy).set(username=role).render_as_string(False), times=2)
        own.execute(f'DROP OWNED BY "{role}"')
        own.execute(f'DROP ROLE "{role}"')
        stored = own.execute("SELECT identity FROM meta").fetchone()
    assert (found[0] == found[1], known in found) == (True, False)
    assert stored is not None
    assert stored[0].startswith("-/-/") == forbidden


def test_who_restores_what_has_the_same_identity_begins_another_by_hand(database_url: str, known: str) -> None:
    migrate(database_url)
    assert read(database_url) == [known]
    migrate(database_url, restored=True)
    (renewed,) = read(database_url)
    assert renewed != known
    assert read(database_url) == [renewed]
