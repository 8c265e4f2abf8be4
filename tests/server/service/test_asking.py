"""Handing out trials: the budget, repetitions, and what comes first."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tpeak_server.service import asking, ledger, proposing

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
X = {"type": "float", "low": 0.0, "high": 1.0}


def numbers(trials: list[dict[str, Any]]) -> list[int]:
    return [trial["number"] for trial in trials]


def answer(reply: httpx.Response) -> dict[str, Any]:
    """The reply without its seq."""
    assert reply.status_code == 200, reply.text
    return {name: value for name, value in reply.json().items() if name != "seq"}


def lasting(trials: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What a repetition must repeat; the time that a lease has left runs."""
    return [(t["number"], t["epoch"], t["lease"], t["params"], t["distributions"]) for t in trials]


def test_the_budget_is_exact_for_many_workers_on_two_replicas(service: Service, make_study: MakeStudy) -> None:
    study = make_study(max_trials=137)
    asks = [("POST", f"{study.path}/ask", study.ask_body(count=1 + number % 3)) for number in range(120)]
    replies = service.race(asks)
    handed = [number for reply in replies for number in numbers(reply.json()["trials"])]
    assert sorted(handed) == list(range(137))
    assert study.get()["counts"]["running"] == 137


def test_two_replicas_number_without_gaps_while_trials_finish(service: Service, make_study: MakeStudy) -> None:
    study = make_study(max_trials=60)

    async def worker(replica: int) -> list[int]:
        found = []
        while trials := (await send(replica, "ask", study.ask_body()))["trials"]:
            number = trials[0]["number"]
            body = {"lease": trials[0]["lease"], "state": "complete", "values": [0.5]}
            await send(replica, f"trials/{number}/tell", body)
            found.append(number)
        return found

    async def send(replica: int, path: str, body: Any) -> dict[str, Any]:
        reply = await service.clients[replica].post(f"{study.path}/{path}", json=body)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    async def all_workers() -> list[list[int]]:
        return await asyncio.gather(*(worker(number % 2) for number in range(12)))

    assert sorted(itertools.chain(*service.run(all_workers()))) == list(range(60))
    assert study.get()["counts"]["complete"] == 60


def test_an_ask_for_more_than_the_budget_gets_what_is_left(make_study: MakeStudy) -> None:
    study = make_study(max_trials=5)
    assert numbers(study.ask(count=2)) == [0, 1]
    assert numbers(study.ask(count=1000)) == [2, 3, 4]


def test_a_worker_without_a_trial_comes_again_while_others_run_and_leaves_when_all_is_done(
    make_study: MakeStudy,
) -> None:
    study = make_study(max_trials=2)
    first, second = study.ask(count=2)
    assert answer(study.asked()) == {"trials": [], "retry_after_s": 1.0}
    study.tell(first, values=[1.0])
    assert answer(study.asked(replica=1)) == {"trials": [], "retry_after_s": 1.0}
    study.tell(second, "failed")
    assert answer(study.asked()) == {"trials": [], "done": True}
    assert answer(study.asked(replica=1)) == {"trials": [], "done": True}


