"""Commands that race through two replicas: whatever order they come in, the answers agree with what is stored."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.domain.study import from_path

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
Sql = Callable[..., list[tuple[Any, ...]]]
LEASE_S = 10.0
ROUNDS = range(6)
"""Each round begins with another command, so that each comes first at times."""


def tell(study: Study, trial: dict[str, Any], **more: Any) -> tuple[str, str, dict[str, Any]]:
    body = {"lease": trial["lease"], "state": "complete", "values": [0.5], **more}
    return "POST", f"{study.path}/trials/{trial['number']}/tell", body


def failure(study: Study, trial: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    body = {"lease": trial["lease"], "state": "failed", "retry": True}
    return "POST", f"{study.path}/trials/{trial['number']}/tell", body


def act(study: Study, trial: dict[str, Any], action: str) -> tuple[str, str, dict[str, Any]]:
    body = {"request_id": study.service.key(), "action": action}
    return "PATCH", f"{study.path}/trials/{trial['number']}", body


def delete(study: Study, trial: dict[str, Any]) -> tuple[str, str, None]:
    return "DELETE", f"{study.path}/trials/{trial['number']}", None


def answers(replies: list[Any]) -> list[str]:
    return ["ok" if reply.is_success else reply.json()["code"] for reply in replies]


def raced(service: Service, requests: list[Any], turn: int) -> list[Any]:
    """The replies in the order of the requests, though another one was sent first."""
    shift = turn % len(requests)
    replies = service.race(requests[shift:] + requests[:shift])
    return [*replies[len(requests) - shift :], *replies[: len(requests) - shift]]


def caches_agree(study: Study) -> None:
    """Both replicas hand out the next trial from the same number on, and know the same peers."""
    first, second = study.trial(), study.trial(replica=1)
    assert second["number"] != first["number"]
    said = [study.report(trial, 0, 1e9, replica=replica).json() for replica, trial in enumerate((first, second))]
    assert said[0]["prune"] == said[1]["prune"]


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_result_and_a_deletion(service: Service, study: Study, sql: Sql, turn: int) -> None:
    trial = study.trial()
    study.report(trial, 0, 1.0)
    replies = raced(service, [tell(study, trial), delete(study, trial)], turn)
    told, deleted = answers(replies)
    assert deleted == "ok"
    assert told in {"ok", "lease_lost"}
    key = from_path(study.id)
    ((state, values),) = sql("SELECT state, values FROM trials WHERE study_id = %s", key)
    assert (state, values) == (("complete", [0.5]) if told == "ok" else ("failed", None))
    kept = sql("SELECT code FROM late_results WHERE study_id = %s", key)
    assert kept == ([] if told == "ok" else [("lease_lost",)])
    assert study.get()["counts"] == dict.fromkeys(study.get()["counts"], 0)
    caches_agree(study)


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_result_and_a_failure_by_hand(service: Service, study: Study, turn: int) -> None:
    trial = study.trial()
    told, failed = answers(raced(service, [tell(study, trial), act(study, trial, "fail")], turn))
    assert sorted([told, failed]) == ["already_finished", "ok"]
    assert study.state(0) == ("complete" if told == "ok" else "failed")
    caches_agree(study)


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_retry_and_a_late_result_of_an_earlier_epoch(
    service: Service, make_study: MakeStudy, clock: Clock, turn: int
) -> None:
    study = make_study(lease_seconds=LEASE_S, max_attempts=1)
    late = study.trial()
    clock.live(LEASE_S + 1)
    assert study.state(0) == "lost"
    told, retried = answers(raced(service, [tell(study, late), act(study, late, "retry")], turn))
    assert told == "ok"
    assert retried in {"ok", "already_finished"}
    assert (study.state(0), study.get("/trials/0")["values"]) == ("complete", [0.5])
    assert study.trial()["number"] == 1


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_failure_to_be_tried_again_and_a_late_result(
    service: Service, make_study: MakeStudy, clock: Clock, turn: int
) -> None:
    study = make_study(lease_seconds=LEASE_S)
    late = study.trial()
    clock.live(LEASE_S + 1)
    newer = study.trial()
    told, returned = answers(raced(service, [tell(study, late), failure(study, newer)], turn))
    assert told == "ok"
    assert returned in {"ok", "already_finished"}
    assert study.state(0) == "complete"
    caches_agree(study)


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_cancellation_and_an_expiry(service: Service, make_study: MakeStudy, clock: Clock, turn: int) -> None:
    study = make_study(lease_seconds=LEASE_S)
    trial = study.trial()
    clock.live(LEASE_S - 1)
    clock.move(2)
    method, path, body = act(study, trial, "cancel")

    async def both() -> Any:
        cancel = service.clients[turn % 2].request(method, path, json=body)
        tick = service.replicas[1].reaper.tick()
        first, second = (cancel, tick) if turn < 3 else (tick, cancel)
        replies = await asyncio.gather(first, second)
        return replies[0] if turn < 3 else replies[1]

    assert service.run(both()).status_code == 200
    clock.live(1)
    assert study.state(0) == "failed"


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_cancellation_and_a_failure_to_be_tried_again(service: Service, study: Study, turn: int) -> None:
    trial = study.trial()
    cancelled, returned = answers(raced(service, [act(study, trial, "cancel"), failure(study, trial)], turn))
    assert returned == "ok"
    assert cancelled in {"ok", "already_finished"}
    # Whichever came first, nobody is to try it again.
    assert study.state(0) == "failed"


@pytest.mark.parametrize("turn", ROUNDS)
def test_asks_and_a_pause(service: Service, study: Study, turn: int) -> None:
    asks = [("POST", f"{study.path}/ask", study.ask_body()) for _ in range(8)]
    pause = ("POST", f"{study.path}/pause", {"request_id": service.key()})
    replies = service.race([*asks[:turn], pause, *asks[turn:]])
    asked = [reply.json() for reply in replies if "trials" in reply.json()]
    assert len(asked) == 8
    paused_at = study.service.send("GET", study.path).json()["seq"]
    assert all(one["trials"] or one["reason"] == "paused" for one in asked)
    assert study.asked(replica=1).json()["reason"] == "paused"
    assert study.get()["counts"]["running"] == sum(len(one["trials"]) for one in asked)
    assert max(one["seq"] for one in asked) <= paused_at


def test_one_of_many_deletions_is_noted(service: Service, study: Study, sql: Sql) -> None:
    trial = study.finish(1.0)
    assert set(answers(service.race([delete(study, trial)] * 10))) == {"ok"}
    kinds = sql("SELECT count(*) FROM events WHERE kind = 'deleted' AND study_id = %s", from_path(study.id))
    assert kinds == [(1,)]


def test_of_one_failure_told_many_times_one_attempt_is_used_up(service: Service, study: Study) -> None:
    trial = study.trial()
    replies = service.race([failure(study, trial)] * 12)
    assert {reply.json()["state"] for reply in replies} == {"waiting"}
    assert study.get("/trials/0")["attempt"] == 1


def test_the_budget_is_exact_though_many_hosts_fail_at_once(
    service: Service, make_study: MakeStudy, clock: Clock, sql: Sql
) -> None:
    study = make_study(max_trials=12, max_host_failures=2)
    ended: Counter[str] = Counter()
    for _ in range(30):
        bodies = [study.ask_body(host=host) for host in ("bad", "worse", "good", "bad", "worse")]
        asked = service.race([("POST", f"{study.path}/ask", body) for body in bodies])
        handed = [(body["host"], trial) for body, r in zip(bodies, asked, strict=True) for trial in r.json()["trials"]]
        good = {"state": "complete", "values": [0.5]}
        tells = [tell(study, trial, **(good if host == "good" else FAILED)) for host, trial in handed]
        service.race(tells)
        ended.update(host for host, _ in handed)
        clock.move(400)
    counts = study.get()["counts"]
    ((numbers, paid),) = sql("SELECT next_number, handed FROM study_clocks WHERE study_id = %s", from_path(study.id))
    payloads = sql(
        "SELECT payload FROM events WHERE kind = 'host_paused' AND study_id = %s ORDER BY seq", from_path(study.id)
    )
    given_back = sum(payload["refunded"] for (payload,) in payloads)
    assert (paid, given_back > 0) == (numbers - given_back, True)
    assert (counts["complete"], counts["failed"]) == (ended["good"], ended["bad"] + ended["worse"])
    assert numbers <= 24
    assert paid == 12
    assert study.asked().json()["done"] is True


FAILED = {"state": "failed", "values": None, "error": "no device"}
