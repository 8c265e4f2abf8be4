"""Intermediate values: stored once, decided on once."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
EAGER = {"name": "median", "n_startup_trials": 1}


def decision(reply: httpx.Response) -> dict[str, Any]:
    """The reply without its seq."""
    assert reply.status_code == 200, reply.text
    return {name: value for name, value in reply.json().items() if name != "seq"}


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


@pytest.fixture
def judged(make_study: MakeStudy) -> Study:
    """A study that prunes what is above 1.0 at steps 0 to 4: one complete trial has set the mark."""
    study = make_study(pruner=EAGER)
    peer = study.trial()
    for step in range(5):
        study.report(peer, step, 1.0)
    study.tell(peer, values=[1.0])
    return study


def test_a_report_says_to_go_on_and_how_long_the_lease_lasts(study: Study) -> None:
    reply = study.report(study.trial(), 0, 0.5)
    expected = {"prune": False, "reason": None, "cancel": False, "lease_seconds": 60.0, "kept": []}
    assert decision(reply) == expected


def test_the_first_value_of_a_step_stands_and_another_one_is_told_so(study: Study) -> None:
    trial = study.trial()
    study.report(trial, 3, 0.5)
    for replica in (0, 1):
        assert decision(study.report(trial, 3, 0.75, replica=replica))["kept"] == [3]
        assert decision(study.report(trial, 3, 0.5, replica=replica))["kept"] == []
    assert study.get("/trials/0")["reports"] == [{"step": 3, "values": [0.5]}]


def test_a_report_of_old_and_new_steps_stores_the_new_ones(study: Study) -> None:
    trial = study.trial()
    study.report(trial, 1, 0.5)
    reports = [{"step": 2, "values": [0.25]}, {"step": 1, "values": [9.0]}, {"step": 0, "values": [1.0]}]
    assert decision(study.of(trial, "report", {"reports": reports}))["kept"] == [1]
    assert study.get("/trials/0", replica=1)["reports"] == [
        {"step": 0, "values": [1.0]},
        {"step": 1, "values": [0.5]},
        {"step": 2, "values": [0.25]},
    ]


def test_a_step_twice_in_one_report_has_its_first_value(study: Study) -> None:
    trial = study.trial()
    reports = [{"step": 0, "values": [1.0]}, {"step": 0, "values": [2.0]}]
    assert decision(study.of(trial, "report", {"reports": reports}))["kept"] == [0]
    assert study.get("/trials/0")["reports"] == [{"step": 0, "values": [1.0]}]


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (-0.0, 0.0),
        (5e-324, 0.0),
        ("NaN", 0.0),
        ("Infinity", "-Infinity"),
        (0.1 + 0.2, 0.3),
        (1.7976931348623157e308, "Infinity"),
    ],
)
def test_values_are_stored_bit_for_bit(make_study: MakeStudy, value: Any, other: Any) -> None:
    study = make_study(directions=["minimize", "maximize"])
    trial = study.trial()
    study.report(trial, 0, value, other)
    for replica in (0, 1):
        assert decision(study.report(trial, 0, value, other, replica=replica))["kept"] == []
        assert decision(study.report(trial, 0, other, value, replica=replica))["kept"] == [0]
    (stored,) = study.get("/trials/0")["reports"]
    assert [bits(found) for found in stored["values"]] == [bits(value), bits(other)]


def bits(value: float | str) -> bytes:
    """A double's bytes; non-finite ones come by name."""
    return struct.pack(">d", float(value))


def test_the_decision_to_prune_names_its_reason_and_is_the_same_for_every_repetition(judged: Study) -> None:
    trial = judged.trial()
    first = decision(judged.report(trial, 0, 2.0))
    assert first["prune"] is True
    assert first["reason"] == "step 0: best 2 is above the median 1 of 1 complete trial"
    judged.finish(3.0)
    for replica in (0, 1, 0):
        assert decision(judged.report(trial, 0, 2.0, replica=replica)) == first


def test_prune_is_sticky_however_good_what_follows(judged: Study) -> None:
    trial = judged.trial()
    reason = judged.report(trial, 0, 2.0).json()["reason"]
    for step, replica in ((1, 0), (2, 1), (3, 0)):
        reply = decision(judged.report(trial, step, -100.0, replica=replica))
        assert (reply["prune"], reply["reason"]) == (True, reason)


