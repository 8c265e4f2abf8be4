"""Batches of two applications on one database, each of which takes numbers that the other foresees."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.server.service.driven import TPE, ask, complete, make_study
from tpeak_server.samplers.gp.surrogate import Surrogate, Surrogates
from tpeak_server.service import cached, committing
from tpeak_server.service.application import Application
from tpeak_server.service.asking import Asked
from tpeak_server.service.history import History
from tpeak_server.service.loading import load_history
from tpeak_server.storage.database import Driver

Sql = Callable[..., list[tuple[Any, ...]]]


def numbers_of_eight(database_url: str, name: str, sampler: Mapping[str, Any], *, cycles: int) -> list[int]:
    """The numbers that four workers of each application get in so many cycles."""

    async def both() -> list[int]:
        first, second = Application(database_url), Application(database_url)
        study = await make_study(first, name, sampler)

        async def worker(app: Application, name: str) -> list[int]:
            numbers = []
            for cycle in range(cycles):
                asked: Asked = await app.submit(study, ask(f"{name}-{cycle}"))
                numbers += [trial.record.trial.number for trial in asked.trials]
                await app.submit(study, complete(asked))
            return numbers

        jobs = [worker(app, f"{place}-{n}") for place, app in enumerate((first, second)) for n in range(4)]
        found = await asyncio.gather(*jobs)
        await asyncio.gather(first.stop(), second.stop())
        return sorted(itertools.chain(*found))

    return asyncio.run(asyncio.wait_for(both(), 60))


def test_numbers_foreseen_wrongly_are_sampled_again_under_the_lock(database_url: str) -> None:
    assert numbers_of_eight(database_url, "two at once", TPE, cycles=20) == list(range(160))


def test_who_asks_for_many_then_gets_as_many_as_the_lock_may_be_held_for(database_url: str) -> None:
    async def many() -> int:
        first, second = Application(database_url), Application(database_url)
        study = await make_study(first, "many", {"name": "gp", "n_startup_trials": 1})
        for place, app in enumerate((first, second)):
            await app.submit(study, complete(await app.submit(study, ask(place))))
        asked: Asked = await first.submit(study, replace(ask("many"), count=40))
        await asyncio.gather(first.stop(), second.stop())
        return len(asked.trials)

    assert asyncio.run(asyncio.wait_for(many(), 60)) == 16


def test_what_takes_its_time_is_then_drawn_by_a_thread(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_main_thread: list[bool] = []
    of = Surrogates.of

    def noting(self: Surrogates, *arguments: Any) -> Surrogate:
        in_main_thread.append(threading.current_thread() is threading.main_thread())
        return of(self, *arguments)

    monkeypatch.setattr(Surrogates, "of", noting)
    sampler = {"name": "gp", "n_startup_trials": 1}
    assert numbers_of_eight(database_url, "laborious", sampler, cycles=5) == list(range(40))
    assert set(in_main_thread) == {False}


@contextmanager
def noted_loads(meanwhile: Callable[[int], Awaitable[None]]) -> Iterator[list[int]]:
    """The studies that are read as a whole, each of them as it is while something else happens `meanwhile`."""
    loads: list[int] = []

    async def load(connection: Driver, study: int) -> History:
        history = await load_history(connection, study)
        loads.append(study)
        await meanwhile(study)
        return history

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(cached, "load_history", load)
        yield loads


async def cycles(app: Application, study: int, count: int, name: str) -> None:
    for cycle in range(count):
        await app.submit(study, complete(await app.submit(study, ask(f"{name} {cycle}"))))


async def has_all(app: Application, study: int) -> bool:
    """Whether the application's cache is as new as what is stored, and says the same."""
    kept = app._batchers[study].history
    async with app.database.reading() as connection:
        made = await load_history(connection, study)
    return kept is not None and (kept.clock, kept.counts) == (made.clock, made.counts)


def test_who_is_far_behind_reads_the_study_anew_and_does_not_hold_its_lock_meanwhile(
    database_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "FAR_BEHIND", 5)

    async def locked_by_nobody(study: int) -> None:
        sql("SELECT FROM study_clocks WHERE study_id = %s FOR UPDATE NOWAIT", study)

    async def both() -> None:
        idle, busy = Application(database_url), Application(database_url)
        study = await make_study(idle, "far behind")
        await cycles(idle, study, 1, "idle")
        with noted_loads(locked_by_nobody) as loads:
            await cycles(busy, study, 1, "a little")
            asked: Asked = await idle.submit(study, ask("near"))
            assert (asked.trials[0].record.trial.number, loads) == (2, [study])  # the busy one's
            await cycles(busy, study, 5, "a lot")
            told = await idle.submit(study, complete(asked))
            assert (told.number, loads) == (2, [study, study])
            assert await has_all(idle, study)
        await asyncio.gather(idle.stop(), busy.stop())

    asyncio.run(asyncio.wait_for(both(), 60))


def test_a_study_that_is_written_to_faster_than_it_can_be_read_is_read_once_and_caught_up_with(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "FAR_BEHIND", 1)

    async def both() -> None:
        idle, busy = Application(database_url), Application(database_url)
        study = await make_study(idle, "faster than it can be read")
        await cycles(idle, study, 1, "idle")
        await cycles(busy, study, 5, "before")
        keys = itertools.count()

        async def write_on(_: int) -> None:
            await cycles(busy, study, 5, f"meanwhile {next(keys)}")

        with noted_loads(write_on) as loads:
            asked: Asked = await idle.submit(study, ask("late"))
        assert (asked.trials[0].record.trial.number, loads) == (11, [study])
        assert await has_all(idle, study)
        await asyncio.gather(idle.stop(), busy.stop())

    asyncio.run(asyncio.wait_for(both(), 60))


def test_a_history_that_took_over_half_of_a_change_is_read_anew(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken_once() -> list[int]:
        app = Application(database_url)
        study = await make_study(app, "half of a change")
        await cycles(app, study, 1, "before")
        with monkeypatch.context() as broken:
            broken.setattr(History, "_replace", lambda *_: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                await app.submit(study, ask("broken"))
        again: Asked = await app.submit(study, ask("broken"))
        assert await has_all(app, study)
        await app.stop()
        return [trial.record.trial.number for trial in again.trials]

    assert asyncio.run(asyncio.wait_for(broken_once(), 60)) == [1]
