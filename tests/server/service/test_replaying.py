"""What a pruner would have done to a study, from its reports."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tpeak_server.service import replaying
from tpeak_server.storage import curves

Study = Any  # of conftest.py, which no module can import
Service = Any
MakeStudy = Callable[..., Study]
NOP = {"name": "nop"}
EAGER = {"name": "median", "n_startup_trials": 1}
RULES = [
    EAGER,
    {"name": "percentile", "percentile": 30.0, "n_startup_trials": 2, "n_warmup_steps": 1, "interval_steps": 2},
    {"name": "threshold", "upper": 0.75, "n_warmup_steps": 2},
    {"name": "patient", "wrapped_pruner": EAGER, "patience": 0},
    {"name": "wilcoxon", "p_threshold": 0.5},
    {"name": "successive_halving", "reduction_factor": 2},
    {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2, "bootstrap_count": 1},
    {"name": "hyperband", "reduction_factor": 2},
    {"name": "hyperband", "min_resource": 1, "max_resource": 9},
    {"name": "successive_halving", "resource": "cost", "reduction_factor": 2},
    {"name": "successive_halving", "resource": "cost", "min_resource": 0.25, "reduction_factor": 2},
    {"name": "hyperband", "resource": "cost", "min_resource": 0.25},
    {
        "name": "patient",
        "wrapped_pruner": {"name": "successive_halving", "resource": "cost", "reduction_factor": 4},
        "patience": 0,
    },
    {
        "name": "patient",
        "wrapped_pruner": {"name": "successive_halving", "min_resource": 1, "reduction_factor": 4},
        "patience": 0,
    },
]


def replayed(study: Study, pruner: dict[str, Any] = EAGER) -> dict[str, Any]:
    reply = study.post("prune-replay", {"pruner": pruner})
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def compute(study: Study, *values: Any, cost: float | None = None, final: Any = None) -> int:
    """A trial that reports these values from step 0 on, one at a time, and is complete with `final`, or the last."""
    trial = study.trial()
    for step, value in enumerate(values):
        costs = {} if cost is None else {"cost": cost}
        study.of(trial, "report", {"reports": [{"step": step, "values": [value], **costs}]})
    assert study.tell(trial, values=[values[-1] if final is None else final]).status_code == 200
    return int(trial["number"])


def cut(number: int, step: int, reason: str, state: str, value: Any) -> dict[str, Any]:
    return {"number": number, "step": step, "reason": reason, "state": state, "value": value}


def test_a_replay_says_what_would_have_been_pruned_and_saved_and_what_the_best_would_have_been(
    make_study: MakeStudy,
) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0, 1.0, 1.0, cost=0.5)
    compute(study, 2.0, 2.0, 0.25, cost=1.5)
    compute(study, 0.5, 0.5, 0.5, cost=0.25)
    assert replayed(study) == {
        "trials": 3,
        "pruned": 1,
        "reports": 9,
        "saved": 2,
        "cost": 6.75,
        "cost_saved": 3.0,
        "best": {"number": 1, "value": 0.25},
        "best_kept": {"number": 2, "value": 0.5},
        "decisions": [cut(1, 0, "step 0: best 2 is above the median 1 of 1 complete trial", "complete", 0.25)],
    }


def test_a_trial_that_would_have_been_pruned_is_no_complete_one_to_the_others(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0)
    compute(study, 5.0)
    compute(study, 2.0)  # the median of 1 and 5 is 3, that of 1 alone is not
    assert [one["number"] for one in replayed(study)["decisions"]] == [1, 2]


def test_decisions_come_in_the_order_of_time_and_of_a_study_that_maximizes_they_are_the_others(
    make_study: MakeStudy,
) -> None:
    study = make_study(pruner=NOP, directions=["maximize"])
    compute(study, 1.0, 1.0)
    first, second = study.trial(), study.trial()
    for trial, step, value in ((second, 0, 0.5), (first, 0, 1.5), (first, 1, 0.75), (second, 1, 9.0)):
        study.report(trial, step, value)
    study.tell(first, "failed")
    assert replayed(study, EAGER | {"n_warmup_steps": 1})["decisions"] == []
    answer = replayed(study, {"name": "percentile", "percentile": 100.0, "n_startup_trials": 1})
    assert answer["decisions"] == [
        cut(2, 0, "step 0: best 0.5 is not among the best 100 % of 1 complete trial (limit 1)", "running", None)
    ]
    assert (answer["saved"], answer["best"], answer["best_kept"]) == (1, *[{"number": 0, "value": 1.0}] * 2)


def test_a_study_without_reports_has_nothing_to_prune(make_study: MakeStudy) -> None:
    study = make_study()
    nothing = {"trials": 0, "pruned": 0, "reports": 0, "saved": 0, "cost": None, "cost_saved": None, "decisions": []}
    assert replayed(study) == nothing | {"best": None, "best_kept": None}
    study.finish(0.5)
    assert replayed(study) == nothing | {which: {"number": 0, "value": 0.5} for which in ("best", "best_kept")}


def test_a_report_that_is_nan_counts_and_a_trial_of_nothing_else_is_pruned(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0, "NaN", "Infinity", final=1.0)
    compute(study, "NaN", "NaN", "Infinity", final="Infinity")
    compute(study, 0.5, "NaN", "-Infinity", final="-Infinity")
    answer = replayed(study)
    assert (answer["trials"], answer["reports"], answer["saved"]) == (3, 9, 2)
    assert answer["decisions"] == [cut(1, 0, "step 0: every value so far is NaN", "complete", "Infinity")]
    # -Infinity is no best value, as in `GET .../best`.
    assert answer["best"] == answer["best_kept"] == {"number": 0, "value": 1.0}


def test_the_curve_of_a_trial_of_two_epochs_is_the_last_one_s_with_what_it_resumed(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0, 1.0, 1.0, 1.0, 1.0)
    trial = study.trial()
    for step, value in enumerate((0.5, 0.5, 9.0, 9.0)):
        study.report(trial, step, value)
    study.of(trial, "release", {"checkpoint": "file:///c", "step": 1})
    again = study.trial()
    assert (again["number"], again["epoch"]) == (1, 2)
    for step, value in ((1, 0.25), (2, 7.0), (3, 7.0), (4, 0.125)):
        study.report(again, step, value)
    study.tell(again, values=[0.125])
    # Step 0 of the first epoch, and steps 1 to 4 of the second: step 1 was reported anew.
    answer = replayed(study)
    assert (answer["trials"], answer["reports"], answer["pruned"]) == (2, 10, 0)
    latest = {"name": "percentile", "percentile": 0.0, "n_startup_trials": 1, "n_warmup_steps": 2}
    assert replayed(study, latest)["pruned"] == 0
    assert [one["values"] for one in study.get("/trials/1")["reports"]] == [[0.5], [0.25], [7.0], [7.0], [0.125]]


def test_what_was_reported_after_the_checkpoint_is_forgotten_with_its_epoch(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0, 1.0, 1.0)
    trial = study.trial()
    for step in range(3):
        study.report(trial, step, 5.0)
    study.of(trial, "release", {})
    again = study.trial()
    study.report(again, 0, 3.0)
    study.report(again, 1, 0.5)
    study.tell(again, values=[0.5])
    answer = replayed(study)
    assert (answer["reports"], answer["saved"]) == (5, 1)
    assert answer["decisions"] == [
        cut(1, 0, "step 0: best 3 is above the median 1 of 1 complete trial", "complete", 0.5)
    ]


def test_a_resumed_trial_may_have_been_cut_in_the_epoch_that_it_resumed(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0, 1.0, 1.0)
    trial = study.trial()
    study.report(trial, 0, 4.0)
    study.of(trial, "release", {"checkpoint": "file:///c", "step": 0})
    again = study.trial()
    study.report(again, 1, 0.5)
    study.tell(again, values=[0.5])
    answer = replayed(study)
    assert (answer["reports"], answer["saved"]) == (5, 1)
    assert answer["decisions"] == [
        cut(1, 0, "step 0: best 4 is above the median 1 of 1 complete trial", "complete", 0.5)
    ]


def test_a_deleted_trial_is_left_out(make_study: MakeStudy, service: Service) -> None:
    study = make_study(pruner=NOP)
    compute(study, 0.25, 0.25)
    compute(study, 1.0, 1.0)
    compute(study, 0.5, 0.5)
    assert [one["number"] for one in replayed(study)["decisions"]] == [1, 2]
    service.send("DELETE", f"{study.path}/trials/0")
    answer = replayed(study)
    assert (answer["trials"], answer["reports"], answer["pruned"]) == (2, 4, 0)
    assert answer["best"] == {"number": 2, "value": 0.5}


def test_an_exempt_trial_is_kept(make_study: MakeStudy, service: Service) -> None:
    study = make_study(pruner=NOP)
    compute(study, 0.25, 0.25)
    trial = study.trial()
    body = {"request_id": service.key(), "action": "exempt"}
    assert service.send("PATCH", f"{study.path}/trials/{trial['number']}", body).status_code == 200
    study.report(trial, 0, 1.0)
    study.tell(trial, values=[1.0])
    compute(study, 0.5, 0.5)
    assert [one["number"] for one in replayed(study)["decisions"]] == [2]


def test_the_best_trial_meets_its_constraints(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0)
    trial = study.trial()
    study.report(trial, 0, 0.5)
    study.tell(trial, values=[0.5], constraints=[0.125])
    assert replayed(study)["best"] == {"number": 0, "value": 1.0}


def test_steps_may_come_in_any_order(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0, 1.0, 1.0, 1.0)
    trial = study.trial()
    for step, value in ((3, 1.0), (1, 9.0), (2, 9.0), (0, 9.0)):
        study.report(trial, step, value)
    answer = replayed(study)
    assert (answer["reports"], answer["pruned"]) == (8, 0)
    late = study.trial()
    for step, value in ((2, 3.0), (0, 0.5)):
        study.report(late, step, value)
    answer = replayed(study)
    assert answer["decisions"] == [
        cut(2, 2, "step 2: best 3 is above the median 1 of 1 complete trial", "running", None)
    ]
    assert (answer["reports"], answer["saved"]) == (10, 1)


def test_rungs_in_cost_are_reached_by_what_had_come_by_then_in_whatever_order(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    compute(study, *[1.0] * 4, cost=0.5)
    trial = study.trial()
    for step, value, cost in ((3, 3.0, 0.5), (1, 2.0, 0.25), (2, 9.0, None), (0, 4.0, 0.5), (4, 0.5, 0.5)):
        costs = {} if cost is None else {"cost": cost}
        study.of(trial, "report", {"reports": [{"step": step, "values": [value], **costs}]})
    rule = {"name": "successive_halving", "resource": "cost", "min_resource": 1.0, "reduction_factor": 4}
    answer = replayed(study, rule)
    # With step 0 the costs are 0.5, 0.75, 0.75 and 1.25: it is step 3 that reaches the rung.
    reason = "step 3: 3 is not among the best 1 of 2 trials at rung 0 (cost 1), limit 1"
    assert answer["decisions"] == [cut(1, 0, reason, "running", None)]
    assert (answer["cost"], answer["cost_saved"], answer["saved"]) == (3.75, 0.5, 1)
    assert replayed(study, rule | {"min_resource": 2.0})["pruned"] == 0


def test_trials_that_were_added_with_their_reports_are_decided_on_one_after_the_other(make_study: MakeStudy) -> None:
    study = make_study(pruner=NOP)
    values = (1.0, 3.0, 0.5)
    trials = [
        {"state": "complete", "values": [v], "reports": [{"step": s, "values": [v]} for s in range(3)]} for v in values
    ]
    study.post("trials", {"request_id": "add", "trials": trials})
    answer = replayed(study)
    assert [(one["number"], one["step"]) for one in answer["decisions"]] == [(1, 0)]
    assert (answer["reports"], answer["saved"]) == (9, 2)


def test_a_study_of_several_objectives_is_replayed_by_the_one_that_the_rule_names_or_not_at_all(
    make_study: MakeStudy,
) -> None:
    study = make_study(pruner=NOP, directions=["minimize", "maximize"])
    for values in ((1.0, 1.0), (2.0, 2.0), (0.5, 0.5)):
        trial = study.trial()
        study.report(trial, 0, *values)
        study.tell(trial, values=list(values))
    answer = replayed(study)
    assert (answer["trials"], answer["reports"], answer["pruned"]) == (3, 3, 0)
    assert (answer["best"], answer["best_kept"]) == (None, None)
    decided = {place: replayed(study, EAGER | {"objective": place}) for place in (0, 1)}
    assert [[one["number"] for one in decided[place]["decisions"]] for place in (0, 1)] == [[1], [2]]
    assert [decided[place]["best"] for place in (0, 1)] == [{"number": 2, "value": 0.5}, {"number": 1, "value": 2.0}]
    refused = study.post("prune-replay", {"pruner": EAGER | {"objective": 2}})
    assert (refused.status_code, refused.json()["where"]) == (422, "/pruner/objective")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "/pruner"),
        ({"pruner": {"name": "medain"}}, "/pruner/name"),
        ({"pruner": {"name": "percentile"}}, "/pruner/percentile"),
        ({"pruner": {"name": "median", "interval_steps": 0}}, "/pruner/interval_steps"),
        ({"pruner": EAGER, "request_id": "x"}, "/request_id"),
    ],
)
def test_settings_are_checked_as_those_of_a_study(study: Study, body: dict[str, Any], where: str) -> None:
    reply = study.post("prune-replay", body)
    assert (reply.status_code, reply.json()["code"], reply.json()["where"]) == (422, "invalid_request", where)


def test_nothing_is_changed_and_an_archived_study_can_be_replayed(make_study: MakeStudy, service: Service) -> None:
    study = make_study(pruner=NOP)
    compute(study, 1.0)
    compute(study, 2.0)
    before = study.get(), study.get("/trials")
    answer = replayed(study)
    assert (study.get(), study.get("/trials")) == before
    service.send("DELETE", study.path)
    assert replayed(study) == answer
    assert answer["pruned"] == 1


def test_a_study_that_is_not_there_has_none(service: Service) -> None:
    reply = service.send("POST", "/studies/0000000000000/prune-replay", {"pruner": EAGER})
    assert (reply.status_code, reply.json()["code"]) == (404, "study_not_found")


def test_more_replays_than_may_wait_are_told_to_come_again(
    service: Service, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "MAX_REPLAYING", 2)
    replies = service.race([("POST", f"{study.path}/prune-replay", {"pruner": EAGER})] * 12)
    codes = [reply.status_code for reply in replies]
    assert set(codes) == {200, 429}
    assert replies[codes.index(429)].json()["code"] == "overloaded"


@pytest.mark.parametrize("maximizes", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["name"]))
def test_the_own_rule_of_a_study_that_obeyed_it_decides_as_it_did(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, rule: dict[str, Any], maximizes: bool
) -> None:
    monkeypatch.setattr(replaying, "SLICE", 7)
    monkeypatch.setattr(curves, "PAGE", 10)
    study = make_study(pruner=rule, directions=["maximize" if maximizes else "minimize"], seed=3)
    decided = obey(study, random.Random(f"{rule} {maximizes}"), -1.0 if maximizes else 1.0)
    answer = replayed(study, rule)
    assert [(one["number"], one["step"], one["reason"]) for one in answer["decisions"]] == decided
    assert all(one["state"] == "pruned" for one in answer["decisions"])
    assert decided or rule["name"] == "wilcoxon"  # which needs longer curves to be sure of something
    assert (answer["saved"], answer["best"]) == (0, answer["best_kept"])


def obey(study: Study, rng: random.Random, sign: float) -> list[tuple[int, int, str]]:
    """Three workers at a time, each of which ends its trial where it is told so: number, step and reason."""
    decided: list[tuple[int, int, str]] = []
    going: list[tuple[dict[str, Any], int, float]] = []
    for _ in range(220):
        if len(going) < 3:
            going.append((study.trial(), 0, rng.random()))
        trial, step, end = going.pop(rng.randrange(len(going)))
        if step >= 9 or rng.random() < 0.03:
            state = rng.choice(["complete", "complete", "complete", "failed"])
            study.tell(trial, state, **({"values": [sign * end]} if state == "complete" else {}))
            continue
        value = "NaN" if rng.random() < 0.1 else sign * (end + rng.choice([0.0, 0.5, 1.0]) * rng.random())
        cost = {} if step % 4 == 3 else {"cost": 0.25 + trial["number"] % 5 / 8}
        report = {"step": step, "values": [value], **cost}
        reply: httpx.Response = study.of(trial, "report", {"reports": [report]})
        if reply.json()["prune"]:
            decided.append((trial["number"], step, reply.json()["reason"]))
            study.tell(trial, "pruned")
        else:
            going.append((trial, step + rng.choice([1, 1, 1, 2]), end))
    return decided