def test_a_decision_to_go_on_is_repeated_though_it_would_be_another_today(make_study: MakeStudy) -> None:
    study = make_study(pruner=EAGER)
    trial = study.trial()
    first = decision(study.report(trial, 0, 2.0))
    peer = study.trial()
    study.report(peer, 0, 1.0)
    study.tell(peer, values=[1.0])
    for replica in (0, 1):
        assert decision(study.report(trial, 0, 2.0, replica=replica)) == first
    assert decision(study.report(trial, 1, 2.0))["prune"] is False


def test_a_new_epoch_is_judged_anew(judged: Study) -> None:
    trial = judged.trial()
    assert judged.report(trial, 0, 2.0).json()["prune"] is True
    judged.of(trial, "release", {})
    again = judged.trial()
    assert again["number"] == trial["number"]
    assert judged.report(again, 0, 0.5).json()["prune"] is False
    assert judged.report(again, 1, 2.0).json()["prune"] is False


def test_a_study_that_maximizes_prunes_what_is_below(make_study: MakeStudy) -> None:
    study = make_study(directions=["maximize"], pruner=EAGER)
    peer, good, bad = study.ask(count=3)
    study.report(peer, 0, 1.0)
    study.tell(peer, values=[1.0])
    assert study.report(good, 0, 2.0).json()["prune"] is False
    assert study.report(bad, 0, 0.5).json()["reason"] == "step 0: best 0.5 is below the median 1 of 1 complete trial"


def test_of_several_objectives_the_one_that_the_rule_names_decides_and_without_a_name_none(
    make_study: MakeStudy,
) -> None:
    study = make_study(directions=["minimize", "maximize"], pruner=EAGER)
    peer, bad = study.ask(count=2)
    study.report(peer, 0, 1.0, 1.0)
    study.tell(peer, values=[1.0, 1.0])
    assert study.report(bad, 0, 100.0, -100.0).json()["prune"] is False
    study.change(pruner={**EAGER, "objective": 1})
    assert study.report(bad, 1, 100.0, 2.0).json()["prune"] is False
    named = study.trial()
    assert study.report(named, 0, 0.0, 0.5, replica=1).json()["reason"] == (
        "step 0: best 0.5 is below the median 1 of 1 complete trial"
    )


def test_a_rule_that_names_an_objective_which_is_not_there_is_refused(service: Service, study: Study) -> None:
    pruner = {"name": "median", "objective": 1}
    made = service.send("POST", "/studies", {"request_id": service.key(), "name": "unknown", "pruner": pruner})
    body = {"request_id": service.key(), "pruner": pruner}
    for reply in (made, service.send("PATCH", study.path, body)):
        assert (reply.status_code, reply.json()["where"]) == (422, "/pruner/objective")


def test_what_auto_stands_for_is_told_once_by_the_first_complete_trials_and_anew_for_a_new_rule(
    make_study: MakeStudy,
) -> None:
    study = make_study(pruner={"name": "successive_halving", "reduction_factor": 2})
    peer, second = study.ask(count=2)
    assert study.report(second, 1, 9.0).json()["prune"] is False
    study.report(peer, 350, 1.0)
    assert study.get()["pruner_auto"] == {}
    study.tell(peer, values=[1.0])
    assert study.report(second, 3, 9.0, replica=1).json()["reason"] == (
        "step 3: 9 is not among the best 1 of 2 trials at rung 0 (step 3), limit 1"
    )
    assert (study.get()["pruner_auto"], study.get()["pruner"]["min_resource"]) == ({"min_resource": 3}, "auto")
    third = study.trial()
    study.report(third, 5000, 0.5)
    study.tell(third, values=[0.5])
    study.report(study.trial(), 1, 9.0)
    assert study.get()["pruner_auto"] == {"min_resource": 3}
    study.change(pruner={"name": "hyperband"})
    assert study.get()["pruner_auto"] == {}
    study.report(study.trial(), 1, 9.0, replica=1)
    assert study.get()["pruner_auto"] == {"max_resource": 5001}


def costly(*reports: tuple[int, float, float | None]) -> dict[str, Any]:
    """A report's body: step, value and cost, which may be none."""
    rows = [{"step": step, "values": [value], "cost": cost} for step, value, cost in reports]
    return {"reports": [{name: value for name, value in row.items() if value is not None} for row in rows]}


