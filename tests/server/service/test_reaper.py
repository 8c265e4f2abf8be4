"""Taking trials back from workers that fell silent, and from nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tpeak_server.domain.errors import DatabaseUnavailable
from tpeak_server.domain.study import from_path
from tpeak_server.service.commands import Expire
from tpeak_server.service.reaper import Reaper

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
Sql = Callable[..., list[tuple[Any, ...]]]

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
"""The backends that wait for a lock."""


@pytest.fixture
def leased(make_study: MakeStudy) -> Study:
    """A study whose leases last ten seconds."""
    return make_study(lease_seconds=10.0)


def test_a_silent_worker_s_trial_waits_again_with_its_number_and_proposal(leased: Study, clock: Clock) -> None:
    trial = leased.trial()
    leased.report(trial, 0, 1.0)
    clock.live(10)
    assert leased.state(0) == "running"
    clock.live(1)
    waiting = leased.get("/trials/0")
    assert (waiting["state"], waiting["attempt"], waiting["epoch"], waiting["cause"]) == ("waiting", 1, 1, None)
    again = leased.trial(replica=1)
    assert (again["number"], again["params"]) == (0, trial["params"])
    assert (again["epoch"], again["attempt"], again["reports"]) == (2, 1, [])


def test_a_trial_whose_workers_fell_silent_too_often_is_lost(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(lease_seconds=10.0, max_attempts=3)
    for attempt in range(3):
        assert study.trial(replica=attempt % 2)["attempt"] == attempt
        clock.live(11)
    lost = study.get("/trials/0")
    assert (lost["state"], lost["attempt"], lost["values"]) == ("lost", 3, None)
    assert lost["cause"] == "its worker fell silent 3 times (max_attempts = 3)"
    assert lost["finished_at"] is not None
    assert study.trial()["number"] == 1


def test_releases_between_expiries_are_no_attempts(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(lease_seconds=10.0, max_attempts=2)
    study.trial()
    clock.live(11)
    for _ in range(3):
        study.of(study.trial(), "release", {})
    assert study.get("/trials/0")["attempt"] == 1
    study.trial()
    clock.live(11)
    assert study.state(0) == "lost"


def test_every_lease_that_ran_out_is_taken_back_and_no_other(leased: Study, clock: Clock) -> None:
    early = leased.ask(count=5)
    clock.live(5)
    leased.ask(count=5, replica=1)
    leased.of(early[2], "heartbeat", {})
    clock.live(6)
    assert [leased.state(number) for number in range(5)] == ["waiting", "waiting", "running", "waiting", "waiting"]
    assert leased.get()["counts"]["running"] == 6


def test_two_reapers_that_look_at_once_take_a_trial_back_once(service: Service, leased: Study, clock: Clock) -> None:
    leased.ask(count=8)
    clock.live(10)
    clock.move(1)
    for replica in (0, 1):
        service.tick(replica=replica)
    assert [leased.get(f"/trials/{number}")["attempt"] for number in range(8)] == [1] * 8


def test_after_an_outage_every_lease_gets_a_fresh_period_first(service: Service, leased: Study, clock: Clock) -> None:
    leased.ask(count=2)
    clock.move(1000)
    service.tick(replica=1)
    clock.live(9)
    assert [leased.state(number) for number in (0, 1)] == ["running", "running"]
    clock.live(2)
    assert [leased.state(number) for number in (0, 1)] == ["waiting", "waiting"]


def test_an_outage_is_what_lasts_longer_than_a_third_of_a_lease(
    service: Service, make_study: MakeStudy, clock: Clock
) -> None:
    short, long = make_study(lease_seconds=6.0), make_study(lease_seconds=12.0)
    short.trial()
    long.trial()
    clock.live(4)
    clock.move(3)
    service.tick()
    clock.live(5.5)
    assert (short.state(0), long.state(0)) == ("running", "waiting")
    clock.live(1)
    assert short.state(0) == "waiting"


def test_the_fresh_period_after_an_outage_moves_no_expiry_back(
    service: Service, make_study: MakeStudy, clock: Clock
) -> None:
    study = make_study(lease_seconds=60.0)
    study.trial()
    service.send("PATCH", study.path, {"request_id": service.key(), "lease_seconds": 4.0})
    clock.move(30)
    service.tick()
    clock.live(29)
    assert study.state(0) == "running"


def test_any_replica_knows_of_an_outage_that_another_one_noticed(service: Service, leased: Study, clock: Clock) -> None:
    leased.trial()
    clock.live(2)
    clock.move(4)
    service.tick(replica=0)
    clock.move(3)
    service.tick(replica=0)
    clock.move(2)
    service.tick(replica=1)
    assert leased.state(0) == "running"
    clock.live(4)
    assert leased.state(0) == "running"
    clock.live(2)
    assert leased.state(0) == "waiting"


def test_a_short_outage_after_a_long_one_does_not_cover_it(
    service: Service, make_study: MakeStudy, clock: Clock
) -> None:
    short, long = make_study(lease_seconds=3.0), make_study(lease_seconds=12.0)
    short.trial()
    long.trial()
    for seconds in (9, 2, 2):
        clock.move(seconds)
        service.tick()
    assert long.state(0) == "running"


def test_a_lease_that_was_renewed_after_an_outage_has_one_period_as_any_other(
    service: Service, leased: Study, clock: Clock
) -> None:
    trial = leased.trial()
    clock.move(5)
    service.tick()
    leased.of(trial, "heartbeat", {})
    clock.live(9)
    assert leased.state(0) == "running"
    clock.live(2)
    assert leased.state(0) == "waiting"


def test_an_outage_that_comes_between_the_look_and_the_tick_earns_a_fresh_period_too(
    service: Service, leased: Study, clock: Clock, sql: Sql, database_url: str
) -> None:
    leased.trial()
    clock.live(9)

    async def outage_under_way() -> None:
        reaper = service.replicas[0].reaper
        async with await psycopg.AsyncConnection.connect(database_url) as outage:
            await outage.execute("SELECT FROM meta FOR UPDATE")
            tick = asyncio.create_task(reaper.tick())
            while not sql(WAITING):  # noqa: ASYNC110 - it is another process that waits
                await asyncio.sleep(0.01)
            clock.move(9)
            sql(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
        await tick

    service.run(outage_under_way())
    assert leased.state(0) == "running"
    clock.live(8)
    assert leased.state(0) == "running"
    clock.live(3)
    assert leased.state(0) == "waiting"


def test_a_lease_that_only_an_outage_after_the_look_kept_from_being_renewed_is_not_taken(
    service: Service, leased: Study, clock: Clock, sql: Sql
) -> None:
    leased.trial()
    clock.live(10)
    ((ticked_at,),) = sql("SELECT reaper_tick FROM meta")
    expire = Expire(number=0, epoch=1, ticked_at=ticked_at)
    clock.move(4)
    study = from_path(leased.id)
    service.run(service.replicas[0].submit(study, expire))
    assert leased.state(0) == "running"
    clock.live(9)
    assert leased.state(0) == "running"
    clock.live(4)
    assert leased.state(0) == "waiting"


def test_a_worker_that_came_back_before_the_lock_was_taken_keeps_its_trial(
    service: Service, leased: Study, clock: Clock
) -> None:
    trial = leased.trial()
    clock.live(10)
    clock.move(1)
    leased.of(trial, "heartbeat", {}, replica=1)
    for replica in (0, 1):
        expire(service, leased, epoch=1, replica=replica)
    assert leased.state(0) == "running"


def test_a_late_look_at_an_earlier_epoch_ends_no_later_one(service: Service, leased: Study, clock: Clock) -> None:
    leased.trial()
    clock.live(11)
    leased.trial(replica=1)
    clock.move(11)
    expire(service, leased, epoch=1)
    assert leased.state(0) == "running"
    expire(service, leased, epoch=2)
    assert leased.state(0) == "waiting"


def test_a_trial_that_was_told_in_the_meantime_is_not_taken_back(service: Service, leased: Study, clock: Clock) -> None:
    leased.finish(1.0)
    clock.move(11)
    for replica in (0, 1):
        expire(service, leased, epoch=1, replica=replica)
    assert leased.state(0) == "complete"


def test_leases_of_an_archived_study_run_out_in_peace(service: Service, leased: Study, clock: Clock) -> None:
    leased.trial()
    service.send("DELETE", leased.path)
    clock.live(11)
    assert leased.state(0) == "waiting"


def test_a_renewal_moves_no_seq_and_an_expiry_moves_it_by_one(leased: Study, clock: Clock) -> None:
    trial = leased.trial()
    before = leased.get()["seq"]
    leased.of(trial, "heartbeat", {})
    assert leased.get()["seq"] == before
    clock.live(11)
    assert leased.get()["seq"] == before + 1


def test_an_expiry_is_known_to_the_other_replica_at_once(leased: Study, clock: Clock) -> None:
    leased.trial(replica=1)
    clock.live(11)
    assert leased.trial(replica=1)["number"] == 0


def expire(service: Service, study: Study, *, epoch: int, replica: int = 0) -> None:
    """What a reaper does that has found trial 0 overdue a moment ago."""
    command = Expire(number=0, epoch=epoch)
    service.run(service.replicas[replica].submit(from_path(study.id), command))


def test_trouble_that_lasts_is_logged_once(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tpeak_server.service.reaper.TICK_S", 0.0)
    looks = iter([True, True, False, True])
    enough = asyncio.Event()

    class Reluctant(Reaper):
        async def tick(self) -> None:
            look = next(looks, None)
            if look is None:
                enough.set()
            elif look:
                raise DatabaseUnavailable("on purpose")

    async def watched() -> None:
        reaping = asyncio.create_task(Reluctant(service.replicas[0].database, service.replicas[0].submit).run())
        await enough.wait()
        reaping.cancel()

    service.run(watched())
    assert caplog.messages == ["the reaper could not work: on purpose"] * 2
