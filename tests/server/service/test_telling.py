"""Results: taken once, and from a worker that was given up as well where the result is worth it."""

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
LEASE_S = 10.0


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def late_results(sql: Sql, study: Study) -> list[tuple[Any, ...]]:
    return sql(
        "SELECT number, code, body FROM late_results JOIN studies ON id = study_id WHERE name = %s ORDER BY 1, 2",
        study.get()["name"],
    )


@pytest.fixture
def leased(make_study: MakeStudy) -> Study:
    """A study whose leases last ten seconds."""
    return make_study(lease_seconds=LEASE_S, directions=["minimize"], pruner={"name": "nop"})


def expired(study: Study, clock: Clock, **more: Any) -> dict[str, Any]:
    """A trial whose worker fell silent, as that worker has it."""
    trial: dict[str, Any] = study.trial(**more)
    clock.live(LEASE_S + 1)
    return trial


def test_a_result_is_stored_bit_for_bit(study: Study) -> None:
    for value in (-0.0, 5e-324, 0.1 + 0.2, 1.7976931348623157e308, "Infinity", "-Infinity"):
        trial = study.trial()
        reply = study.tell(trial, values=[value], constraints=[value, "NaN"], user_attrs={"seen": value})
        assert repr(reply.json()["values"]) == repr([value])
        stored = study.get(f"/trials/{trial['number']}", replica=1)
        assert repr((stored["values"], stored["constraints"])) == repr(([value], [value, "NaN"]))
        assert (stored["state"], repr(stored["user_attrs"])) == ("complete", repr({"seen": value}))


def test_a_repeated_result_gets_the_first_answer_from_either_replica(study: Study) -> None:
    trial = study.trial()
    first = study.tell(trial, values=[0.5], used=["x"], user_attrs={"a": 1})
    study.finish(1.0)
    for replica in (0, 1):
        again = study.tell(trial, values=[0.5], used=["x"], user_attrs={"a": 1}, replica=replica)
        assert again.status_code == 200
        assert {**again.json(), "seq": 0} == {**first.json(), "seq": 0}
    assert study.get()["counts"]["complete"] == 2


def test_of_simultaneous_results_one_wins_and_its_repetitions_agree(service: Service, study: Study) -> None:
    trial = study.trial()
    path = f"{study.path}/trials/{trial['number']}/tell"
    bodies = [{"lease": trial["lease"], "state": "complete", "values": [float(n % 4)]} for n in range(24)]
    replies = service.race([("POST", path, body) for body in bodies])
    won = [reply.json()["values"] for reply in replies if reply.status_code == 200]
    assert len(won) == 6
    assert {repr(values) for values in won} == {repr(study.get("/trials/0")["values"])}
    assert {refused(reply) for reply in replies if reply.status_code != 200} == {(409, "already_finished")}


@pytest.mark.parametrize(
    "other", [{"values": [0.25]}, {"state": "failed"}, {"state": "pruned", "values": [0.5]}, {"values": [-0.5]}]
)
def test_another_result_is_refused_and_the_first_stands(study: Study, other: dict[str, Any]) -> None:
    trial = study.trial()
    study.tell(trial, values=[0.5])
    body = {"state": "complete", **other}
    for replica in (0, 1):
        assert refused(study.of(trial, "tell", body, replica=replica)) == (409, "already_finished")
    assert study.get("/trials/0")["values"] == [0.5]


def test_zero_is_another_result_than_negative_zero(study: Study) -> None:
    trial = study.trial()
    study.tell(trial, values=[0.0])
    assert refused(study.tell(trial, values=[-0.0])) == (409, "already_finished")


def test_a_refused_result_is_kept_once(study: Study, sql: Sql) -> None:
    trial = study.trial()
    study.tell(trial, values=[0.5])
    for replica in (0, 1, 0):
        study.tell(trial, values=["Infinity"], constraints=["NaN"], user_attrs={"a": 1}, used=["x"], replica=replica)
    assert late_results(sql, study) == [
        (
            0,
            "already_finished",
            {
                "lease": trial["lease"],
                "state": "complete",
                "values": ["Infinity"],
                "constraints": ["NaN"],
                "error": None,
                "user_attrs": {"a": 1},
                "used": ["x"],
            },
        )
    ]