def test_a_rule_may_count_what_reports_cost(make_study: MakeStudy) -> None:
    study = make_study(pruner={"name": "successive_halving", "resource": "cost", "reduction_factor": 2})
    peer, second, third = study.ask(count=3)
    study.of(peer, "report", costly((0, 1.0, 20.0), (1, 1.0, 30.0)))
    assert study.of(second, "report", costly((0, 9.0, 0.25))).json()["prune"] is False
    study.tell(peer, values=[1.0])
    for replica, cost, reason in (
        (0, 0.0, None),
        (1, None, None),
        (1, 0.25, "step 3: 9 is not among the best 1 of 2 trials at rung 0 (cost 0.5), limit 1"),
    ):
        reply = study.of(second, "report", costly((replica + (cost is not None) + 1, 9.0, cost)), replica=replica)
        assert reply.json()["reason"] == reason
    assert (study.get()["pruner_auto"], study.get()["pruner"]["resource"]) == ({"min_resource": 0.5}, "cost")
    # What has no cost never gets there.
    assert study.of(third, "report", costly(*((step, 9.0, None) for step in range(500)))).json()["prune"] is False
    study.change(pruner={"name": "hyperband", "resource": "cost"})
    study.of(third, "report", costly((500, 9.0, None)), replica=1)
    assert study.get()["pruner_auto"] == {"max_resource": 50.0}


def test_auto_waits_for_a_complete_trial_with_a_cost(make_study: MakeStudy) -> None:
    study = make_study(pruner={"name": "hyperband", "resource": "cost"})
    for cost in (None, 0.0):
        peer = study.trial()
        study.of(peer, "report", costly((0, 1.0, cost)))
        study.tell(peer, values=[1.0])
        assert study.report(study.trial(), 0, 9.0).json()["prune"] is False
        assert study.get()["pruner_auto"] == {}


def test_what_a_resumed_trial_cost_before_its_checkpoint_counts_and_decides_no_rung_again(
    make_study: MakeStudy,
) -> None:
    pruner = {"name": "successive_halving", "resource": "cost", "min_resource": 1.0, "reduction_factor": 2}
    study = make_study(pruner=pruner)
    trial, peer = study.ask(count=2)
    assert study.of(trial, "report", costly((0, 9.0, 1.5), (1, 9.0, 9.0))).json()["prune"] is False
    study.of(trial, "release", {"checkpoint": "file:///c", "step": 0})
    study.of(peer, "report", costly((0, 1.0, 9.0)))
    again = study.trial()
    assert again["reports"] == [{"step": 0, "values": [9.0], "cost": 1.5}]
    # 1.5 and 0.25 are at the rung of 1, which the first epoch has passed, and 0.25 more at that of 2.
    assert study.of(again, "report", costly((1, 9.0, 0.25)), replica=1).json()["prune"] is False
    assert study.of(again, "report", costly((2, 9.0, 0.25)), replica=0).json()["reason"] == (
        "step 2: 9 is not among the best 1 of 2 trials at rung 1 (cost 2), limit 1"
    )


def test_of_two_reports_of_a_step_the_first_ones_cost_stands_too(study: Study) -> None:
    trial = study.trial()
    study.of(trial, "report", costly((0, 0.5, 1.5), (0, 0.5, 2.5)))
    for replica, cost in ((0, 3.5), (1, None)):
        assert decision(study.of(trial, "report", costly((0, 0.5, cost)), replica=replica))["kept"] == []
        assert study.get("/trials/0", replica=replica)["reports"] == [{"step": 0, "values": [0.5], "cost": 1.5}]


def test_a_rule_within_a_rule_is_told_what_auto_stands_for_too(make_study: MakeStudy) -> None:
    wrapped = {"name": "successive_halving", "reduction_factor": 2}
    study = make_study(pruner={"name": "patient", "wrapped_pruner": wrapped, "patience": 0})
    peer, second = study.ask(count=2)
    study.report(peer, 1, 1.0)
    study.tell(peer, values=[1.0])
    reports = [{"step": 0, "values": [8.0]}, {"step": 1, "values": [9.0]}]
    assert study.of(second, "report", {"reports": reports}).json()["reason"] == (
        "step 1: the best of the last 1 step, 9, is worse than 8 before; "
        "9 is not among the best 1 of 2 trials at rung 0 (step 1), limit 1"
    )
    assert study.get()["pruner_auto"] == {"min_resource": 1}


def test_steps_that_come_together_are_looked_at_together(make_study: MakeStudy) -> None:
    """Of ten steps in one report the rungs at 1, 2, 4 and 8 are all new, though none of them is the last one."""
    pruner = {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2}
    study = make_study(pruner=pruner)
    first, second, third = study.ask(count=3)
    for step in range(1, 11):
        study.report(first, step, 1.0)
    for trial, value, reason in (
        (second, 2.0, "step 1: 2 is not among the best 1 of 2 trials at rung 0 (step 1), limit 1"),
        (third, 0.5, None),
    ):
        reports = [{"step": step, "values": [value]} for step in range(1, 11)]
        assert study.of(trial, "report", {"reports": reports}).json()["reason"] == reason


