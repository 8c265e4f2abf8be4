"""Studies that end by themselves: at a target, or when nothing has become better for long enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.domain.study import from_path

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
Sql = Callable[..., list[tuple[Any, ...]]]

X = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def change(study: Study, **settings: Any) -> Any:
    return study.service.send("PATCH", study.path, {"request_id": study.service.key(), **settings})


def control(study: Study, verb: str) -> None:
    assert study.post(verb, {"request_id": study.service.key()}).status_code == 200


def add(study: Study, *values: float, **more: Any) -> None:
    trial = {"state": "complete", "values": list(values), "params": {"x": 0.5}, "distributions": X, **more}
    assert study.post("trials", {"request_id": study.service.key(), "trials": [trial]}).status_code == 201


def kept(sql: Sql, study: Study) -> tuple[Any, ...]:
    """The best figure, and how many trials have not improved on it since."""
    (row,) = sql("SELECT best, unimproved FROM study_clocks WHERE study_id = %s", from_path(study.id))
    return row


def test_the_trial_that_reaches_the_target_ends_the_study_and_what_runs_may_finish(
    make_study: MakeStudy, sql: Sql
) -> None:
    study = make_study(directions=["maximize"], stop_when={"target": [0.75]})
    running = study.trial()
    study.finish(0.5)
    assert study.get()["state"] == "open"
    study.finish(0.8125)
    reason = "trial 2 reached the target 0.75 with 0.8125"
    assert (study.get()["state"], study.get()["stop_reason"]) == ("stopped", reason)
    for replica in (0, 1):
        answer = study.asked(replica=replica).json()
        assert (answer["trials"], answer["done"], answer["reason"], answer["cause"]) == ([], True, "stop_when", reason)
    assert study.tell(running, values=[1.0], replica=1).json()["state"] == "complete"
    assert sql("SELECT payload FROM events WHERE study_id = %s AND kind = 'stopped'", from_path(study.id)) == [
        ({"reason": reason},)
    ]


def test_patience_ends_with_so_many_trials_in_a_row_that_were_not_better(make_study: MakeStudy) -> None:
    study = make_study(stop_when={"patience": 2})
    for value in (0.5, 0.75, 0.25, 0.25):
        study.finish(value)
        assert study.get()["state"] == "open"
    study.finish(0.5)
    assert study.get()["stop_reason"] == "2 trials in a row did not improve on the best value, 0.25"


def test_trials_count_in_the_order_in_which_they_finish_over_all_replicas(make_study: MakeStudy, sql: Sql) -> None:
    study = make_study(stop_when={"patience": 2})
    first, second, third = study.ask(count=3)
    study.tell(third, values=[0.5], replica=1)
    study.tell(first, values=[0.75], replica=0)
    assert kept(sql, study) == (0.5, 1)
    study.tell(second, values=[0.625], replica=1)
    assert study.get()["state"] == "stopped"


def test_a_repeated_tell_is_counted_once(make_study: MakeStudy, sql: Sql) -> None:
    study = make_study(stop_when={"patience": 2})
    study.finish(0.5)
    trial = study.trial()
    for replica in (0, 1, 0):
        study.tell(trial, values=[0.75], replica=replica)
    assert kept(sql, study) == (0.5, 1)


def test_only_complete_and_feasible_trials_count(make_study: MakeStudy, sql: Sql) -> None:
    study = make_study(stop_when={"target": [0.25], "patience": 1})
    pruned, failed, infeasible, broken = study.ask(count=4)
    study.tell(pruned, "pruned", values=[0.0])
    study.tell(failed, "failed")
    study.tell(infeasible, values=[0.0], constraints=[-1.0, 0.5])
    study.tell(broken, values=["NaN"])
    assert (study.get()["state"], kept(sql, study)) == ("open", (math.inf, 0))


def test_many_tells_at_once_stop_the_study_once(make_study: MakeStudy, service: Service, sql: Sql) -> None:
    study = make_study(stop_when={"patience": 3})
    trials = study.ask(count=20)
    study.tell(trials[0], values=[0.0])
    told = {"state": "complete", "values": [1.0]}
    paths = [(f"{study.path}/trials/{trial['number']}/tell", trial["lease"]) for trial in trials[1:]]
    replies = service.race([("POST", path, {**told, "lease": lease}) for path, lease in paths])
    assert {reply.status_code for reply in replies} == {200}
    assert kept(sql, study) == (0.0, 19)
    assert study.get()["stop_reason"] == "3 trials in a row did not improve on the best value, 0"
    stops = sql("SELECT count(*) FROM events WHERE study_id = %s AND kind = 'stopped'", from_path(study.id))
    assert stops == [(1,)]


def test_a_late_result_counts_when_it_comes(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(lease_seconds=10.0, max_attempts=1, stop_when={"target": [0.5]})
    late = study.trial()
    clock.live(11.0)
    assert study.state(0) == "lost"
    assert study.tell(late, values=[0.25]).json()["state"] == "complete"
    assert study.get()["stop_reason"] == "trial 0 reached the target 0.5 with 0.25"


def test_trials_from_outside_raise_the_bar_and_may_reach_the_target_but_use_up_no_patience(
    make_study: MakeStudy, sql: Sql
) -> None:
    study = make_study(stop_when={"target": [0.125], "patience": 2})
    for value in (0.5, 0.75, 0.75, 0.75):
        add(study, value)
    add(study, 0.0, constraints=[1.0])
    assert (study.get()["state"], kept(sql, study)) == ("open", (0.5, 0))
    study.finish(0.625)
    assert kept(sql, study) == (0.5, 1)
    add(study, 0.125)
    assert study.get()["stop_reason"] == "trial 6 reached the target 0.125 with 0.125"


def test_enqueued_trials_count_as_any_other(make_study: MakeStudy) -> None:
    study = make_study(stop_when={"patience": 1})
    study.finish(0.5)
    study.post("trials", {"request_id": study.service.key(), "trials": [{"params": {"x": 0.5}}]})
    study.finish(0.75)
    assert study.get()["state"] == "stopped"


@pytest.mark.parametrize("replica", [0, 1])
def test_a_resumed_study_goes_on_past_its_target_and_has_its_patience_back(
    make_study: MakeStudy, sql: Sql, replica: int
) -> None:
    study = make_study(stop_when={"target": [0.25], "patience": 2})
    study.finish(0.125)
    control(study, "resume")
    assert (study.get()["state"], study.get()["stop_reason"]) == ("open", None)
    study.tell(study.trial(), values=[0.0], replica=replica)
    study.finish(0.5)
    assert (study.get()["state"], kept(sql, study)) == ("open", (0.0, 1))
    study.finish(0.5)
    assert study.get()["stop_reason"] == "2 trials in a row did not improve on the best value, 0"
    control(study, "resume")
    study.finish(0.5)
    assert study.get()["state"] == "open"


def test_a_pause_does_not_interrupt_the_count(make_study: MakeStudy) -> None:
    study = make_study(stop_when={"patience": 2})
    study.finish(0.5)
    study.finish(0.75)
    running = study.trial()
    control(study, "pause")
    control(study, "resume")
    control(study, "pause")
    study.tell(running, values=[0.75])
    assert study.get()["state"] == "stopped"


def test_a_study_that_was_stopped_by_hand_gives_no_reason(make_study: MakeStudy) -> None:
    study = make_study(stop_when={"patience": 1})
    study.finish(0.5)
    running = study.trial()
    control(study, "stop")
    study.tell(running, values=[0.75])
    assert study.get()["stop_reason"] is None
    assert "reason" not in study.asked().json()


def test_a_deleted_trial_is_the_best_no_more(make_study: MakeStudy, sql: Sql) -> None:
    study = make_study(stop_when={"target": [0.125], "patience": 3})
    for value in (0.5, 0.25, 0.75):
        study.finish(value)
    for number, left in ((2, (0.25, 1)), (1, (0.5, 0))):
        assert study.service.send("DELETE", f"{study.path}/trials/{number}").status_code == 204
        assert kept(sql, study) == left
    study.finish(0.125)
    assert study.get()["state"] == "stopped"


def test_a_rule_that_is_set_later_counts_from_then_on(make_study: MakeStudy, sql: Sql) -> None:
    study = make_study()
    for value in (0.5, 0.75, 0.75):
        study.finish(value)
    changed = change(study, stop_when={"patience": 2}).json()
    assert (changed["stop_when"], changed["state"]) == ({"target": None, "patience": 2}, "open")
    assert kept(sql, study) == (0.5, 0)
    study.tell(study.trial(), values=[0.5], replica=1)
    assert kept(sql, study) == (0.5, 1)
    assert change(study, stop_when=None).json()["stop_when"] is None
    study.finish(0.75)
    assert study.get()["state"] == "open"


def test_a_target_that_is_reached_already_ends_the_study_when_it_is_set(make_study: MakeStudy) -> None:
    study = make_study()
    study.finish(0.5)
    assert change(study, stop_when={"target": [0.5]}).json()["state"] == "stopped"
    assert study.get()["stop_reason"] == "the target 0.5 was reached before it was set"


def test_several_objectives_have_a_target_each(make_study: MakeStudy) -> None:
    study = make_study(directions=["minimize", "maximize"], stop_when={"target": [0.5, 2.0]})
    for values in ((0.25, 1.0), (0.75, 3.0)):
        study.finish(*values)
        assert study.get()["state"] == "open"
    study.finish(0.5, 2.5)
    assert study.get()["stop_reason"] == "trial 2 reached the target 0.5, 2 with 0.5, 2.5"
    refused = change(study, stop_when={"patience": 3})
    assert (refused.status_code, refused.json()["where"]) == (422, "/stop_when/patience")


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({}, "/stop_when"),
        ({"target": None}, "/stop_when"),
        ({"target": [0.5, 0.5]}, "/stop_when/target"),
        ({"patience": 0}, "/stop_when/patience"),
        ({"target": ["Infinity"]}, "/stop_when/target/0"),
        ({"target": 0.5}, "/stop_when/target"),
    ],
)
def test_what_cannot_be_is_refused(service: Service, rule: Any, where: str) -> None:
    body = {"request_id": service.key(), "name": service.key(), "stop_when": rule}
    refused = service.send("POST", "/studies", body)
    assert (refused.status_code, refused.json()["where"]) == (422, where)


def test_a_second_creator_learns_of_the_rule(make_study: MakeStudy, service: Service) -> None:
    study = make_study(stop_when={"patience": 2})
    again = {"request_id": service.key(), "name": study.get()["name"], "if_exists": "load"}
    loaded = service.send("POST", "/studies", {**again, "stop_when": {"target": [0.5]}}, replica=1).json()
    assert loaded["differences"] == [
        {
            "field": "stop_when",
            "stored": {"target": None, "patience": 2},
            "asked": {"target": [0.5], "patience": None},
        }
    ]
