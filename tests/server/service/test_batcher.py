"""The batcher, driven by many workers at once in one event loop."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers.gp.surrogate import Surrogate, Surrogates
from tpeak_server.service import batcher
from tpeak_server.service.application import Application
from tpeak_server.service.asking import Asked
from tpeak_server.service.commands import Ask, Tell
from tpeak_server.service.studies import NewStudy

SPACE = {"x": FloatDistribution(low=0.0, high=1.0)}
TPE = {"name": "tpe"}


def test_no_ask_is_left_waiting_however_it_falls_between_two_groups(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[int]:
        keys = itertools.count()

        async def worker(cycles: int) -> list[int]:
            numbers = []
            for _ in range(cycles):
                asked: Asked = await app.submit(study, _ask(next(keys)))
                numbers.append(asked.trials[0].record.trial.number)
                await app.submit(study, _complete(asked))
            return numbers

        found = await asyncio.gather(*(worker(20) for _ in range(16)))
        return sorted(itertools.chain(*found))

    assert _run(database_url, "between groups", work) == list(range(320))


def test_an_abandoned_ask_stops_nobody(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[int]:
        abandoned = asyncio.ensure_future(app.submit(study, _ask("abandoned")))
        await asyncio.sleep(0)
        abandoned.cancel()
        asked: Asked = await app.submit(study, _ask("patient"))
        return [len(asked.trials)]

    assert _run(database_url, "abandoned", work) == [1]


def test_numbers_foreseen_wrongly_are_sampled_again_under_the_lock(database_url: str) -> None:
    """Two applications on one database: each foresees numbers that the other takes."""

    async def both() -> list[int]:
        first, second = Application(database_url), Application(database_url)
        study = await _study(first, "two at once")

        async def worker(app: Application, name: str) -> list[int]:
            asks = [await app.submit(study, _ask(f"{name}-{cycle}")) for cycle in range(20)]
            return [trial.record.trial.number for asked in asks for trial in asked.trials]

        jobs = [worker(app, f"{place}-{n}") for place, app in enumerate((first, second)) for n in range(4)]
        found = await asyncio.gather(*jobs)
        await asyncio.gather(first.stop(), second.stop())
        return sorted(itertools.chain(*found))

    assert asyncio.run(asyncio.wait_for(both(), 60)) == list(range(160))


def test_what_takes_its_time_is_drawn_by_a_thread_though_another_server_takes_the_numbers(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[bool] = []
    of = Surrogates.of

    def noting(self: Surrogates, *arguments: Any) -> Surrogate:
        fitted.append(threading.current_thread() is threading.main_thread())
        return of(self, *arguments)

    monkeypatch.setattr(Surrogates, "of", noting)

    async def both() -> list[int]:
        first, second = Application(database_url), Application(database_url)
        study = await _study(first, "laborious", {"name": "gp", "n_startup_trials": 1})

        async def worker(app: Application, name: str) -> list[int]:
            numbers = []
            for cycle in range(5):
                asked: Asked = await app.submit(study, _ask(f"{name}-{cycle}"))
                numbers.append(asked.trials[0].record.trial.number)
                await app.submit(study, _complete(asked))
            return numbers

        jobs = [worker(app, f"{place}-{n}") for place, app in enumerate((first, second)) for n in range(4)]
        found = await asyncio.gather(*jobs)
        await asyncio.gather(first.stop(), second.stop())
        return sorted(itertools.chain(*found))

    assert asyncio.run(asyncio.wait_for(both(), 60)) == list(range(40))
    assert set(fitted) == {False}


def test_what_comes_to_a_full_queue_is_refused_and_the_rest_is_answered(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "MAX_QUEUE", 3)

    async def work(app: Application, study: int) -> list[str]:
        asks = [app.submit(study, _ask(key)) for key in range(5)]
        return [type(answer).__name__ for answer in await asyncio.gather(*asks, return_exceptions=True)]

    assert _run(database_url, "full", work) == ["Asked", "Asked", "Asked", "Overloaded", "Overloaded"]


def test_closing_finishes_what_waits(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[int]:
        asks = [asyncio.ensure_future(app.submit(study, _ask(key))) for key in range(40)]
        await asyncio.sleep(0)
        await app.stop()
        return sorted(trial.record.trial.number for asked in await asyncio.gather(*asks) for trial in asked.trials)

    assert _run(database_url, "closing", work) == list(range(40))


def test_closing_refuses_what_a_cancelled_loop_left_behind(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[str]:
        ask = asyncio.ensure_future(app.submit(study, _ask("left behind")))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), ask}:
            if "Batcher" in repr(task.get_coro()):
                task.cancel()
        await app.stop()
        return [type(error).__name__ for error in await asyncio.gather(ask, return_exceptions=True)]

    assert _run(database_url, "left behind", work) == ["ShuttingDown"]


def _run(database_url: str, name: str, work: Any) -> Any:
    async def all_of_it() -> Any:
        app = Application(database_url)
        try:
            return await work(app, await _study(app, name))
        finally:
            await app.stop()

    bounded: Coroutine[Any, Any, Any] = asyncio.wait_for(all_of_it(), 60)
    return asyncio.run(bounded)


async def _study(app: Application, name: str, sampler: Mapping[str, Any] = TPE) -> int:
    created = await app.studies.create(
        NewStudy(request_id=name, name=name, settings={"sampler": sampler}, load_if_exists=False)
    )
    return created.study.id


def _ask(key: object) -> Ask:
    return Ask(request_id=f"ask-{key}", worker="test", distributions=SPACE)


def _complete(asked: Asked) -> Tell:
    trial = asked.trials[0]
    return Tell(
        number=trial.record.trial.number,
        lease=trial.lease.token,
        state=TrialState.COMPLETE,
        values=(trial.params["x"],),
    )