def test_an_early_step_that_comes_late_is_stored_and_decides_nothing_but_what_the_last_one_does(
    judged: Study,
) -> None:
    trial = judged.trial()
    assert judged.report(trial, 4, 0.5).json()["prune"] is False
    assert judged.report(trial, -3, 9.0).json()["prune"] is False
    assert judged.get("/trials/1")["reports"] == [{"step": -3, "values": [9.0]}, {"step": 4, "values": [0.5]}]


def test_a_new_step_below_one_that_is_repeated_decides_and_every_repetition_says_so(make_study: MakeStudy) -> None:
    rule = {"name": "successive_halving", "resource": "cost", "min_resource": 5.0, "reduction_factor": 2}
    study = make_study(pruner=rule)
    good, bad = study.ask(count=2)
    study.of(good, "report", {"reports": [{"step": 10, "values": [0.5], "cost": 6.0}]})
    late, deep = {"step": 3, "values": [2.0], "cost": 5.0}, {"step": 10, "values": [2.0], "cost": 1.0}
    assert study.of(bad, "report", {"reports": [deep]}).json()["prune"] is False
    first = study.of(bad, "report", {"reports": [late, deep]}).json()
    assert first["reason"] == "step 3: 2 is not among the best 1 of 2 trials at rung 0 (cost 5), limit 0.5"
    for reports, prune in (([late, deep], True), ([late], True), ([deep], False)):
        assert study.of(bad, "report", {"reports": reports}, replica=1).json()["prune"] is prune


def test_steps_lie_anywhere_between_the_greatest_ones_and_none_of_them_is_lost(study: Study) -> None:
    trial = study.trial()
    steps = [2**53, -(2**53), 0, -1, 2**53 - 1]
    for replica, step in enumerate(steps):
        assert decision(study.report(trial, step, 0.5, replica=replica % 2))["kept"] == []
    for replica in (0, 1):
        reports = study.get("/trials/0", replica=replica)["reports"]
        assert reports == [{"step": step, "values": [0.5]} for step in sorted(steps)]


def test_a_step_beyond_the_greatest_is_refused_with_all_that_came_with_it(study: Study) -> None:
    trial = study.trial()
    for step in (2**53 + 1, -(2**53) - 1):
        reports = [{"step": 0, "values": [0.5]}, {"step": step, "values": [0.5]}]
        reply = study.of(trial, "report", {"reports": reports})
        assert refused(reply) == (422, "invalid_request")
        assert reply.json()["where"] == "/reports/1/step"
        assert reply.json()["detail"] == "Input should lie within -2^53 .. 2^53"
    assert study.get("/trials/0")["reports"] == []


def test_another_number_of_values_than_before_is_refused_and_nothing_is_stored(study: Study) -> None:
    trial = study.trial()
    study.report(trial, 0, 0.5)
    reports = [{"step": 1, "values": [0.5]}, {"step": 2, "values": [0.5, 0.5]}]
    for replica in (0, 1):
        reply = study.of(trial, "report", {"reports": reports}, replica=replica)
        assert refused(reply) == (422, "invalid_value")
        assert reply.json()["where"] == "/reports/1/values"
    assert [report["step"] for report in study.get("/trials/0")["reports"]] == [0]


@pytest.mark.parametrize(
    ("directions", "values", "detail"),
    [
        (["minimize"], [0.5, 0.5], "a report of this study needs 1 value, one for each objective, got 2"),
        (["minimize"] * 3, [0.5], "a report of this study needs 3 values, one for each objective, got 1"),
        (["minimize"] * 2, [0.5] * 3, "a report of this study needs 2 values, one for each objective, got 3"),
    ],
)
def test_a_report_has_a_value_for_each_objective(
    make_study: MakeStudy, directions: list[str], values: list[float], detail: str
) -> None:
    study = make_study(directions=directions)
    reply = study.report(study.trial(), 0, *values)
    assert refused(reply) == (422, "invalid_value")
    assert (reply.json()["where"], reply.json()["detail"]) == ("/reports/0/values", detail)
    added = {"state": "failed", "reports": [{"step": 0, "values": values}]}
    reply = study.post("trials", {"request_id": "add", "trials": [added]})
    assert (reply.status_code, reply.json()["where"], reply.json()["detail"]) == (422, "/trials/0/reports", detail)
    assert study.get("/trials/0")["reports"] == []


