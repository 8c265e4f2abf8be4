"""Hosts that fail fast are paused, and what they burned through is given back; who has little time gets little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.domain.study import from_path

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
Sql = Callable[..., list[tuple[Any, ...]]]


def fail(study: Study, host: str, times: int = 1, *, replica: int = 0, **more: Any) -> None:
    """That many failures in a row of the host, each of a trial of its own."""
    for _ in range(times):
        trial = study.trial(host=host)
        assert study.tell(trial, "failed", error=f"no device on {host}", replica=replica, **more).status_code == 200


def asked(study: Study, host: str, *, replica: int = 0, **more: Any) -> dict[str, Any]:
    """What an ask of the host is answered, without the seq."""
    reply: dict[str, Any] = study.asked(host=host, replica=replica, **more).json()
    return {name: value for name, value in reply.items() if name != "seq"}


def told_after(study: Study, clock: Clock, seconds: float, count: int) -> None:
    """That many complete trials, which took so long each."""
    trials = study.ask(count=count)
    clock.move(seconds)
    for trial in trials:
        study.tell(trial, values=[1.0])


def handed(sql: Sql, study: Study) -> int:
    ((number,),) = sql("SELECT handed FROM study_clocks WHERE study_id = %s", from_path(study.id))
    return int(number)


def test_a_host_is_paused_by_its_third_fast_failure_in_a_row_and_others_are_not(study: Study, clock: Clock) -> None:
    fail(study, "bad", 3)
    paused = {"trials": [], "retry_after_s": 5.0, "reason": "host_paused", "cause": "no device on bad"}
    assert asked(study, "bad") == asked(study, "bad", replica=1) == paused
    assert len(asked(study, "good")["trials"]) == 1
    assert len(study.ask()) == 1


def test_a_pause_ends_and_the_next_failure_brings_one_twice_as_long(study: Study, clock: Clock) -> None:
    fail(study, "bad", 3)
    clock.move(2)
    assert asked(study, "bad")["retry_after_s"] == 3.0
    clock.move(3)
    fail(study, "bad", replica=1)
    assert asked(study, "bad")["retry_after_s"] == 10.0
    clock.move(10)
    fail(study, "bad")
    assert asked(study, "bad", replica=1)["retry_after_s"] == 20.0


@pytest.mark.parametrize("replica", [0, 1])
@pytest.mark.parametrize("body", [{"values": [1.0]}, {"values": ["NaN"]}, {"state": "pruned"}])
def test_anything_else_that_the_host_tells_ends_the_row(
    study: Study, clock: Clock, sql: Sql, body: dict[str, Any], replica: int
) -> None:
    running = study.trial(host="bad")
    fail(study, "bad", 3)
    study.of(running, "tell", {"state": "complete", **body}, replica=replica)
    assert len(asked(study, "bad")["trials"]) == 1
    fail(study, "bad", 2, replica=1)
    assert len(asked(study, "bad")["trials"]) == 1
    kinds = sql(
        "SELECT kind, number, payload FROM events WHERE study_id = %s AND kind LIKE 'host%%' ORDER BY seq",
        from_path(study.id),
    )
    paused = {"host": "bad", "failures": 3, "seconds": 5.0, "refunded": 0}
    assert kinds == [("host_paused", None, paused), ("host_cleared", None, {"host": "bad"})]


def test_a_slow_failure_is_the_point_s_and_ends_the_row(study: Study, clock: Clock) -> None:
    fail(study, "bad", 2)
    slow = study.trial(host="bad")
    clock.move(10.5)
    study.tell(slow, "failed")
    fail(study, "bad", 2)
    assert len(asked(study, "bad")["trials"]) == 1


def test_where_trials_take_no_time_a_failure_in_no_time_says_nothing(study: Study, clock: Clock) -> None:
    told_after(study, clock, 1.0, count=5)
    trials = study.ask(count=4, host="bad")
    clock.move(0.25)
    for trial in trials:
        study.tell(trial, "failed")
    assert len(asked(study, "bad")["trials"]) == 1


def test_a_host_without_a_name_is_never_paused_and_no_host_where_the_study_says_so(make_study: MakeStudy) -> None:
    study = make_study(max_host_failures=None)
    fail(study, "bad", 5)
    assert len(asked(study, "bad")["trials"]) == 1
    nameless = make_study(max_host_failures=1)
    for _ in range(3):
        nameless.tell(nameless.trial(), "failed")
    assert len(nameless.ask()) == 1


def test_a_pause_is_of_one_study(make_study: MakeStudy, clock: Clock) -> None:
    fail(make_study(max_host_failures=1), "bad")
    assert len(asked(make_study(), "bad")["trials"]) == 1


def test_a_repeated_or_refused_failure_counts_once(study: Study, clock: Clock) -> None:
    trial = study.trial(host="bad")
    for replica in (0, 1, 0, 1):
        study.tell(trial, "failed", replica=replica)
        study.tell(trial, "failed", error="another", replica=replica)
    fail(study, "bad")
    assert len(asked(study, "bad")["trials"]) == 1


def test_from_the_pause_on_failures_are_given_back_to_the_budget(make_study: MakeStudy, clock: Clock, sql: Sql) -> None:
    study = make_study(max_trials=10)
    left = []
    for _ in range(5):
        fail(study, "bad")
        left.append(handed(sql, study))
        clock.move(60)
    assert left == [1, 2, 0, 0, 0]
    assert len(study.ask(count=20)) == 10


def test_a_failure_that_is_tried_again_is_not_given_back(make_study: MakeStudy, clock: Clock, sql: Sql) -> None:
    study = make_study(max_trials=10, max_host_failures=1)
    fail(study, "bad", retry=True)
    assert handed(sql, study) == 1
    clock.move(60)
    assert study.trial(host="bad")["number"] == 0


def test_an_objective_that_always_fails_comes_to_an_end_at_twice_the_budget(
    make_study: MakeStudy, clock: Clock, sql: Sql
) -> None:
    study = make_study(max_trials=4, max_host_failures=1)
    numbers = []
    for _ in range(20):
        numbers += [trial["number"] for trial in study.ask(host="bad")]
        if study.get()["counts"]["running"] == 0:
            break
        study.post(f"trials/{numbers[-1]}/tell", {"lease": lease_of(sql, study), "state": "failed"})
        clock.move(300)
    assert numbers == list(range(8))
    assert study.asked(host="bad").json()["done"] is True


def lease_of(sql: Sql, study: Study) -> str:
    ((token,),) = sql("SELECT token FROM leases WHERE live AND study_id = %s", from_path(study.id))
    return str(token)


def test_a_study_that_is_done_keeps_no_paused_host_waiting(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(max_trials=1, max_host_failures=1, max_attempts=1)
    trial = study.trial()
    fail_on = make_study(max_trials=2, max_host_failures=1)
    fail(fail_on, "bad")
    assert asked(fail_on, "bad")["reason"] == "host_paused"
    study.tell(trial, "failed")
    assert asked(study, "bad") == {"trials": [], "done": True}


def test_a_trial_goes_elsewhere_after_a_failure_as_long_as_another_host_is_there(
    make_study: MakeStudy, clock: Clock
) -> None:
    study = make_study(max_trials=2, max_host_failures=None)
    elsewhere = study.trial(host="good")
    fail(study, "bad", retry=True)
    waiting = study.get("/trials/1")
    assert (waiting["state"], waiting["attempt"], waiting["cause"]) == ("waiting", 1, "no device on bad")
    assert asked(study, "bad", replica=1) == {"trials": [], "retry_after_s": 1.0}
    again = study.trial(host="good", replica=1)
    assert (again["number"], again["epoch"], again["attempt"]) == (1, 2, 1)
    study.of(again, "release", {})
    study.tell(elsewhere, values=[1.0])
    assert study.trial(host="bad")["number"] == 1


def test_new_trials_are_handed_out_past_one_that_avoids_the_host(study: Study) -> None:
    study.trial(host="good")
    fail(study, "bad", retry=True)
    assert study.trial(host="bad")["number"] == 2
    assert study.trial(host="good")["number"] == 1


def test_who_has_too_little_time_for_a_trial_gets_none(study: Study, clock: Clock) -> None:
    told_after(study, clock, 60.0, count=2)
    assert len(study.ask(wall_time_s=1.0)) == 1
    told_after(study, clock, 60.0, count=1)
    short = {"trials": [], "done": True, "reason": "wall_time"}
    assert asked(study, "h", wall_time_s=59.0) == asked(study, "h", wall_time_s=59.0, replica=1) == short
    assert len(study.ask(wall_time_s=60.0)) == 1
    assert len(study.ask(wall_time_s=1.0, resumable=True)) == 1
    assert len(study.ask()) == 1


def test_who_has_too_little_time_gets_what_left_a_checkpoint(study: Study, clock: Clock) -> None:
    told_after(study, clock, 60.0, count=3)
    with_checkpoint, without = study.ask(count=2)
    study.of(without, "release", {})
    study.of(with_checkpoint, "release", {"checkpoint": "place"})
    assert [trial["number"] for trial in study.ask(count=5, wall_time_s=1.0, replica=1)] == [with_checkpoint["number"]]
    assert study.trial()["number"] == without["number"]


def test_the_latest_trials_say_how_long_one_takes(study: Study, clock: Clock) -> None:
    told_after(study, clock, 600.0, count=3)
    told_after(study, clock, 1.0, count=50)
    assert len(study.ask(wall_time_s=2.0)) == 1


def test_a_deleted_trial_says_nothing_of_how_long_one_takes(study: Study, clock: Clock) -> None:
    told_after(study, clock, 60.0, count=3)
    study.service.send("DELETE", f"{study.path}/trials/0")
    assert len(study.ask(wall_time_s=1.0)) == 1


def test_workers_show_how_their_host_fares_where_it_is_paused_for_longest(
    service: Service, make_study: MakeStudy, clock: Clock
) -> None:
    for worker, host in (("w1", "shown"), ("w2", "fine")):
        body = {"id": worker, "host": host, "pid": 1, "client_version": "0"}
        service.send("POST", "/workers", body)
    once, often = make_study(max_host_failures=1), make_study(max_host_failures=1)
    fail(once, "shown")
    for _ in range(2):
        clock.move(10)
        fail(often, "shown")
    clock.move(1)
    workers = {worker["id"]: worker for worker in service.send("GET", "/workers").json()["workers"]}
    shown = {name: (w["fast_failures"], w["paused_s"], w["cause"]) for name, w in workers.items()}
    assert shown == {"w1": (2, 9.0, "no device on shown"), "w2": (0, None, None)}
