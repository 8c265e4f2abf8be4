"""Trials from outside: enqueued ones, and finished ones; attributes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tpeak_server.service import ledger

Study = Any  # of conftest.py, which no module can import
Service = Any
MakeStudy = Callable[..., Study]
X = {"type": "float", "low": 0.0, "high": 1.0}
K = {"type": "categorical", "choices": ["a", None, 1, True]}


def add(study: Study, *trials: dict[str, Any], key: str | None = None, replica: int = 0) -> httpx.Response:
    body = {"request_id": key or study.service.key(), "trials": list(trials)}
    reply: httpx.Response = study.post("trials", body, replica=replica)
    return reply


def refused(reply: httpx.Response) -> tuple[int, str, str | None]:
    return reply.status_code, reply.json()["code"], reply.json().get("where")


def complete(value: Any, **more: Any) -> dict[str, Any]:
    return {"state": "complete", "values": [value], "params": {"x": 0.5}, "distributions": {"x": X}, **more}


def test_added_trials_get_the_next_numbers_in_order(study: Study) -> None:
    study.trial()
    reply = add(study, {"params": {"x": 0.5}}, complete(1.0), {})
    assert (reply.status_code, reply.json()["numbers"]) == (201, [1, 2, 3])
    assert study.trial(replica=1)["number"] == 1


def test_an_enqueued_trial_shows_the_bare_values_that_it_was_given(study: Study) -> None:
    add(study, {"params": {"x": 0.5, "k": None}, "user_attrs": {"why": "guess"}})
    waiting = study.get("/trials/0")
    assert (waiting["state"], waiting["origin"], waiting["params"]) == ("waiting", "enqueued", {})
    assert (waiting["fixed"], waiting["user_attrs"]) == ({"x": 0.5, "k": None}, {"why": "guess"})
    trial = study.trial(replica=1)
    assert (trial["fixed"], trial["user_attrs"]) == ({"x": 0.5, "k": None}, {"why": "guess"})
    assert study.get("/trials/0")["fixed"] == {"x": 0.5, "k": None}


def test_an_enqueued_value_with_its_distribution_is_proposed_as_it_is(study: Study) -> None:
    add(study, {"params": {"x": 7.0, "k": True, "y": 3}, "distributions": {"x": X, "k": K}})
    trial = study.trial()
    assert repr(trial["params"]) == repr({"x": 7.0, "k": True})
    assert (trial["distributions"], trial["fixed"]) == ({"x": X, "k": K}, {"y": 3})


def test_a_finished_trial_is_stored_in_full(make_study: MakeStudy) -> None:
    study = make_study(directions=["minimize", "maximize"])
    reports = [{"step": 5, "values": ["NaN", 1.0]}, {"step": 2, "values": [-0.0, "Infinity"]}]
    add(study, complete(1.0, values=["-Infinity", -0.0], reports=reports, constraints=[5e-324], user_attrs={"a": [1]}))
    found = study.get("/trials/0", replica=1)
    assert (found["state"], found["origin"], repr(found["values"])) == ("complete", "added", repr(["-Infinity", -0.0]))
    assert repr(found["reports"]) == repr([reports[1], reports[0]])
    assert (found["params"], found["distributions"]) == ({"x": 0.5}, {"x": X})
    assert (found["constraints"], found["user_attrs"]) == ([5e-324], {"a": [1]})
    assert (found["worker"], found["epoch"]) == (None, 0)
    assert None not in (found["created_at"], found["started_at"], found["finished_at"])


def test_a_pruned_trial_without_values_takes_those_of_its_deepest_step(study: Study) -> None:
    reports = [{"step": 9, "values": [2.0]}, {"step": 3, "values": [1.0]}]
    add(study, {"state": "pruned", "reports": reports}, {"state": "pruned"}, {"state": "failed", "error": "boom"})
    found = [study.get(f"/trials/{number}") for number in range(3)]
    assert [trial["values"] for trial in found] == [[2.0], None, None]
    assert [trial["cause"] for trial in found] == [None, None, "boom"]


def test_a_long_curve_costs_no_more_than_many_short_ones(study: Study) -> None:
    """A body holds some 35,000 reports; were each one a copy of those before, all studies would stand still."""

    def seconds(trials: int, steps: int) -> float:
        curve = [{"step": step, "values": [0.0]} for step in range(steps)]
        begin = time.perf_counter()
        assert add(study, *[{"state": "failed", "reports": curve}] * trials).status_code == 201
        return time.perf_counter() - begin

    short, long = seconds(trials=300, steps=100), seconds(trials=1, steps=30_000)
    # Measured: about as long; 3.5 times while each report was a copy.
    assert long < 2 * short


@pytest.mark.parametrize(
    ("trial", "code", "where"),
    [
        ({"params": {"k": "b"}, "distributions": {"k": K}}, "invalid_value", "/trials/1/params/k"),
        ({"params": {"a/~b": 2}, "distributions": {"a/~b": K}}, "invalid_value", "/trials/1/params/a~1~0b"),
        ({"distributions": {"x": X}}, "invalid_request", "/trials/1/distributions/x"),
        ({"distributions": {"a/b": X}}, "invalid_request", "/trials/1/distributions/a~1b"),
        ({"values": [1.0]}, "invalid_request", "/trials/1"),
        ({"reports": [{"step": 0, "values": [1.0]}]}, "invalid_request", "/trials/1"),
        ({"state": "complete", "values": [1.0], "params": {"x": 1}}, "invalid_request", "/trials/1/distributions"),
        ({"state": "complete"}, "invalid_value", "/trials/1/values"),
        ({"state": "complete", "values": [1.0, 2.0]}, "invalid_value", "/trials/1/values"),
        ({"state": "complete", "values": ["NaN"]}, "invalid_value", "/trials/1/values"),
        ({"state": "failed", "values": [1.0]}, "invalid_request", "/trials/1/values"),
        (complete(1.0, reports=[{"step": 0, "values": [1.0]}] * 2), "invalid_request", "/trials/1/reports"),
        (
            complete(1.0, reports=[{"step": 0, "values": [1.0]}, {"step": 1, "values": [1.0, 2.0]}]),
            "invalid_value",
            "/trials/1/reports",
        ),
    ],
)
def test_one_wrong_trial_and_none_is_added(study: Study, trial: dict[str, Any], code: str, where: str) -> None:
    assert refused(add(study, complete(1.0), trial)) == (422, code, where)
    assert (study.get()["seq"], study.get("/trials")["trials"]) == (1, [])
    assert add(study, complete(1.0)).json()["numbers"] == [0]


def test_where_there_is_no_room_for_all_distributions_no_trial_is_added(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_DISTRIBUTIONS", 2)
    trials = [complete(1.0, distributions={"x": {**X, "high": high}}) for high in (1.0, 2.0, 1.0, 3.0)]
    assert refused(add(study, *trials)) == (422, "invalid_request", "/trials")
    assert (study.get()["seq"], study.get("/trials")["trials"]) == (1, [])
    assert add(study, *trials[:3]).json()["numbers"] == [0, 1, 2]


def test_a_repeated_addition_gets_the_first_answer_and_adds_nothing(study: Study) -> None:
    first = add(study, complete(1.0), {}, key="once").json()
    study.trial()
    for replica in (0, 1):
        again = add(study, complete(1.0), {}, key="once", replica=replica)
        assert (again.status_code, again.json()) == (201, first)
    assert len(study.get("/trials")["trials"]) == 2


def test_simultaneous_repetitions_add_once(service: Service, study: Study) -> None:
    body = {"request_id": "burst", "trials": [{}, {}]}
    replies = service.race([("POST", f"{study.path}/trials", body)] * 16)
    assert {repr(reply.json()["numbers"]) for reply in replies} == {"[0, 1]"}
    assert len(study.get("/trials")["trials"]) == 2


def test_the_key_of_an_addition_stands_for_its_content(study: Study) -> None:
    add(study, complete(0.0), key="key")
    for replica in (0, 1):
        reply = add(study, complete(-0.0), key="key", replica=replica)
        assert refused(reply) == (422, "request_id_reused", "/request_id")


def test_additions_from_two_replicas_at_once_leave_no_gap(service: Service, study: Study) -> None:
    bodies = [{"request_id": service.key(), "trials": [{}] * (1 + number % 3)} for number in range(30)]
    replies = service.race([("POST", f"{study.path}/trials", body) for body in bodies])
    assert sorted(number for reply in replies for number in reply.json()["numbers"]) == list(range(60))


def test_added_results_are_what_later_suggestions_learn_from(make_study: MakeStudy) -> None:
    study = make_study(seed=1, sampler={"name": "tpe", "n_startup_trials": 10})
    values = [(n + 0.5) / 40 for n in range(40)]
    add(study, *(complete(abs(value - 0.9), params={"x": value}) for value in values))
    trials = study.ask(count=20, distributions={"x": X})
    assert {trial["origin"] for trial in trials} == {"tpe"}
    assert sum(trial["params"]["x"] > 0.5 for trial in trials) >= 16


def test_attributes_are_merged_in_any_state(service: Service, study: Study) -> None:
    study.finish(1.0)
    for key, attrs in (("first", {"a": 1, "b": [1]}), ("second", {"b": None, "c": {"d": 0.1}})):
        reply = service.send("PATCH", f"{study.path}/trials/0", {"request_id": key, "user_attrs": attrs})
        assert reply.status_code == 200
    expected = {"a": 1, "b": None, "c": {"d": 0.1}}
    assert reply.json()["user_attrs"] == expected
    assert study.get("/trials/0", replica=1)["user_attrs"] == expected


def test_repeated_attributes_do_not_overwrite_what_came_after(service: Service, study: Study) -> None:
    study.trial()
    path = f"{study.path}/trials/0"
    for key, value in (("first", 1), ("second", 2), ("first", 1)):
        for replica in (0, 1):
            service.send("PATCH", path, {"request_id": key, "user_attrs": {"a": value}}, replica=replica)
    assert study.get("/trials/0")["user_attrs"] == {"a": 2}
    reply = service.send("PATCH", path, {"request_id": "first", "user_attrs": {"a": 3}})
    assert refused(reply) == (422, "request_id_reused", "/request_id")


def test_attributes_of_a_waiting_trial_reach_its_next_worker(service: Service, study: Study) -> None:
    study.of(study.trial(), "release", {})
    service.send("PATCH", f"{study.path}/trials/0", {"request_id": "r", "user_attrs": {"a": 1}}, replica=1)
    assert study.trial()["user_attrs"] == {"a": 1}


def test_there_is_no_unknown_trial_to_give_attributes_to(service: Service, study: Study) -> None:
    reply = service.send("PATCH", f"{study.path}/trials/0", {"request_id": "r", "user_attrs": {"a": 1}})
    assert refused(reply) == (404, "trial_not_found", None)


def test_an_archived_study_takes_nothing(service: Service, study: Study) -> None:
    study.finish(1.0)
    service.send("DELETE", study.path)
    assert refused(add(study, {})) == (409, "study_archived", None)
    reply = service.send("PATCH", f"{study.path}/trials/0", {"request_id": "r", "user_attrs": {}}, replica=1)
    assert refused(reply) == (409, "study_archived", None)