def test_failed_and_lost_trials_have_used_up_their_part_of_the_budget(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(max_trials=2, max_attempts=1, lease_seconds=10.0)
    study.tell(study.trial(), "failed")
    study.trial()
    clock.live(12)
    assert [study.state(0), study.state(1)] == ["failed", "lost"]
    assert answer(study.asked()) == {"trials": [], "done": True}


def test_a_raised_budget_opens_a_study_that_was_done(service: Service, make_study: MakeStudy) -> None:
    study = make_study(max_trials=1)
    study.finish(1.0)
    assert study.ask(replica=1) == []
    service.send("PATCH", study.path, {"request_id": service.key(), "max_trials": 3})
    assert numbers(study.ask(replica=1, count=9)) == [1, 2]


def test_the_time_runs_from_the_first_ask_and_ends_to_the_microsecond(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(timeout_s=100.0)
    clock.live(300)
    study.finish(1.0)
    clock.live(99)
    running = study.trial(replica=1)
    clock.move(0.999999)
    study.finish(1.0)
    clock.move(0.000001)
    assert answer(study.asked()) == {"trials": [], "done": True}
    assert answer(study.asked(replica=1)) == {"trials": [], "done": True}
    assert study.tell(running, values=[2.0]).status_code == 200


def test_a_waiting_trial_is_not_handed_out_past_the_study_s_time(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(timeout_s=10.0)
    study.of(study.trial(), "release", {})
    clock.live(10)
    assert answer(study.asked()) == {"trials": [], "done": True}


def test_a_repeated_ask_gets_the_same_trials_and_leases_from_either_replica(study: Study) -> None:
    first = study.ask("repeated", count=3)
    assert numbers(first) == [0, 1, 2]
    for replica in (0, 1, 0):
        again = study.ask("repeated", count=3, replica=replica)
        assert lasting(again) == lasting(first)
    assert study.get()["counts"]["running"] == 3


def test_simultaneous_repetitions_of_an_ask_hand_out_once(service: Service, study: Study) -> None:
    replies = service.race([("POST", f"{study.path}/ask", study.ask_body("burst", count=2))] * 30)
    assert {repr(lasting(reply.json()["trials"])) for reply in replies} == {repr(lasting(replies[0].json()["trials"]))}
    assert study.get()["counts"]["running"] == 2


def test_an_ask_is_repeated_after_its_trial_has_finished(study: Study) -> None:
    first = study.ask("late", count=2)
    study.tell(first[0], values=[1.0])
    study.tell(first[1], "failed")
    for replica in (0, 1):
        assert lasting(study.ask("late", count=2, replica=replica)) == lasting(first)


def test_what_an_earlier_worker_was_suggested_late_is_in_the_repetition_after_the_result_too(study: Study) -> None:
    trial = study.trial()
    late = study.of(trial, "suggest", {"name": "y", "distribution": X}).json()["value"]
    study.of(trial, "release", {})
    first = study.ask("retry")
    assert first[0]["params"] == {**trial["params"], "y": late}
    study.tell(first[0], values=[1.0])
    for replica in (0, 1):
        assert lasting(study.ask("retry", replica=replica)) == lasting(first)


def test_a_repeated_ask_gets_its_trials_though_the_budget_is_used_up(make_study: MakeStudy) -> None:
    study = make_study(max_trials=1)
    first = study.ask("the last one")
    for replica in (0, 1, 0):
        assert lasting(study.ask("the last one", replica=replica)) == lasting(first)


def test_a_repeated_ask_gets_its_trials_though_the_study_is_archived(service: Service, study: Study) -> None:
    first = study.ask("before")
    service.send("DELETE", study.path)
    assert lasting(study.ask("before")) == lasting(first)
    reply = study.asked("after")
    assert (reply.status_code, reply.json()["code"]) == (409, "study_archived")


def test_a_repeated_ask_gets_its_trials_though_the_time_is_used_up(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(timeout_s=10.0)
    first = study.ask("in time")
    clock.live(11)
    assert lasting(study.ask("in time")) == lasting(first)


def test_an_ask_that_got_nothing_may_get_something_when_it_is_repeated(make_study: MakeStudy) -> None:
    study = make_study(max_trials=1)
    trial = study.trial()
    assert study.ask("patient") == []
    study.of(trial, "release", {})
    assert numbers(study.ask("patient")) == [0]


@pytest.mark.parametrize("other", [{"count": 2}, {"worker": "another"}, {"distributions": {"y": X}}])
def test_the_key_of_an_ask_stands_for_its_content(study: Study, other: dict[str, Any]) -> None:
    study.ask("key")
    for replica in (0, 1):
        reply = study.asked("key", replica=replica, **other)
        assert (reply.status_code, reply.json()["code"]) == (422, "request_id_reused")
        assert reply.json()["where"] == "/request_id"
    assert study.get()["counts"]["running"] == 1


def test_one_key_in_two_studies_is_two_asks(make_study: MakeStudy) -> None:
    first, second = make_study(), make_study()
    assert first.ask("shared")[0]["lease"] != second.ask("shared")[0]["lease"]


def test_an_ask_without_room_for_its_distributions_hands_out_nothing(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_DISTRIBUTIONS", 1)
    study.post("trials", {"request_id": study.service.key(), "trials": [{}]})
    refused = study.asked(count=2, distributions={"x": X, "y": X})
    assert (refused.status_code, refused.json()["where"]) == (422, "/distributions")
    assert study.state(0) == "waiting"
    assert numbers(study.ask(count=2)) == [0, 1]


def test_the_time_does_not_run_from_an_ask_that_was_refused(
    make_study: MakeStudy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(timeout_s=10.0)
    with monkeypatch.context() as cramped:
        cramped.setattr(ledger, "MAX_DISTRIBUTIONS", 0)
        assert study.asked().status_code == 422
    clock.live(11)
    assert numbers(study.ask()) == [0]


def test_an_ask_for_many_gets_fewer_where_each_takes_its_time(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "gp", "n_startup_trials": 1})
    study.finish(1.0)
    many = 1 + proposing.SLOW_AHEAD
    assert numbers(study.ask(count=1000)) == list(range(1, many))
    assert numbers(study.ask(count=3)) == [many, many + 1, many + 2]


def test_a_study_that_was_resumed_on_another_replica_hands_out_at_once(study: Study) -> None:
    study.post("pause", {"request_id": study.service.key()})
    assert study.ask() == []
    study.post("resume", {"request_id": study.service.key()}, replica=1)
    assert numbers(study.ask(count=2)) == [0, 1]


def test_a_space_of_many_long_choices_is_asked_for_and_moves_to_another_server(make_study: MakeStudy) -> None:
    """More than fits into a row of an index, also once it is compressed: with letters, backslashes and quotes."""
    choices = [f"{uuid.uuid5(uuid.NAMESPACE_OID, str(n))} \\x ü'\"" for n in range(200)]
    known, late, added = ({"type": "categorical", "choices": choices[start:]} for start in (0, 1, 2))
    study = make_study(space={"k": known}, sampler={"name": "random"})
    trial = study.trial(distributions={})
    assert trial["params"]["k"] in choices
    value = study.of(trial, "suggest", {"name": "late", "distribution": late})
    assert value.json()["value"] in choices
    assert study.report(trial, 0, 0.5).status_code == 200
    assert study.tell(trial, values=[1.0]).status_code == 200
    done = {"state": "complete", "values": [1.0], "params": {"k": choices[2]}, "distributions": {"k": added}}
    assert study.post("trials", {"request_id": study.service.key(), "trials": [done]}).status_code == 201
    lines = study.service.send("GET", f"{study.path}/export").text.splitlines()
    copy = make_study(space={"k": known}, sampler={"name": "random"})
    body = {"request_id": copy.service.key(), "lines": [json.loads(line) for line in lines[1:]]}
    assert copy.post("import", body).json()["numbers"] == [0, 1]
    assert [copy.get(f"/trials/{number}") for number in (0, 1)] == [study.get(f"/trials/{number}") for number in (0, 1)]


def test_an_ask_for_many_gets_fewer_where_another_replica_took_the_numbers_foreseen(study: Study) -> None:
    """What is drawn again is drawn under the study's lock: others do not wait for a thousand draws."""
    assert numbers(study.ask()) == [0]
    assert numbers(study.ask(replica=1)) == [1]
    asked = study.ask("many", count=1000)
    assert numbers(asked) == list(range(2, 2 + asking.UNDER_LOCK))
    assert lasting(study.ask("many", count=1000, replica=1)) == lasting(asked)
    assert numbers(study.ask(count=200))[-1] == 1 + asking.UNDER_LOCK + 200


def test_waiting_trials_come_first_by_number_and_new_ones_after(service: Service, study: Study) -> None:
    trials = study.ask(count=4)
    for trial in (trials[2], trials[0]):
        study.of(trial, "release", {})
    study.post("trials", {"request_id": service.key(), "trials": [{"params": {"x": 0.25}}]})
    handed = study.ask(count=5, replica=1)
    assert numbers(handed) == [0, 2, 4, 5, 6]
    assert [trial["epoch"] for trial in handed] == [2, 2, 1, 1, 1]
    assert [trial["origin"] for trial in handed] == ["retry", "retry", "enqueued", "startup", "startup"]
    assert [trials[0]["params"], trials[2]["params"]] == [handed[0]["params"], handed[1]["params"]]


def test_an_enqueued_trial_is_paid_from_the_budget_when_it_is_handed_out_and_a_retry_is_free(
    service: Service, make_study: MakeStudy
) -> None:
    study = make_study(max_trials=2)
    study.post(
        "trials", {"request_id": service.key(), "trials": [{"params": {"x": value}} for value in (0.1, 0.2, 0.3)]}
    )
    first, _ = study.ask(count=3)
    study.of(first, "release", {})
    assert numbers(study.ask(count=3, replica=1)) == [0]
    assert study.state(2) == "waiting"


def test_added_finished_trials_cost_nothing(service: Service, make_study: MakeStudy) -> None:
    study = make_study(max_trials=1)
    done = {"state": "complete", "values": [1.0], "params": {"x": 0.5}, "distributions": {"x": X}}
    study.post("trials", {"request_id": service.key(), "trials": [done, done]})
    assert numbers(study.ask(count=3)) == [2]


def test_a_paused_study_has_its_workers_wait_and_a_stopped_one_sends_them_home(make_study: MakeStudy, sql: Any) -> None:
    paused, stopped = make_study(), make_study()
    for study, state in ((paused, "paused"), (stopped, "stopped")):
        sql("UPDATE studies SET state = %s WHERE name = %s", state, study.get()["name"])
    assert answer(paused.asked()) == {"trials": [], "retry_after_s": 1.0, "reason": "paused"}
    assert answer(stopped.asked()) == {"trials": [], "done": True}


def test_a_declared_space_is_proposed_in_full_and_an_ask_adds_to_it(make_study: MakeStudy) -> None:
    study = make_study(space={"declared": X}, sampler={"name": "random"})
    assert sorted(study.trial(distributions={})["params"]) == ["declared"]
    assert sorted(study.trial(distributions={"x": X})["params"]) == ["declared", "x"]
    assert sorted(study.trial(distributions={}, replica=1)["params"]) == ["declared", "x"]


def test_a_proposal_depends_on_seed_and_number_and_on_no_replica(service: Service, make_study: MakeStudy) -> None:
    first, second = make_study(seed=11), make_study(seed=11)
    one_by_one = [first.trial(replica=number % 2)["params"] for number in range(6)]
    assert [trial["params"] for trial in second.ask(count=6)] == one_by_one
    assert len({params["x"] for params in one_by_one}) == 6
