"""What keeps a lease, and what giving a trial back leaves to the next worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def leased(make_study: MakeStudy) -> Study:
    """A study whose leases last ten seconds."""
    return make_study(lease_seconds=10.0)


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def beat(study: Study, trial: dict[str, Any], *, replica: int = 0) -> httpx.Response:
    reply: httpx.Response = study.of(trial, "heartbeat", {}, replica=replica)
    return reply


def test_a_heartbeat_gives_the_lease_a_fresh_period(leased: Study, clock: Clock) -> None:
    trial = leased.trial()
    for replica in (0, 1, 0):
        clock.live(9)
        assert beat(leased, trial, replica=replica).json() == {"cancel": False, "lease_seconds": 10.0}
    clock.live(9)
    assert leased.state(0) == "running"
    clock.live(2)
    assert leased.state(0) == "waiting"


def test_a_report_gives_the_lease_a_fresh_period_and_so_does_its_repetition(leased: Study, clock: Clock) -> None:
    trial = leased.trial()
    for step, replica in ((0, 0), (0, 1), (1, 0)):
        clock.live(9)
        assert leased.report(trial, step, 1.0, replica=replica).json()["lease_seconds"] == 10.0
    clock.live(9)
    assert leased.state(0) == "running"


def test_a_suggestion_leaves_the_lease_as_it_is(leased: Study, clock: Clock) -> None:
    trial = leased.trial()
    clock.live(9)
    leased.of(trial, "suggest", {"name": "y", "distribution": {"type": "int", "low": 1, "high": 2}})
    clock.live(2)
    assert leased.state(0) == "waiting"


def test_an_expiry_never_moves_back_though_leases_were_made_shorter(
    service: Service, make_study: MakeStudy, clock: Clock
) -> None:
    study = make_study(lease_seconds=60.0)
    trial = study.trial()
    service.send("PATCH", study.path, {"request_id": service.key(), "lease_seconds": 4.0})
    for replica in (0, 1):
        assert beat(study, trial, replica=replica).json()["lease_seconds"] == 4.0
    clock.live(59)
    assert study.state(0) == "running"
    clock.live(2)
    assert study.state(0) == "waiting"


def test_a_repeated_ask_says_how_much_of_the_lease_is_left(leased: Study, clock: Clock) -> None:
    assert leased.ask("slow")[0]["lease_seconds"] == 10.0
    clock.live(7)
    assert [leased.ask("slow", replica=replica)[0]["lease_seconds"] for replica in (0, 1)] == [3.0, 3.0]


def test_a_lease_that_has_ended_beats_no_more(leased: Study, clock: Clock) -> None:
    silent = leased.trial()
    clock.live(11)
    released = leased.trial()
    leased.of(released, "release", {})
    told = leased.finish(1.0)
    for trial in (silent, released, told):
        for replica in (0, 1):
            assert refused(beat(leased, trial, replica=replica)) == (409, "lease_lost")


def test_a_lease_past_its_expiry_lives_until_the_reaper_comes(leased: Study, clock: Clock) -> None:
    trial = leased.trial()
    clock.move(1000)
    assert beat(leased, trial).status_code == 200
    assert leased.tell(trial, values=[1.0]).status_code == 200


def test_a_trial_that_was_given_back_keeps_number_and_proposal_and_uses_no_attempt(make_study: MakeStudy) -> None:
    study = make_study(max_attempts=1)
    trial = study.trial()
    for epoch in (2, 3, 4):
        reply = study.of(trial, "release", {}).json()
        assert (reply["number"], reply["state"]) == (0, "waiting")
        again = study.trial(replica=epoch % 2)
        assert (again["number"], again["params"], again["attempt"]) == (0, trial["params"], 0)
        assert (again["epoch"], again["origin"]) == (epoch, "retry")
        assert again["lease"] != trial["lease"]
        trial = again


def test_a_release_is_repeated_though_the_trial_has_been_handed_out_again(study: Study) -> None:
    trial = study.trial()
    for replica in (0, 1, 0):
        reply = study.of(trial, "release", {"checkpoint": "s3://x", "step": 3}, replica=replica)
        assert (reply.status_code, reply.json()["state"]) == (200, "waiting")
    study.trial()
    assert study.of(trial, "release", {"checkpoint": "s3://x", "step": 3}).status_code == 200
    assert study.state(0) == "running"
    assert refused(study.of(trial, "release", {"checkpoint": "other"})) == (409, "lease_lost")
    assert refused(study.of(trial, "release", {"checkpoint": "s3://x", "step": 4})) == (409, "lease_lost")


def test_who_has_lost_the_trial_cannot_give_it_back(leased: Study, clock: Clock) -> None:
    silent = leased.trial()
    clock.live(11)
    leased.trial()
    assert refused(leased.of(silent, "release", {})) == (409, "lease_lost")
    assert refused(leased.of(leased.finish(1.0), "release", {})) == (409, "lease_lost")
    assert leased.state(0) == "running"


def test_a_checkpoint_hands_on_the_steps_up_to_it(study: Study) -> None:
    trial = study.trial()
    for step in range(5):
        study.report(trial, step, float(step))
    study.of(trial, "release", {"checkpoint": "s3://x", "step": 2})
    again = study.trial(replica=1)
    inherited = [{"step": step, "values": [float(step)]} for step in range(3)]
    assert again["reports"] == inherited
    assert again["resume_from"] == {"checkpoint": "s3://x", "step": 2}
    study.report(again, 3, 30.0)
    study.tell(again, "pruned")
    stored = study.get("/trials/0")
    assert (stored["reports"], stored["values"]) == ([*inherited, {"step": 3, "values": [30.0]}], [30.0])


def test_a_checkpoint_without_a_step_is_that_of_the_deepest_report(study: Study) -> None:
    trial = study.trial()
    for step in (0, 5):
        study.report(trial, step, 1.0)
    study.of(trial, "release", {"checkpoint": "s3://x"})
    assert study.trial()["resume_from"] == {"checkpoint": "s3://x", "step": 5}


def test_a_release_without_a_checkpoint_hands_nothing_on(study: Study) -> None:
    trial = study.trial()
    study.report(trial, 0, 1.0)
    study.of(trial, "release", {})
    again = study.trial()
    assert again["reports"] == []
    assert "resume_from" not in again
    assert study.get("/trials/0")["reports"] == []


def test_a_checkpoint_outlives_a_worker_that_fell_silent_after_it(leased: Study, clock: Clock) -> None:
    first = leased.trial()
    leased.report(first, 0, 1.0)
    leased.of(first, "release", {"checkpoint": "s3://x", "step": 0})
    second = leased.trial()
    leased.report(second, 0, 2.0)
    leased.report(second, 1, 3.0)
    clock.live(11)
    third = leased.trial(replica=1)
    assert third["resume_from"] == {"checkpoint": "s3://x", "step": 0}
    assert (third["epoch"], third["attempt"]) == (3, 1)
    assert third["reports"] == leased.get("/trials/0")["reports"] == [{"step": 0, "values": [1.0]}]


def test_the_latest_checkpoint_counts(study: Study) -> None:
    trial = study.trial()
    for step, place in ((0, "first"), (1, "second")):
        study.report(trial, step, float(step))
        study.of(trial, "release", {"checkpoint": place, "step": step})
        trial = study.trial(replica=step)
    assert trial["resume_from"] == {"checkpoint": "second", "step": 1}
    assert trial["reports"] == [{"step": 0, "values": [0.0]}, {"step": 1, "values": [1.0]}]


def test_an_inherited_value_may_be_reported_again_as_another(study: Study) -> None:
    trial = study.trial()
    study.report(trial, 0, 1.0)
    study.of(trial, "release", {"checkpoint": "s3://x"})
    again = study.trial()
    assert study.report(again, 0, 2.0).json()["kept"] == []
    assert study.get("/trials/0")["reports"] == [{"step": 0, "values": [2.0]}]


def test_a_trial_is_given_to_one_worker_however_many_ask_at_once(service: Service, study: Study) -> None:
    study.of(study.trial(), "release", {})
    replies = service.race([("POST", f"{study.path}/ask", study.ask_body()) for _ in range(20)])
    assert sorted(reply.json()["trials"][0]["number"] for reply in replies) == list(range(20))


def test_a_lease_lasts_as_its_worker_was_told_though_its_length_is_changed_at_the_same_moment(
    service: Service, make_study: MakeStudy, sql: Sql
) -> None:
    study = make_study(lease_seconds=5.0)
    trial = study.trial()
    beat = ("POST", f"{study.path}/trials/0/heartbeat", {"lease": trial["lease"]})
    longer = {"request_id": service.key(), "lease_seconds": 60.0}
    service.send("PATCH", study.path, longer)
    shorter = ("PATCH", study.path, {"request_id": service.key(), "lease_seconds": 5.0})
    # Every other request goes to the other replica: so both are of one batch.
    told, *_ = service.race([beat, ("GET", "/meta", None), shorter])
    assert told.json()["lease_seconds"] == 60.0
    ((left,),) = sql(
        "SELECT extract(epoch FROM expires_at - tpeak_now())::float8 FROM leases JOIN studies ON id = study_id "
        "WHERE name = %s",
        study.get()["name"],
    )
    assert left > 30.0
