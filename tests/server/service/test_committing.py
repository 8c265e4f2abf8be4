"""Batches of two applications on one database, each of which takes numbers that the other foresees."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.server.service.driven import TPE, ask, complete, make_study
from tpeak_server.samplers.gp.surrogate import Surrogate, Surrogates
from tpeak_server.service.application import Application
from tpeak_server.service.asking import Asked


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
