"""The one transaction that changes a study: nothing is written by who does not know how the study is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from tpeak_server.domain.changes import Changes, Clock, Event, LateResult, Locked, Request, Wanted
from tpeak_server.domain.errors import StudyExists, StudyNotFound
from tpeak_server.domain.trial import Lease, LeaseEnd, Report, Trial, TrialState
from tpeak_server.service.studies import NewStudy, Studies
from tpeak_server.storage.database import Database, Driver
from tpeak_server.storage.locked import load
from tpeak_server.storage.writing import OutOfDate, save

Sql = Callable[..., list[tuple[Any, ...]]]
STALE, CREATED = 0, 1
"""The seq of a study that has just been made is 1."""

ALL = Wanted(numbers={0, 1}, steps={(0, 0), (0, 1)}, ends={0}, ask_ids={"ask"}, request_ids={"request"})
TABLES = ("trials", "leases", "reports", "events", "suggestions", "trial_attrs", "late_results", "requests")
names = (f"study {number}" for number in itertools.count())


def in_study(database_url: str, work: Callable[[Database, int], Awaitable[Any]]) -> Any:
    """What the work gives, with a new study of its own."""

    async def bounded() -> Any:
        database, name = Database(database_url), next(names)
        try:
            new = NewStudy(request_id="create", name=name, settings={}, load_if_exists=False)
            study = (await Studies(database).create(new)).study.id
            return await asyncio.wait_for(work(database, study), 30)
        finally:
            await database.close()

    return asyncio.run(bounded())


def saved(study: int, expected: int, changes: Changes, lease_seconds: float = 60.0) -> Callable[[Driver], Any]:
    return lambda connection: save(connection, study, expected, lease_seconds, changes)


def loaded(study: int, wanted: Wanted = ALL) -> Callable[[Driver], Awaitable[Locked]]:
    return lambda connection: load(connection, study, wanted)


def lease(number: int = 0, *, request_id: str = "ask", ordinal: int = 0, **more: Any) -> Lease:
    return Lease(
        number=number,
        epoch=1,
        token=f"token {number}",
        worker="w",
        request_id=request_id,
        ordinal=ordinal,
        request_hash=b"\x00\xff",
        **more,
    )


def handed_out(seq: int = 3) -> Changes:
    """Trial 0 handed out, with a report, up to the seq."""
    trial = Trial(number=0, state=TrialState.RUNNING, proposed={0: -0.0, 1: 5e-324}, origin="startup", epoch=1)
    report = Report(
        number=0, epoch=1, step=0, values=(-0.0, float("inf")), cost=None, seq=3, prune=True, reason='a "b"'
    )
    return Changes(
        clock=Clock(next_number=1, handed=1, seq=seq),
        created={0: trial},
        issued={(0, 1): lease()},
        reports={(0, 1, 0): report},
        events=[Event(seq=2, kind="issued", number=0, payload={"epoch": 1})],
    )


def test_what_was_saved_is_what_is_loaded(database_url: str) -> None:
    async def round_trip(database: Database, study: int) -> Locked:
        await database.transaction(saved(study, CREATED, handed_out()))
        return await database.transaction(loaded(study))

    found: Locked = in_study(database_url, round_trip)
    assert found.clock == Clock(next_number=1, handed=1, seq=3)
    assert list(found.trials) == [0]
    assert repr(dict(found.trials[0].proposed)) == repr({0: -0.0, 1: 5e-324})
    report = found.reports[0, 1, 0]
    assert repr((report.values, report.prune, report.reason)) == repr(((-0.0, float("inf")), True, 'a "b"'))
    assert (found.ended_curves[0, 1].values, found.ended_curves[0, 1].prune) == ((0.0, float("inf")), True)
    assert [one.token for one in found.asks["ask"]] == ["token 0"]
    assert (found.leases[0, 1].request_hash, found.leases[0, 1].live) == (b"\x00\xff", True)
    assert found.requests == {}


def test_who_expects_another_seq_writes_nothing(database_url: str, sql: Sql) -> None:
    async def stale(database: Database, study: int) -> int:
        for expected in (STALE, CREATED + 1):
            with pytest.raises(OutOfDate):
                await database.transaction(saved(study, expected, handed_out()))
        return study

    study = in_study(database_url, stale)
    rows = {table: sql(f"SELECT count(*) FROM {table} WHERE study_id = %s", study)[0][0] for table in TABLES}
    assert rows == {**dict.fromkeys(TABLES, 0), "events": 1, "requests": 1}
    assert sql("SELECT next_number, handed, seq FROM study_clocks WHERE study_id = %s", study) == [(0, 0, 1)]


def test_who_expects_another_seq_changes_no_row_that_is_there(database_url: str, sql: Sql) -> None:
    async def stale(database: Database, study: int) -> int:
        await database.transaction(saved(study, CREATED, handed_out()))
        ended = lease(live=False, ended=LeaseEnd.TOLD, used=("x",))
        done = Trial(number=0, state=TrialState.COMPLETE, values=(1.0,), told_epoch=1, told_hash=b"h", epoch=1)
        changes = Changes(clock=Clock(next_number=1, handed=1, seq=4), updated={0: done}, leases={(0, 1): ended})
        with pytest.raises(OutOfDate):
            await database.transaction(saved(study, CREATED, changes))
        return study

    study = in_study(database_url, stale)
    assert sql("SELECT state, values FROM trials WHERE study_id = %s", study) == [("running", None)]
    assert sql("SELECT live, ended, used FROM leases WHERE study_id = %s", study) == [(True, None, None)]


def test_of_many_who_save_on_the_same_seq_without_the_lock_one_writes(database_url: str, sql: Sql) -> None:
    async def race(database: Database, study: int) -> tuple[int, list[Any]]:
        saves = (database.transaction(saved(study, CREATED, handed_out())) for _ in range(12))
        return study, await asyncio.gather(*saves, return_exceptions=True)

    study, outcomes = in_study(database_url, race)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["OutOfDate"] * 11
    assert sql("SELECT count(*) FROM events WHERE study_id = %s", study) == [(2,)]


def test_who_holds_the_lock_keeps_other_writers_of_the_study_waiting_and_of_no_other(database_url: str) -> None:
    async def contend(database: Database, study: int) -> str:
        new = NewStudy(request_id="create", name=next(names), settings={}, load_if_exists=False)
        other = (await Studies(database).create(new)).study.id
        held, done = asyncio.Event(), asyncio.Event()

        async def hold(connection: Driver) -> None:
            await load(connection, study, Wanted())
            held.set()
            await done.wait()

        async def hasty(connection: Driver) -> str:
            await load(connection, other, Wanted())
            await connection.execute("SET LOCAL lock_timeout = 50")
            try:
                await load(connection, study, Wanted())
            except psycopg.errors.LockNotAvailable:
                return "kept waiting"
            return "let in"

        holder = asyncio.create_task(database.transaction(hold))
        await held.wait()
        outcome: str = await database.transaction(hasty)
        done.set()
        await holder
        return outcome

    assert in_study(database_url, contend) == "kept waiting"


def test_a_lease_of_an_ask_that_is_there_already_is_not_written_twice(database_url: str, sql: Sql) -> None:
    async def again(database: Database, study: int) -> int:
        await database.transaction(saved(study, CREATED, handed_out()))
        trial = Trial(number=1, state=TrialState.RUNNING, epoch=1)
        changes = Changes(
            clock=Clock(next_number=2, handed=2, seq=4), created={1: trial}, issued={(1, 1): lease(1, ordinal=0)}
        )
        with pytest.raises(OutOfDate):
            await database.transaction(saved(study, 3, changes))
        return study

    study = in_study(database_url, again)
    assert sql("SELECT number FROM trials WHERE study_id = %s", study) == [(0,)]
    assert sql("SELECT seq FROM study_clocks WHERE study_id = %s", study) == [(3,)]


def test_a_name_that_is_taken_is_refused_and_nothing_is_written(database_url: str, sql: Sql) -> None:
    async def rename(database: Database, study: int) -> int:
        taken, now = next(names), Clock(next_number=0, handed=0, seq=2)
        new = NewStudy(request_id="create", name=taken, settings={}, load_if_exists=False)
        await Studies(database).create(new)
        changes = Changes(clock=now, name=taken, events=[Event(seq=2, kind="changed")])
        with pytest.raises(StudyExists, match=taken):
            await database.transaction(saved(study, CREATED, changes))
        return study

    study = in_study(database_url, rename)
    assert sql("SELECT count(*) FROM study_names WHERE study_id = %s", study) == [(1,)]
    assert sql("SELECT seq FROM study_clocks WHERE study_id = %s", study) == [(1,)]


def test_a_renewal_never_moves_an_expiry_back(database_url: str, sql: Sql) -> None:
    async def renew(database: Database, study: int) -> list[int]:
        await database.transaction(saved(study, CREATED, handed_out()))
        renewal = Changes(clock=Clock(next_number=1, handed=1, seq=3), leases={(0, 1): lease()}, renewed={(0, 1)})
        left = []
        for seconds in (5.0, 120.0, 60.0):
            await database.transaction(saved(study, 3, renewal, lease_seconds=seconds))
            (found,) = sql(
                "SELECT extract(epoch FROM expires_at - issued_at)::float8 FROM leases WHERE study_id = %s", study
            )
            left.append(round(found[0]))
        return left

    assert in_study(database_url, renew) == [60, 120, 120]


def test_answers_and_refused_results_are_kept_once(database_url: str, sql: Sql) -> None:
    async def keep(database: Database, study: int) -> Locked:
        late = LateResult(number=0, hash=b"h", code="lease_lost", body={"values": ["NaN"]})
        request = Request(request_id="request", hash=b"\x01", reply={"seq": 1})
        now = Clock(next_number=0, handed=0, seq=1)
        await database.transaction(saved(study, CREATED, Changes(clock=now, late=[late], requests=[request])))
        await database.transaction(saved(study, CREATED, Changes(clock=now, late=[late])))
        assert sql("SELECT code, body FROM late_results WHERE study_id = %s", study) == [
            ("lease_lost", {"values": ["NaN"]})
        ]
        return await database.transaction(loaded(study))

    assert in_study(database_url, keep).requests == {"request": (b"\x01", {"seq": 1})}


def test_there_is_no_unknown_study_to_load(database_url: str) -> None:
    async def unknown(database: Database, _: int) -> None:
        with pytest.raises(StudyNotFound):
            await database.transaction(loaded(1))

    in_study(database_url, unknown)
