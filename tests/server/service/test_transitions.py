"""What each command makes of a trial, and of a study, in each of their states. The other replica made it so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
LEASE_S = 10.0
COMPLETE = {"state": "complete", "values": [0.5]}

TELLS = {
    "complete": COMPLETE,
    "fail": {"state": "failed"},
    "fail, retry": {"state": "failed", "retry": True},
}

# Of each state what every command answers, "ok" or a code, and the state afterwards. "gone" is a trial nobody sees.
TABLE: dict[str, dict[str, str]] = {
    "enqueued": {
        "tell complete without a lease": "not_running waiting",
        "cancel": "ok failed",
        "fail": "ok failed",
        "retry": "ok waiting",
        "exempt": "ok waiting",
        "delete": "ok gone",
        "expire": "ok waiting",
    },
    "running": {
        "tell complete": "ok complete",
        "tell fail": "ok failed",
        "tell fail, retry": "ok waiting",
        "tell complete without a lease": "ok complete",
        "heartbeat": "ok running",
        "report": "ok running",
        "release": "ok waiting",
        "cancel": "ok running",
        "fail": "ok failed",
        "retry": "ok running",
        "exempt": "ok running",
        "delete": "ok gone",
        "expire": "ok waiting",
    },
    "cancelled": {
        "tell complete": "ok complete",
        "tell fail": "ok failed",
        "tell fail, retry": "ok failed",
        "tell complete without a lease": "ok complete",
        "heartbeat": "ok running",
        "report": "ok running",
        "release": "ok failed",
        "cancel": "ok running",
        "fail": "ok failed",
        "retry": "ok running",
        "exempt": "ok running",
        "delete": "ok gone",
        "expire": "ok failed",
    },
    "released": {
        "tell complete": "ok complete",
        "tell fail": "lease_lost waiting",
        "tell fail, retry": "lease_lost waiting",
        "tell complete without a lease": "not_running waiting",
        "heartbeat": "lease_lost waiting",
        "report": "lease_lost waiting",
        "release": "lease_lost waiting",
        "cancel": "ok failed",
        "fail": "ok failed",
        "retry": "ok waiting",
        "exempt": "ok waiting",
        "delete": "ok gone",
        "expire": "ok waiting",
    },
    "returned": {
        "tell complete": "lease_lost waiting",
        "tell fail": "lease_lost waiting",
        "tell fail, retry": "ok waiting",
        "tell complete without a lease": "not_running waiting",
        "heartbeat": "lease_lost waiting",
        "report": "lease_lost waiting",
        "release": "lease_lost waiting",
        "cancel": "ok failed",
        "fail": "ok failed",
        "retry": "ok waiting",
        "exempt": "ok waiting",
        "delete": "ok gone",
        "expire": "ok waiting",
    },
    "complete": {
        "tell complete": "ok complete",
        "tell fail": "already_finished complete",
        "tell fail, retry": "already_finished complete",
        "tell complete without a lease": "ok complete",
        "heartbeat": "lease_lost complete",
        "report": "lease_lost complete",
        "release": "lease_lost complete",
        "cancel": "already_finished complete",
        "fail": "already_finished complete",
        "retry": "already_finished complete",
        "exempt": "already_finished complete",
        "delete": "ok gone",
    },
    "pruned": {
        "tell complete": "already_finished pruned",
        "tell complete without a lease": "already_finished pruned",
        "heartbeat": "lease_lost pruned",
        "cancel": "already_finished pruned",
        "fail": "already_finished pruned",
        "retry": "already_finished pruned",
        "exempt": "already_finished pruned",
        "delete": "ok gone",
    },
    "failed": {
        "tell complete": "already_finished failed",
        "tell fail": "ok failed",
        "tell fail, retry": "already_finished failed",
        "tell complete without a lease": "already_finished failed",
        "heartbeat": "lease_lost failed",
        "report": "lease_lost failed",
        "release": "lease_lost failed",
        "cancel": "already_finished failed",
        "fail": "already_finished failed",
        "retry": "ok waiting",
        "exempt": "already_finished failed",
        "delete": "ok gone",
    },
    "failed by hand": {
        "tell complete": "already_finished failed",
        "tell fail": "already_finished failed",
        "tell fail, retry": "already_finished failed",
        "heartbeat": "lease_lost failed",
        "report": "lease_lost failed",
        "release": "lease_lost failed",
        "retry": "ok waiting",
        "exempt": "already_finished failed",
        "delete": "ok gone",
    },
    "lost": {
        "tell complete": "ok complete",
        "tell fail": "lease_lost lost",
        "tell fail, retry": "lease_lost lost",
        "tell complete without a lease": "ok complete",
        "heartbeat": "lease_lost lost",
        "report": "lease_lost lost",
        "release": "lease_lost lost",
        "cancel": "already_finished lost",
        "fail": "already_finished lost",
        "retry": "ok waiting",
        "exempt": "already_finished lost",
        "delete": "ok gone",
    },
    "deleted": {
        "tell complete": "lease_lost gone",
        "tell fail": "lease_lost gone",
        "tell fail, retry": "lease_lost gone",
        "tell complete without a lease": "trial_not_found gone",
        "heartbeat": "lease_lost gone",
        "report": "lease_lost gone",
        "release": "lease_lost gone",
        "cancel": "trial_not_found gone",
        "fail": "trial_not_found gone",
        "retry": "trial_not_found gone",
        "exempt": "trial_not_found gone",
        "delete": "ok gone",
        "expire": "ok gone",
    },
}


def act(study: Study, action: str, *, replica: int = 0) -> Any:
    body = {"request_id": study.service.key(), "action": action}
    return study.service.send("PATCH", f"{study.path}/trials/0", body, replica=replica)


def delete(study: Study, *, replica: int = 0) -> Any:
    return study.service.send("DELETE", f"{study.path}/trials/0", replica=replica)


def brought(study: Study, clock: Clock, state: str) -> dict[str, Any] | None:
    """The lease that trial 0 had last, and the trial in that state."""
    if state == "enqueued":
        study.post("trials", {"request_id": study.service.key(), "trials": [{}]})
        return None
    trial: dict[str, Any] = study.trial()
    if state == "released":
        study.of(trial, "release", {})
    if state == "cancelled":
        act(study, "cancel")
    if state == "failed by hand":
        act(study, "fail")
    if state == "deleted":
        delete(study)
    if state == "returned":
        study.of(trial, "tell", TELLS["fail, retry"])
    if state in {"complete", "failed", "pruned"}:
        study.of(trial, "tell", {"complete": COMPLETE, "failed": TELLS["fail"], "pruned": {"state": "pruned"}}[state])
    if state == "lost":
        clock.live(LEASE_S + 1)
        trial = study.trial()
        clock.live(LEASE_S + 1)
    return trial


def answered(study: Study, clock: Clock, trial: dict[str, Any] | None, command: str) -> str:
    """What the other replica answers: "ok", or a code."""
    if command == "expire":
        clock.live(LEASE_S + 1)
        return "ok"
    if command in {"cancel", "fail", "retry", "exempt"}:
        reply = act(study, command, replica=1)
    elif command == "delete":
        reply = delete(study, replica=1)
    elif command == "tell complete without a lease":
        reply = study.post("trials/0/tell", COMPLETE, replica=1)
    elif command == "heartbeat":
        reply = study.of(trial, "heartbeat", {}, replica=1)
    elif command == "report":
        reply = study.report(trial, 0, 0.5, replica=1)
    elif command == "release":
        reply = study.of(trial, "release", {"checkpoint": "place"}, replica=1)
    else:
        reply = study.of(trial, "tell", TELLS[command.removeprefix("tell ")], replica=1)
    return "ok" if reply.status_code in {200, 204} else reply.json()["code"]


def seen(study: Study) -> str:
    reply = study.service.send("GET", f"{study.path}/trials/0")
    return "gone" if reply.status_code == 404 else reply.json()["state"]


@pytest.mark.parametrize(("state", "command"), [(state, command) for state in TABLE for command in TABLE[state]])
def test_a_trial_in_any_state_takes_every_command_as_the_table_says(
    make_study: MakeStudy, clock: Clock, state: str, command: str
) -> None:
    study = make_study(lease_seconds=LEASE_S, max_attempts=2)
    trial = brought(study, clock, state)
    assert f"{answered(study, clock, trial, command)} {seen(study)}" == TABLE[state][command]


# Of each state of a study its state after every command.
STUDIES = {
    "open": {"pause": "paused", "stop": "stopped", "cancel": "stopped", "resume": "open"},
    "paused": {"pause": "paused", "stop": "stopped", "cancel": "stopped", "resume": "open"},
    "stopped": {"pause": "paused", "stop": "stopped", "cancel": "stopped", "resume": "open"},
}
REACHED_BY = {"open": "resume", "paused": "pause", "stopped": "stop"}

# What an ask is answered, while a trial runs and when none does.
ASKED: dict[str, dict[str, Any]] = {
    "paused": {"trials": [], "retry_after_s": 1.0, "reason": "paused"},
    "stopped": {"trials": [], "done": True},
}


@pytest.mark.parametrize(("state", "command"), [(state, command) for state in STUDIES for command in STUDIES[state]])
def test_a_study_in_any_state_takes_every_command_as_the_table_says(study: Study, state: str, command: str) -> None:
    running = study.trial()
    study.post(REACHED_BY[state], {"request_id": study.service.key()})
    reply = study.post(command, {"request_id": study.service.key()}, replica=1)
    after = STUDIES[state][command]
    assert (reply.status_code, reply.json()["state"]) == (200, after)
    for _ in ("while it runs", "after it is told"):
        asked = study.asked().json()
        assert {**asked, "seq": None} == {**ASKED[after], "seq": None} if after in ASKED else len(asked["trials"]) == 1
        assert study.tell(running, values=[0.5]).status_code == 200


@pytest.mark.parametrize("command", ["pause", "stop", "cancel", "resume"])
def test_an_archived_study_takes_no_command(service: Service, study: Study, command: str) -> None:
    study.trial()
    service.send("DELETE", study.path)
    replies = [study.post(command, {"request_id": service.key()}), act(study, "cancel"), delete(study)]
    assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [(409, "study_archived")] * 3
