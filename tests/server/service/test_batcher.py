"""The batcher, driven by many workers at once in one event loop."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.server.service.driven import ask, complete, run
from tpeak_server.domain.errors import InvalidValue
from tpeak_server.service import batcher
from tpeak_server.service.application import Application
from tpeak_server.service.asking import Asked
from tpeak_server.service.commands import Ask, Command, Tell
from tpeak_server.service.committing import Committing
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


def test_who_asks_a_sampler_that_cannot_be_built_is_told_so_and_stops_nobody(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_another_version(*_: object) -> bool:
        raise InvalidValue("this version does not know the sampler")

    async def work(app: Application, study: int) -> list[str]:
        asked: Asked = await app.submit(study, ask("before"))
        other = Application(database_url)
        await other.submit(study, ask("of another server, so that nothing is drawn ahead"))
        await other.stop()
        await app.submit(study, complete(asked))
        with monkeypatch.context() as older:
            older.setattr(Sampling, "sampler", of_another_version)
            asks = [app.submit(study, ask(key)) for key in range(3)]
            answers = await asyncio.gather(*asks, return_exceptions=True)
        answers.append(await app.submit(study, ask("after")))
        return [type(answer).__name__ for answer in answers]

    assert run(database_url, "cannot be built", work) == ["InvalidValue"] * 3 + ["Asked"]


def test_who_cannot_be_put_into_a_batch_with_the_next_is_told_so_and_stops_nobody(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Committing, "shares_nothing", lambda *_: 1 // 0)

    async def work(app: Application, study: int) -> list[str]:
        asks = [app.submit(study, ask(key)) for key in range(3)]
        return [type(answer).__name__ for answer in await asyncio.gather(*asks, return_exceptions=True)]

    assert run(database_url, "no batch", work) == ["ZeroDivisionError", "ZeroDivisionError", "Asked"]


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


@pytest.mark.parametrize("turns", [1, 2], ids=["waiting", "begun"])
@pytest.mark.parametrize("kind", [Ask, Tell])
def test_closing_refuses_what_a_cancelled_loop_left_behind(database_url: str, kind: type[Command], turns: int) -> None:
    async def work(app: Application, study: int) -> list[str]:
        command = ask("left behind") if kind is Ask else complete(await app.submit(study, ask("before")))
        left = asyncio.ensure_future(app.submit(study, command))
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), left}:
            if "Batcher" in repr(task.get_coro()):
                task.cancel()
        await app.stop()
        return [type(error).__name__ for error in await asyncio.gather(left, return_exceptions=True)]

    assert run(database_url, f"left behind {kind} {turns}", work) == ["ShuttingDown"]
