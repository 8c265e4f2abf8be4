"""The work that no request asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.domain.study import from_path
from tpeak_server.service import application
from tpeak_server.service.application import Application
from tpeak_server.service.commands import Ask
from tpeak_server.service.history import BYTES_A_TRIAL

Study = Any  # of conftest.py, which no module can import
Sql = Callable[..., list[tuple[Any, ...]]]


def test_housekeeping_survives_whatever_the_database_says(
    study: Study, database_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "TIDY_S", 0.01)
    sql("INSERT INTO workers (id, host, pid, client_version, last_seen) VALUES ('w', 'h', 1, '1', 'epoch')")

    async def outlived() -> None:
        app = Application(database_url)
        await app.start()
        try:
            sql("ALTER TABLE workers ADD CONSTRAINT broken CHECK (last_seen < '2000-01-01') NOT VALID")
            await _ask(app, "first")
            await _until(lambda: "housekeeping failed" in caplog.text)
            sql("ALTER TABLE workers DROP CONSTRAINT broken")
            await _ask(app, "second")
            await _until(lambda: sql("SELECT last_seen > 'epoch' FROM workers WHERE id = 'w'") == [(True,)])
        finally:
            await app.stop()

    async def _ask(app: Application, key: str) -> None:
        number = from_path(study.id)
        assert number is not None
        await app.submit(number, Ask(request_id=key, worker="w"))

    asyncio.run(outlived())


def test_studies_in_use_are_kept_and_of_the_others_those_used_last_as_far_as_there_is_room(
    make_study: Callable[[], Study], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [from_path(make_study().id) for _ in range(3)]

    async def kept() -> list[list[int | None]]:
        app = Application(database_url)
        left: list[list[int | None]] = []
        try:
            for number in (*numbers, numbers[0]):
                assert number is not None
                await app.submit(number, Ask(request_id=f"ask-{number}", worker="w"))
            monkeypatch.setattr(application, "MAX_BYTES", 0)
            app._drop_idle()
            left.append(list(app._batchers))
            monkeypatch.setattr(application, "IN_USE_S", 0.0)
            for room in (3, 2, 0):
                monkeypatch.setattr(application, "MAX_BYTES", room * BYTES_A_TRIAL)
                app._drop_idle()
                left.append(list(app._batchers))
        finally:
            await app.stop()
        return left

    first, second, third = numbers
    in_use = with_room_for_all = [second, third, first]
    assert asyncio.run(kept()) == [in_use, with_room_for_all, [third, first], [first]]


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing has come of it in 10 s")