def test_a_lease_that_has_ended_reports_no_more_but_hears_its_answers_again(study: Study) -> None:
    trial = study.trial()
    first = decision(study.report(trial, 0, 0.5))
    study.of(trial, "release", {})
    newer = study.trial(replica=1)
    study.report(newer, 0, 0.75)
    for replica in (0, 1):
        assert refused(study.report(trial, 1, 0.5, replica=replica)) == (409, "lease_lost")
        assert decision(study.report(trial, 0, 0.5, replica=replica)) == first
    assert study.get("/trials/0")["reports"] == [{"step": 0, "values": [0.75]}]


def test_a_trial_that_has_its_result_takes_no_report(study: Study) -> None:
    trial = study.finish(1.0)
    for replica in (0, 1):
        assert refused(study.report(trial, 0, 0.5, replica=replica)) == (409, "lease_lost")


def test_an_archived_study_takes_no_report_but_repeats_its_answers(service: Service, study: Study) -> None:
    trial = study.trial()
    first = decision(study.report(trial, 0, 0.5))
    service.send("DELETE", study.path)
    assert refused(study.report(trial, 1, 0.5)) == (409, "study_archived")
    assert decision(study.report(trial, 0, 0.5)) == first


def test_trials_that_report_at_once_are_compared_with_one_another(service: Service, make_study: MakeStudy) -> None:
    study = make_study(
        pruner={"name": "successive_halving", "min_resource": 1, "reduction_factor": 2, "bootstrap_count": 1}
    )
    trials = study.ask(count=4)
    # The first is under way when the others, which share a transaction, come.
    first, *reports = [
        ("POST", f"{study.path}/trials/{trial['number']}/report", body(trial, value))
        for trial, value in zip(trials, (5.0, 1.0, 2.0, 0.5), strict=True)
    ]

    async def at_once() -> list[httpx.Response]:
        one = service.clients[0]
        return await asyncio.gather(*(one.request(m, path, json=json) for m, path, json in (first, *reports)))

    assert [reply.json()["reason"] for reply in service.run(at_once())] == [
        "step 1: all of the first 1 trial at rung 0 (step 1) stop there, this is 1",
        None,
        "step 1: 2 is not among the best 1 of 3 trials at rung 0 (step 1), limit 1",
        None,
    ]


def body(trial: dict[str, Any], value: float) -> dict[str, Any]:
    """A report at step 1."""
    return {"lease": trial["lease"], "reports": [{"step": 1, "values": [value]}]}


def test_a_trial_that_is_told_complete_at_once_with_a_report_counts(service: Service, make_study: MakeStudy) -> None:
    study = make_study(pruner=EAGER)
    peer, late, trial = study.ask(count=3)
    study.report(peer, 0, 1.0)
    tell = {"lease": peer["lease"], "state": "complete", "values": [1.0]}
    report = {"lease": trial["lease"], "reports": [{"step": 0, "values": [2.0]}]}

    async def at_once() -> list[httpx.Response]:
        requests = (late, "heartbeat", {"lease": late["lease"]}), (peer, "tell", tell), (trial, "report", report)
        return await asyncio.gather(
            *(
                service.clients[0].post(f"{study.path}/trials/{t['number']}/{verb}", json=json)
                for t, verb, json in requests
            )
        )

    assert service.run(at_once())[2].json()["reason"] == "step 0: best 2 is above the median 1 of 1 complete trial"


def test_simultaneous_reports_of_one_step_through_two_replicas_store_one(service: Service, study: Study) -> None:
    trial = study.trial()
    bodies = [{"lease": trial["lease"], "reports": [{"step": 0, "values": [float(n % 5)]}]} for n in range(30)]
    replies = service.race([("POST", f"{study.path}/trials/0/report", body) for body in bodies])
    (stored,) = study.get("/trials/0")["reports"]
    kept = [reply.json()["kept"] for reply in replies]
    assert kept == [[] if n % 5 == stored["values"][0] else [0] for n in range(30)]


def test_the_names_used_so_far_are_the_parameters_of_a_running_trial(study: Study) -> None:
    space = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("x", "y")}
    trial = study.trial(distributions=space)
    assert sorted(study.get("/trials/0")["params"]) == ["x", "y"]
    study.of(trial, "report", {"reports": [{"step": 0, "values": [1.0]}], "used": ["y"]})
    assert study.get("/trials/0", replica=1)["params"] == {"y": trial["params"]["y"]}
