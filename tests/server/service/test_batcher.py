"""The batcher, driven by many workers at once in one event loop."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.server.service.driven import ask, complete, run
from tpeak_server.service import batcher
from tpeak_server.service.application import Application
from tpeak_server.service.asking import Asked
from tpeak_server.service.proposing import Sampling


def test_no_ask_is_left_waiting_however_it_falls_between_two_groups(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[int]:
        keys = itertools.count()

        async def worker(cycles: int) -> list[int]:
            numbers = []
            for _ in range(cycles):
                asked: Asked = await app.submit(study, ask(next(keys)))
                numbers.append(asked.trials[0].record.trial.number)
                await app.submit(study, complete(asked))
            return numbers

        found = await asyncio.gather(*(worker(20) for _ in range(16)))
        return sorted(itertools.chain(*found))

    assert run(database_url, "between groups", work) == list(range(320))


def test_an_abandoned_ask_stops_nobody(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[int]:
        abandoned = asyncio.ensure_future(app.submit(study, ask("abandoned")))
        await asyncio.sleep(0)
        abandoned.cancel()
        asked: Asked = await app.submit(study, ask("patient"))
        return [len(asked.trials)]

    assert run(database_url, "abandoned", work) == [1]


def test_a_sampler_that_cannot_say_how_long_it_takes_stops_nobody(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(app: Application, study: int) -> list[int]:
        await app.submit(study, ask("before"))
        monkeypatch.setattr(Sampling, "labours", lambda *_: 1 // 0)
        asked: Asked = await app.submit(study, ask("after"))
        return [len(asked.trials)]

    assert run(database_url, "cannot say", work) == [1]


def test_what_comes_to_a_full_queue_is_refused_and_the_rest_is_answered(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "MAX_QUEUE", 3)

    async def work(app: Application, study: int) -> list[str]:
        asks = [app.submit(study, ask(key)) for key in range(5)]
        return [type(answer).__name__ for answer in await asyncio.gather(*asks, return_exceptions=True)]

    assert run(database_url, "full", work) == ["Asked", "Asked", "Asked", "Overloaded", "Overloaded"]


def test_closing_finishes_what_waits(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[int]:
        asks = [asyncio.ensure_future(app.submit(study, ask(key))) for key in range(40)]
        await asyncio.sleep(0)
        await app.stop()
        return sorted(trial.record.trial.number for asked in await asyncio.gather(*asks) for trial in asked.trials)

    assert run(database_url, "closing", work) == list(range(40))


def test_closing_refuses_what_a_cancelled_loop_left_behind(database_url: str) -> None:
    async def work(app: Application, study: int) -> list[str]:
        left = asyncio.ensure_future(app.submit(study, ask("left behind")))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), left}:
            if "Batcher" in repr(task.get_coro()):
                task.cancel()
        await app.stop()
        return [type(error).__name__ for error in await asyncio.gather(left, return_exceptions=True)]

    assert run(database_url, "left behind", work) == ["ShuttingDown"]
