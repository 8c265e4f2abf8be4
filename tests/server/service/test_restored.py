"""A database that is restored from a backup under a running server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.errors import LeaseLost
from tpeak_server.domain.trial import TrialState
from tpeak_server.service.application import Application
from tpeak_server.service.asking import Asked
from tpeak_server.service.commands import Ask, Tell
from tpeak_server.service.history import History
from tpeak_server.service.loading import load_history
from tpeak_server.service.studies import NewStudy
from tpeak_server.storage.schema import migrate

SPACE = {"x": FloatDistribution(low=0.0, high=1.0)}


class Restorable:
    """A database with a backup beside it."""

    def __init__(self, postgres_url: str) -> None:
        self.name = f"tpeak_live_{uuid.uuid4().hex[:12]}"
        self.url = make_url(postgres_url).set(database=self.name).render_as_string(hide_password=False)
        self._postgres_url = postgres_url
        self.run(f'CREATE DATABASE "{self.name}"')

    def back_up(self) -> None:
        self._end_sessions()
        self.run(f'CREATE DATABASE "{self.name}_backup" TEMPLATE "{self.name}"')

    def restore(self) -> None:
        """Puts the backup into the database's place, which ends every connection to it."""
        self._end_sessions()
        self.run(f'ALTER DATABASE "{self.name}" RENAME TO "{self.name}_old"')
        self.run(f'ALTER DATABASE "{self.name}_backup" RENAME TO "{self.name}"')

    def drop(self) -> None:
        for ending in ("", "_backup", "_old"):
            self.run(f'DROP DATABASE IF EXISTS "{self.name}{ending}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        with psycopg.connect(self._postgres_url, autocommit=True) as connection:
            connection.execute(statement)

    def _end_sessions(self) -> None:
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")


@pytest.fixture
def database(postgres_url: str) -> Iterator[Restorable]:
    database = Restorable(postgres_url)
    migrate(database.url)
    yield database
    database.drop()


def ask(key: str) -> Ask:
    return Ask(request_id=key, worker="w", distributions=SPACE)


def tell(number: int, asked: Asked) -> Tell:
    return Tell(number=number, lease=asked.trials[0].lease.token, state=TrialState.COMPLETE, values=(0.5,))


def test_a_server_that_ran_on_forgets_what_the_backup_does_not_know(database: Restorable) -> None:
    async def restored() -> tuple[list[int], type[Exception], History, History]:
        app = Application(database.url)
        new = NewStudy(request_id="new", name="restored", settings={}, load_if_exists=False)
        study = (await app.studies.create(new)).study.id
        kept: Asked = await app.submit(study, ask("before"))
        database.back_up()
        younger: list[Asked] = [await app.submit(study, ask(f"after {n}")) for n in range(3)]
        await app.submit(study, tell(1, younger[0]))
        database.restore()

        with pytest.raises(LeaseLost) as refused:
            await app.submit(study, tell(0, younger[1]))
        again: Asked = await app.submit(study, ask("anew"))
        told = await app.submit(study, tell(0, kept))
        cached = app._batchers[study].history
        assert cached is not None
        async with app.database.reading() as connection:
            stored = await load_history(connection, study)
        await app.stop()
        return [again.trials[0].lease.number, told.number], refused.type, cached, stored

    numbers, refusal, cached, stored = asyncio.run(asyncio.wait_for(restored(), 60))
    assert numbers == [1, 0]
    assert refusal is LeaseLost
    assert cached.clock == stored.clock
    assert cached.counts == stored.counts
    assert set(cached.unfinished) == set(stored.unfinished) == {1}