def test_different_refused_results_are_all_kept(study: Study, sql: Sql) -> None:
    trial = study.trial()
    study.tell(trial, values=[0.5])
    for value in (1.0, 2.0):
        study.tell(trial, values=[value])
    assert sorted(body["values"] for _, _, body in late_results(sql, study)) == [[1.0], [2.0]]


def test_nan_makes_a_complete_trial_failed_and_says_why(make_study: MakeStudy) -> None:
    study = make_study(directions=["minimize", "maximize"])
    trial = study.trial()
    told = study.tell(trial, values=[1.0, "NaN"]).json()
    assert (told["state"], told["values"], told["cause"]) == ("failed", None, "the objective returned NaN")
    assert study.tell(trial, values=[1.0, "NaN"], replica=1).json() == told
    assert study.get("/trials/0")["cause"] == "the objective returned NaN"


@pytest.mark.parametrize("values", [[], [1.0, 2.0], None])
def test_a_complete_trial_needs_one_value_per_direction(study: Study, values: list[float] | None) -> None:
    trial = study.trial()
    assert study.tell(trial, values=values).status_code == 422
    assert study.state(trial["number"]) == "running"


def test_a_failed_trial_keeps_its_error_and_has_no_values(study: Study) -> None:
    trial = study.trial()
    assert refused(study.tell(trial, "failed", values=[1.0])) == (422, "invalid_request")
    told = study.tell(trial, "failed", error="ValueError: lr").json()
    assert (told["state"], told["values"], told["cause"]) == ("failed", None, "ValueError: lr")


def test_a_pruned_trial_without_values_takes_those_of_its_deepest_step(study: Study) -> None:
    trial = study.trial()
    for step, value in ((0, 3.0), (7, 1.0), (5, 2.0)):
        study.report(trial, step, value)
    told = study.tell(trial, "pruned", replica=1).json()
    assert (told["state"], told["values"]) == ("pruned", [1.0])


def test_a_pruned_trial_may_have_values_of_its_own_or_none_at_all(study: Study) -> None:
    own, silent = study.ask(count=2)
    study.report(own, 0, 3.0)
    assert study.tell(own, "pruned", values=[9.0]).json()["values"] == [9.0]
    assert study.tell(silent, "pruned").json()["values"] is None


def test_the_names_that_were_used_are_the_trial_s_parameters(study: Study) -> None:
    space = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("x", "y", "z")}
    trial = study.trial(distributions=space)
    study.tell(trial, values=[1.0], used=["z", "x"])
    assert study.get("/trials/0")["params"] == {"z": trial["params"]["z"], "x": trial["params"]["x"]}


def test_a_late_complete_result_is_taken_while_the_trial_waits(leased: Study, clock: Clock) -> None:
    trial = expired(leased, clock)
    assert leased.state(0) == "waiting"
    told = leased.tell(trial, values=[0.5])
    assert (told.status_code, told.json()["state"]) == (200, "complete")
    assert leased.trial()["number"] == 1


def test_a_late_complete_result_supersedes_the_lease_of_the_worker_that_has_the_trial_now(
    leased: Study, clock: Clock, sql: Sql
) -> None:
    late = expired(leased, clock)
    leased.report(late, 0, 4.0)
    newer = leased.trial(replica=1)
    assert (newer["number"], newer["epoch"], newer["params"]) == (0, 2, late["params"])
    leased.report(newer, 0, 5.0, replica=1)
    assert leased.tell(late, values=[0.5]).status_code == 200
    for replica in (0, 1):
        assert refused(leased.report(newer, 1, 5.0, replica=replica)) == (409, "lease_lost")
        assert refused(leased.of(newer, "heartbeat", {}, replica=replica)) == (409, "lease_lost")
        assert refused(leased.tell(newer, values=[0.25], replica=replica)) == (409, "already_finished")
    stored = leased.get("/trials/0")
    assert (stored["values"], stored["epoch"], stored["reports"]) == ([0.5], 2, [])
    assert [(number, code, body["values"]) for number, code, body in late_results(sql, leased)] == [
        (0, "already_finished", [0.25])
    ]


