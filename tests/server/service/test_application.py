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


@pytest.mark.parametrize(
    ("used", "room", "room_in_use", "kept"),
    [
        ("just now", 0, 3, ["second", "third", "first"]),
        ("just now", 0, 2, ["third", "first"]),
        ("long ago", 3, 9, ["second", "third", "first"]),
        ("long ago", 2, 9, ["third", "first"]),
        ("long ago", 0, 9, ["first"]),
    ],
)
def test_studies_used_last_are_kept_as_far_as_there_is_room_which_is_larger_for_those_in_use(
    make_study: Callable[[], Study],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    used: str,
    room: int,
    room_in_use: int,
    kept: list[str],
) -> None:
    monkeypatch.setattr(application, "MAX_BYTES", room * BYTES_A_TRIAL)
    monkeypatch.setattr(application, "MAX_BYTES_IN_USE", room_in_use * BYTES_A_TRIAL)
    monkeypatch.setattr(application, "IN_USE_S", 60.0 if used == "just now" else 0.0)
    names = {from_path(make_study().id): name for name in ("first", "second", "third")}

    async def left() -> list[str]:
        app = Application(database_url)
        try:
            for number in (*names, next(iter(names))):
                assert number is not None
                await app.submit(number, Ask(request_id=f"ask-{number}", worker="w"))
            app._drop_idle()
            return [names[number] for number in app._batchers]
        finally:
            await app.stop()

    assert asyncio.run(left()) == kept


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing has come of it in 10 s")
