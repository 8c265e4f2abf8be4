"""Studies that are paused, stopped, cancelled and resumed; trials that are cancelled, failed, retried, exempted
and deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tpeak_server.domain.study import from_path

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
Sql = Callable[..., list[tuple[Any, ...]]]
LEASE_S = 10.0


def control(study: Study, command: str, key: str | None = None, *, replica: int = 0) -> dict[str, Any]:
    reply = study.post(command, {"request_id": key or study.service.key()}, replica=replica)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def patch(study: Study, number: int, *, replica: int = 0, key: str | None = None, **body: Any) -> httpx.Response:
    body = {"request_id": key or study.service.key(), **body}
    reply: httpx.Response = study.service.send("PATCH", f"{study.path}/trials/{number}", body, replica=replica)
    return reply


def delete(study: Study, number: int, *, replica: int = 0) -> int:
    status: int = study.service.send("DELETE", f"{study.path}/trials/{number}", replica=replica).status_code
    return status


def events(sql: Sql, study: Study, *kinds: str) -> list[tuple[Any, ...]]:
    return sql(
        "SELECT kind, number, payload FROM events WHERE study_id = %s AND kind = ANY(%s) ORDER BY seq",
        from_path(study.id),
        list(kinds),
    )


@pytest.fixture
def leased(make_study: MakeStudy) -> Study:
    """A study whose leases last ten seconds."""
    return make_study(lease_seconds=LEASE_S, pruner={"name": "median", "n_startup_trials": 1})


def test_a_command_is_carried_out_once_and_noted(study: Study, sql: Sql) -> None:
    for replica in (0, 1):
        assert control(study, "pause", "first", replica=replica)["state"] == "paused"
    control(study, "resume")
    assert control(study, "pause", "first")["state"] == "open"
    control(study, "resume")
    control(study, "stop", replica=1)
    assert events(sql, study, "paused", "resumed", "stopped") == [
        ("paused", None, None),
        ("resumed", None, None),
        ("stopped", None, None),
    ]


def test_a_key_of_one_command_is_not_good_for_another(study: Study) -> None:
    control(study, "pause", "key")
    reply = study.post("stop", {"request_id": "key"})
    assert (reply.status_code, reply.json()["code"]) == (422, "request_id_reused")


def test_a_repeated_ask_gets_its_trials_though_the_study_is_paused(study: Study) -> None:
    first = study.ask("ask")
    control(study, "pause")
    assert [trial["lease"] for trial in study.ask("ask", replica=1)] == [first[0]["lease"]]


def test_of_a_cancelled_study_every_running_trial_is_asked_to_stop(study: Study, sql: Sql) -> None:
    first, second, done = study.ask(count=3)
    study.tell(done, values=[1.0])
    study.of(study.trial(), "release", {})
    control(study, "cancel", replica=1)
    assert study.report(first, 0, 1.0).json()["cancel"] is True
    assert study.of(second, "heartbeat", {}).json()["cancel"] is True
    assert study.of(second, "heartbeat", {}, replica=1).json()["cancel"] is True
    assert [study.state(number) for number in range(4)] == ["running", "running", "complete", "waiting"]
    assert events(sql, study, "cancelled") == [
        ("cancelled", None, None),
        ("cancelled", 0, {"epoch": 1, "state": "running"}),
        ("cancelled", 1, {"epoch": 1, "state": "running"}),
    ]


def test_a_study_that_is_resumed_hands_out_trials_that_nobody_cancels(study: Study) -> None:
    old = study.trial()
    control(study, "cancel")
    control(study, "resume", replica=1)
    new = study.trial()
    assert study.of(new, "heartbeat", {}, replica=1).json()["cancel"] is False
    assert study.of(old, "heartbeat", {}).json()["cancel"] is True


def test_a_trial_that_was_cancelled_fails_with_the_cause_that_was_given(leased: Study, clock: Clock) -> None:
    silent, released, told, quiet = leased.ask(count=4)
    for trial in (silent, released, told):
        assert patch(leased, trial["number"], action="cancel", cause="a bad region").json()["state"] == "running"
    patch(leased, quiet["number"], action="cancel", replica=1)
    assert leased.of(released, "release", {"checkpoint": "place"}, replica=1).json()["state"] == "failed"
    assert leased.of(released, "release", {"checkpoint": "place"}).json()["state"] == "failed"
    leased.tell(told, "failed", error="asked to stop")
    assert leased.tell(quiet, "failed").json()["cause"] == "cancelled"
    clock.live(LEASE_S + 1)
    causes = [leased.get(f"/trials/{number}")["cause"] for number in range(4)]
    assert causes == ["a bad region", "a bad region", "asked to stop", "cancelled"]
    assert leased.get()["counts"]["failed"] == 4


def test_a_waiting_trial_that_is_cancelled_is_not_handed_out(study: Study, sql: Sql) -> None:
    study.of(study.trial(), "release", {})
    assert patch(study, 0, action="cancel", cause="no", replica=1).json()["cause"] == "no"
    assert study.trial()["number"] == 1
    assert events(sql, study, "cancelled") == [("cancelled", 0, {"epoch": None, "state": "failed"})]


def test_a_change_of_a_trial_is_made_once_and_its_key_is_good_for_no_other(study: Study) -> None:
    study.tell(study.trial(), "failed")
    assert patch(study, 0, key="again", action="retry", user_attrs={"a": 1}).json()["state"] == "waiting"
    study.tell(study.trial(), "failed")
    repeated = patch(study, 0, key="again", action="retry", user_attrs={"a": 1}, replica=1).json()
    assert (repeated["state"], repeated["user_attrs"]) == ("failed", {"a": 1})
    assert patch(study, 0, key="again", action="fail").json()["code"] == "request_id_reused"


def test_a_refused_change_leaves_the_attributes_as_they_are(study: Study) -> None:
    study.finish(1.0)
    assert patch(study, 0, action="fail", user_attrs={"a": 1}).json()["code"] == "already_finished"
    assert study.get("/trials/0")["user_attrs"] == {}


def test_a_trial_that_is_tried_again_has_its_proposal_and_all_its_attempts(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(lease_seconds=LEASE_S, max_attempts=2)
    first = study.trial()
    late = study.of(first, "suggest", {"name": "k", "distribution": {"type": "int", "low": 1, "high": 9}}).json()
    study.of(first, "release", {"checkpoint": "place", "step": 3})
    study.trial()
    clock.live(LEASE_S + 1)
    study.trial()
    clock.live(LEASE_S + 1)
    assert study.state(0) == "lost"
    again = patch(study, 0, action="retry", replica=1).json()
    assert (again["state"], again["attempt"]) == ("waiting", 0)
    trial = study.trial()
    assert (trial["number"], trial["epoch"], trial["attempt"]) == (0, 4, 0)
    assert trial["params"] == {**first["params"], "k": late["value"]}
    assert trial["resume_from"] == {"checkpoint": "place", "step": 3}


def test_a_trial_that_is_tried_again_and_asked_for_at_once_is_whole(service: Service, make_study: MakeStudy) -> None:
    study = make_study(max_trials=1, directions=["minimize"])
    first = study.trial()
    late = study.of(first, "suggest", {"name": "k", "distribution": {"type": "int", "low": 1, "high": 9}}).json()
    study.report(first, 0, 4.0)
    study.of(first, "release", {"checkpoint": "place", "step": 0})
    study.tell(study.trial(), "failed")
    path = f"{study.path}/trials/0"
    retry = {"request_id": service.key(), "action": "retry"}
    replies = service.race([("PATCH", path, retry)] + [("POST", f"{study.path}/ask", study.ask_body())] * 9)
    trials = [trial for reply in replies[1:] for trial in reply.json()["trials"]] or study.ask()
    assert {trial["lease"] for trial in trials} == {trials[0]["lease"]}
    assert trials[0]["params"] == {**first["params"], "k": late["value"]}
    assert (trials[0]["reports"], trials[0]["resume_from"]) == (
        [{"step": 0, "values": [4.0]}],
        {"checkpoint": "place", "step": 0},
    )


def test_why_a_trial_is_tried_again_is_seen_until_it_runs(study: Study) -> None:
    study.tell(study.trial(), "failed", error="no memory")
    assert patch(study, 0, action="retry").json()["cause"] == "no memory"
    study.trial()
    assert study.get("/trials/0")["cause"] is None
    patch(study, 0, action="fail", cause="too slow")
    assert patch(study, 0, action="retry", cause="with more memory").json()["cause"] == "with more memory"


def test_a_result_that_was_told_is_forgotten_with_the_retry_and_another_may_be_told(study: Study) -> None:
    first = study.trial()
    study.tell(first, values=["NaN"], constraints=[1.0])
    patch(study, 0, action="retry", replica=1)
    waiting = study.get("/trials/0")
    assert (waiting["values"], waiting["constraints"], waiting["finished_at"]) == (None, None, None)
    told = study.tell(first, values=["NaN"], constraints=[1.0]).json()
    assert (told["state"], told["cause"]) == ("failed", "the objective returned NaN")
    assert study.tell(study.trial(), values=[2.0]).status_code == 200
    assert study.get("/trials/0")["values"] == [2.0]


@pytest.fixture
def with_peer(leased: Study) -> Study:
    """A study in which whoever reports more than 1.0 at step 0 or 1 is to be pruned."""
    peer = leased.trial()
    for step in (0, 1):
        leased.report(peer, step, 1.0)
    leased.tell(peer, values=[1.0])
    return leased


def prunes(study: Study, trial: Any, step: int, value: float = 2.0, *, replica: int = 0) -> bool:
    answer: bool = study.report(trial, step, value, replica=replica).json()["prune"]
    return answer


@pytest.mark.parametrize("replica", [0, 1])
def test_a_running_trial_that_is_exempt_is_pruned_no_more(with_peer: Study, replica: int) -> None:
    exempt, other = with_peer.ask(count=2)
    body = patch(with_peer, exempt["number"], action="exempt", replica=replica).json()
    assert (body["state"], body["exempt"]) == ("running", True)
    assert prunes(with_peer, exempt, 0, replica=1) is False
    assert prunes(with_peer, exempt, 1) is False
    assert prunes(with_peer, other, 0, replica=1) is True
    assert "exempt" not in with_peer.get(f"/trials/{other['number']}")


@pytest.mark.parametrize("replica", [0, 1])
def test_a_decision_to_prune_stays_with_its_step_and_the_next_step_goes_on(
    with_peer: Study, sql: Sql, replica: int
) -> None:
    trial = with_peer.trial()
    first = with_peer.report(trial, 0, 2.0).json()
    assert first["prune"] is True
    patch(with_peer, 1, action="exempt", replica=replica)
    for other in (0, 1):
        again = with_peer.report(trial, 0, 2.0, replica=other).json()
        assert (again["prune"], again["reason"]) == (True, first["reason"])
    later = [with_peer.report(trial, 1 + other, 9.0, replica=other).json() for other in (0, 1)]
    assert [(reply["prune"], reply["reason"]) for reply in later] == [(False, None)] * 2
    rows = sql("SELECT step, prune FROM reports WHERE study_id = %s AND number = 1", from_path(with_peer.id))
    assert sorted(rows) == [(0, True), (1, False), (2, False)]


def test_a_waiting_trial_that_is_exempt_is_so_in_every_epoch_and_when_it_is_tried_again(
    with_peer: Study, clock: Clock
) -> None:
    with_peer.of(with_peer.trial(), "release", {})
    assert patch(with_peer, 1, action="exempt", replica=1).json()["exempt"] is True
    assert prunes(with_peer, with_peer.trial(), 0) is False
    clock.live(LEASE_S + 1)
    again = with_peer.ask(replica=1)[0]
    assert (again["number"], prunes(with_peer, again, 0, replica=1)) == (1, False)
    with_peer.tell(again, "failed")
    assert patch(with_peer, 1, action="retry").json()["exempt"] is True
    last = with_peer.trial()
    assert [prunes(with_peer, last, other, replica=other) for other in (0, 1)] == [False, False]
    with_peer.tell(last, values=[2.0])
    assert with_peer.get("/trials/1", replica=1)["exempt"] is True


def test_a_trial_that_is_exempt_already_stays_as_it_is(study: Study, sql: Sql) -> None:
    study.trial()
    first = patch(study, 0, key="exempt", action="exempt").json()
    for key in ("exempt", "another"):
        assert patch(study, 0, key=key, action="exempt", replica=1).json() == first
    assert events(sql, study, "exempted") == [("exempted", 0, None)]


def test_a_finished_trial_cannot_be_exempt(study: Study) -> None:
    study.finish(1.0)
    reply = patch(study, 0, action="exempt", user_attrs={"a": 1})
    assert (reply.status_code, reply.json()["code"]) == (409, "already_finished")
    assert reply.json()["detail"] == "trial 0 is complete: there is nothing left to prune"
    trial = study.get("/trials/0", replica=1)
    assert ("exempt" in trial, trial["user_attrs"]) == (False, {})


def test_nobody_sees_a_deleted_trial(study: Study) -> None:
    for value in (3.0, 1.0, 2.0):
        study.finish(value)
    seq = study.get()["seq"]
    assert [delete(study, 1), delete(study, 1, replica=1)] == [204, 204]
    assert study.service.send("GET", f"{study.path}/trials/1").status_code == 404
    assert [trial["number"] for trial in study.get("/trials")["trials"]] == [0, 2]
    assert study.get("/trials", form="columns")["number"] == [0, 2]
    assert study.get("/trials", since_seq=seq)["trials"] == []
    assert study.get("/best", replica=1)["number"] == 2
    assert study.get()["counts"]["complete"] == 2
    assert patch(study, 1, user_attrs={"a": 1}).json()["code"] == "trial_not_found"
    assert study.trial()["number"] == 3


def test_a_number_that_was_never_taken_cannot_be_deleted(study: Study) -> None:
    assert delete(study, 0) == 404


def test_the_budget_of_a_deleted_trial_is_spent(make_study: MakeStudy) -> None:
    study = make_study(max_trials=2)
    study.finish(1.0)
    delete(study, 0)
    delete(study, study.trial()["number"], replica=1)
    assert study.asked().json()["done"] is True


def test_the_rows_of_a_deleted_trial_stay_and_what_is_told_of_it_is_kept(study: Study, sql: Sql) -> None:
    trial = study.trial(key="ask")
    delete(study, 0, replica=1)
    for replica in (0, 1):
        assert study.tell(trial, values=[0.5], replica=replica).json()["code"] == "lease_lost"
    key = from_path(study.id)
    assert sql("SELECT state, deleted, cause FROM trials WHERE study_id = %s", key) == [("failed", True, "deleted")]
    assert sql("SELECT number, code FROM late_results WHERE study_id = %s", key) == [(0, "lease_lost")]
    for replica in (0, 1):
        (again,) = study.ask("ask", replica=replica)
        assert (again["number"], again["lease"], again["params"]) == (0, trial["lease"], trial["params"])


def test_a_result_that_was_told_before_the_trial_was_deleted_is_acknowledged_again(study: Study) -> None:
    trial = study.trial()
    first = study.tell(trial, values=[0.5]).json()
    delete(study, 0)
    for replica in (0, 1):
        assert {**study.tell(trial, values=[0.5], replica=replica).json(), "seq": 0} == {**first, "seq": 0}


@pytest.mark.parametrize("replica", [0, 1])
def test_the_curve_of_a_deleted_trial_is_no_peer_any_more(leased: Study, replica: int) -> None:
    peer = leased.trial()
    leased.report(peer, 0, 1.0)
    leased.tell(peer, values=[1.0])
    assert leased.report(leased.trial(), 0, 2.0, replica=1).json()["prune"] is True
    delete(leased, 0, replica=replica)
    for other in (0, 1):
        assert leased.report(leased.trial(), 0, 2.0, replica=other).json()["prune"] is False


def test_a_study_that_takes_no_late_results_keeps_them_aside(make_study: MakeStudy, clock: Clock, sql: Sql) -> None:
    study = make_study(lease_seconds=LEASE_S, late_results="refuse")
    late = study.trial()
    clock.live(LEASE_S + 1)
    assert study.tell(late, values=[0.5], replica=1).json()["code"] == "lease_lost"
    assert study.state(0) == "waiting"
    key = from_path(study.id)
    assert sql("SELECT code, body->'values' FROM late_results WHERE study_id = %s", key) == [("lease_lost", [0.5])]
    study.service.send("PATCH", study.path, {"request_id": study.service.key(), "late_results": "accept"})
    assert study.tell(late, values=[0.5]).json()["state"] == "complete"


def test_settings_of_late_results_and_hosts_are_stored_changed_and_compared(service: Service, study: Study) -> None:
    assert (study.get()["late_results"], study.get()["max_host_failures"]) == ("accept", 3)
    body = {"late_results": "refuse", "max_host_failures": None}
    changed = service.send("PATCH", study.path, {"request_id": service.key(), **body}).json()
    assert {name: changed[name] for name in body} == body
    again = {"request_id": service.key(), "name": study.get()["name"], "if_exists": "load"}
    asked = {"late_results": "accept", "max_host_failures": 2}
    loaded = service.send("POST", "/studies", {**again, **asked}, replica=1).json()
    assert loaded["differences"] == [
        {"field": "max_host_failures", "stored": None, "asked": 2},
        {"field": "late_results", "stored": "refuse", "asked": "accept"},
    ]