def test_the_same_result_from_another_lease_is_no_repetition(leased: Study, clock: Clock) -> None:
    late = expired(leased, clock)
    newer = leased.trial()
    leased.tell(newer, values=[0.5])
    for replica in (0, 1):
        assert refused(leased.tell(late, values=[0.5], replica=replica)) == (409, "already_finished")
        assert leased.tell(newer, values=[0.5], replica=replica).status_code == 200


def test_the_curve_of_a_trial_is_that_of_the_epoch_whose_result_won(leased: Study, clock: Clock) -> None:
    late = leased.trial()
    leased.report(late, 0, 4.0)
    clock.live(LEASE_S + 1)
    leased.report(leased.trial(), 0, 5.0)
    leased.tell(late, values=[0.5])
    assert leased.get("/trials/0")["reports"] == [{"step": 0, "values": [4.0]}]


def test_a_late_complete_result_brings_a_lost_trial_back(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(lease_seconds=LEASE_S, max_attempts=1)
    trial = expired(study, clock)
    assert study.state(0) == "lost"
    assert study.tell(trial, values=[0.5], replica=1).json()["state"] == "complete"
    stored = study.get("/trials/0")
    assert (stored["state"], stored["values"], stored["cause"]) == ("complete", [0.5], None)
    assert study.tell(trial, values=[0.5]).status_code == 200
    assert study.get()["counts"]["lost"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"state": "failed"},
        {"state": "pruned", "values": [0.5]},
        {"state": "complete", "values": ["Infinity"]},
        {"state": "complete", "values": ["NaN"]},
    ],
)
@pytest.mark.parametrize("attempts", [1, 3])
def test_other_late_results_are_refused_and_kept(
    make_study: MakeStudy, clock: Clock, sql: Sql, body: dict[str, Any], attempts: int
) -> None:
    study = make_study(lease_seconds=LEASE_S, max_attempts=attempts)
    trial = expired(study, clock)
    for replica in (0, 1):
        assert refused(study.of(trial, "tell", body, replica=replica)) == (409, "lease_lost")
    assert study.state(0) == ("lost" if attempts == 1 else "waiting")
    assert [(code, late["state"]) for _, code, late in late_results(sql, study)] == [("lease_lost", body["state"])]


def test_a_late_pruned_result_is_taken_where_the_server_had_decided_to_prune(
    make_study: MakeStudy, clock: Clock
) -> None:
    study = make_study(lease_seconds=LEASE_S, pruner={"name": "median", "n_startup_trials": 1})
    peer = study.trial()
    study.report(peer, 0, 1.0)
    study.tell(peer, values=[1.0])
    trial = study.trial()
    assert study.report(trial, 0, 2.0).json()["prune"] is True
    clock.live(LEASE_S + 1)
    newer = study.trial(replica=1)
    told = study.tell(trial, "pruned")
    assert (told.status_code, told.json()["state"], told.json()["values"]) == (200, "pruned", [2.0])
    assert refused(study.report(newer, 0, 0.5)) == (409, "lease_lost")


def test_a_released_lease_may_still_bring_a_complete_result(study: Study) -> None:
    trial = study.trial()
    study.of(trial, "release", {})
    assert study.tell(trial, values=[0.5]).status_code == 200


def test_a_result_without_a_lease_is_that_of_the_worker_that_has_the_trial(study: Study) -> None:
    trial = study.trial()
    told = study.post("trials/0/tell", {"state": "complete", "values": [0.5]}, replica=1)
    assert (told.status_code, told.json()["state"]) == (200, "complete")
    assert refused(study.of(trial, "heartbeat", {})) == (409, "lease_lost")
    assert study.tell(trial, values=[0.5]).status_code == 200
    assert study.post("trials/0/tell", {"state": "complete", "values": [0.5]}).status_code == 200


def test_a_result_without_a_lease_is_refused_and_kept_while_nobody_has_the_trial(study: Study, sql: Sql) -> None:
    study.of(study.trial(), "release", {})
    assert refused(study.post("trials/0/tell", {"state": "complete", "values": [0.5]})) == (409, "not_running")
    assert [(number, code) for number, code, _ in late_results(sql, study)] == [(0, "not_running")]


def test_a_lease_of_another_trial_and_an_unknown_trial_are_refused(study: Study) -> None:
    first, second = study.ask(count=2)
    body = {"lease": first["lease"], "state": "complete", "values": [1.0]}
    assert refused(study.post(f"trials/{second['number']}/tell", body)) == (409, "lease_lost")
    assert refused(study.post("trials/99/tell", body)) == (404, "trial_not_found")


def test_an_archived_study_takes_no_result_but_repeats_and_keeps_it(service: Service, study: Study, sql: Sql) -> None:
    done, running = study.ask(count=2)
    study.tell(done, values=[1.0])
    service.send("DELETE", study.path)
    assert study.tell(done, values=[1.0]).status_code == 200
    for replica in (0, 1):
        assert refused(study.tell(running, values=[2.0], replica=replica)) == (409, "study_archived")
    assert [(number, code) for number, code, _ in late_results(sql, study)] == [(1, "study_archived")]


def test_a_failure_told_with_retry_waits_again_and_uses_up_an_attempt(make_study: MakeStudy, sql: Sql) -> None:
    study = make_study(max_attempts=2)
    first = study.trial(host="h")
    told = study.tell(first, "failed", error="no memory", retry=True, user_attrs={"a": 1}).json()
    assert (told["state"], told["values"], told["cause"]) == ("waiting", None, "no memory")
    second = study.trial(replica=1)
    assert (second["number"], second["epoch"], second["attempt"]) == (0, 2, 1)
    assert (second["params"], second["user_attrs"]) == (first["params"], {"a": 1})
    told = study.tell(second, "failed", error="no memory", retry=True).json()
    assert (told["state"], told["cause"]) == ("failed", "no memory")
    assert sql("SELECT ended FROM leases WHERE token IN (%s, %s) ORDER BY epoch", first["lease"], second["lease"]) == [
        ("returned",),
        ("told",),
    ]


def test_a_repeated_tell_gets_the_first_answer_whatever_became_of_the_trial(make_study: MakeStudy) -> None:
    study = make_study(max_attempts=2)

    def retry(trial: dict[str, Any]) -> httpx.Response:
        reply: httpx.Response = study.tell(trial, "failed", error="no memory", retry=True, replica=1)
        return reply

    first = study.trial()
    answers = [retry(first).json()]
    second = study.trial()
    answers.append(retry(second).json())
    steps: list[Callable[[], Any]] = [
        lambda: None,
        lambda: study.service.send("PATCH", f"{study.path}/trials/0", {"request_id": "again", "action": "retry"}),
        study.trial,
        lambda: study.post("trials/0/tell", {"state": "complete", "values": [0.5]}),
        lambda: study.service.send("DELETE", f"{study.path}/trials/0"),
    ]
    for step in steps:
        step()
        for trial, answer in zip((first, second), answers, strict=True):
            assert {**retry(trial).json(), "seq": 0} == {**answer, "seq": 0}
            other = study.tell(trial, values=[0.25])
            assert (other.status_code, other.json()["code"]) in {(409, "lease_lost"), (409, "already_finished")}


def test_what_is_refused_with_retry_is_kept_with_it(leased: Study, clock: Clock, sql: Sql) -> None:
    late = expired(leased, clock)
    assert refused(leased.tell(late, "failed", retry=True)) == (409, "lease_lost")
    assert [body["retry"] for _, _, body in late_results(sql, leased)] == [True]
