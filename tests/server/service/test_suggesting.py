"""Values for parameters that an ask did not cover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
DEPTH = {"type": "int", "low": 1, "high": 1000}
OPTIMIZER = {"type": "categorical", "choices": ["adam", "sgd", None, True, 3]}


def suggested(reply: httpx.Response) -> dict[str, Any]:
    """The reply without its seq."""
    assert reply.status_code == 200, reply.text
    return {name: value for name, value in reply.json().items() if name != "seq"}


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def suggest(study: Study, trial: dict[str, Any], name: str, spec: Any, *, replica: int = 0) -> httpx.Response:
    reply: httpx.Response = study.of(trial, "suggest", {"name": name, "distribution": spec}, replica=replica)
    return reply


def enqueue(study: Study, **trial: Any) -> None:
    reply = study.post("trials", {"request_id": study.service.key(), "trials": [trial]})
    assert reply.status_code == 201, reply.text


def test_the_first_answer_stands_whatever_is_asked_for_later_and_wherever(study: Study) -> None:
    trial = study.trial()
    first = suggested(suggest(study, trial, "depth", DEPTH))
    assert first["distribution"] == {"type": "int", "low": 1, "high": 1000}
    assert first["value"] in range(1, 1001)
    for spec in (DEPTH, {**DEPTH, "low": 2000, "high": 3000}, OPTIMIZER):
        for replica in (0, 1):
            assert suggested(suggest(study, trial, "depth", spec, replica=replica)) == first


def test_the_first_answer_stands_in_later_epochs_which_know_it_at_once(study: Study) -> None:
    trial = study.trial()
    first = suggested(suggest(study, trial, "depth", DEPTH))
    study.of(trial, "release", {})
    again = study.trial(replica=1)
    assert again["params"] == {**trial["params"], "depth": first["value"]}
    assert suggested(suggest(study, again, "depth", {**DEPTH, "high": 5})) == first


def test_simultaneous_suggestions_through_two_replicas_agree(service: Service, study: Study) -> None:
    trial = study.trial()
    body = {"lease": trial["lease"], "name": "depth", "distribution": DEPTH}
    replies = service.race([("POST", f"{study.path}/trials/0/suggest", body)] * 20)
    assert len({repr(suggested(reply)) for reply in replies}) == 1


def test_a_proposal_in_the_range_that_is_wanted_now_stands(study: Study) -> None:
    trial = study.trial()
    wider = {"type": "float", "low": -1.0, "high": 2.0}
    assert suggested(suggest(study, trial, "x", wider)) == {
        "value": trial["params"]["x"],
        "distribution": {"type": "float", "low": 0.0, "high": 1.0},
    }


def test_a_proposal_outside_of_the_range_that_is_wanted_now_is_drawn_again_within(study: Study) -> None:
    trial = study.trial()
    elsewhere = {"type": "float", "low": 5.0, "high": 6.0}
    found = suggested(suggest(study, trial, "x", elsewhere))
    assert found["distribution"] == elsewhere
    assert 5.0 <= found["value"] <= 6.0
    assert study.get("/trials/0", replica=1)["params"] == {"x": found["value"]}


def test_a_parameter_whose_kind_has_changed_is_drawn_anew(study: Study) -> None:
    trial = study.trial()
    found = suggested(suggest(study, trial, "x", OPTIMIZER))
    assert found["distribution"] == OPTIMIZER
    assert found["value"] in ["adam", "sgd", None, True, 3]
    stored = study.get("/trials/0")
    assert (stored["params"], stored["distributions"]) == ({"x": found["value"]}, {"x": OPTIMIZER})


def test_an_integer_that_was_proposed_is_no_float_though_it_lies_in_the_range(study: Study) -> None:
    trial = study.trial(distributions={"depth": DEPTH})
    found = suggested(suggest(study, trial, "depth", {"type": "float", "low": 1.0, "high": 1000.0}))
    assert found["distribution"] == {"type": "float", "low": 1.0, "high": 1000.0}
    assert found["value"] != trial["params"]["depth"]


@pytest.mark.parametrize(("choices", "stands"), [(["b", "a", "c"], True), (["c"], False)])
def test_a_proposed_choice_stands_while_it_is_one_of_those_wanted(
    study: Study, choices: list[str], stands: bool
) -> None:
    trial = study.trial(distributions={"k": {"type": "categorical", "choices": ["a", "b"]}})
    found = suggested(suggest(study, trial, "k", {"type": "categorical", "choices": choices}))
    assert found["value"] == (trial["params"]["k"] if stands else "c")


@pytest.mark.parametrize("value", ["adam", "sgd", None, True, 3])
def test_an_enqueued_choice_is_taken_as_it_is(study: Study, value: Any) -> None:
    enqueue(study, params={"k": value})
    trial = study.trial()
    assert (trial["fixed"], trial["params"]) == ({"k": value}, {})
    assert repr(suggested(suggest(study, trial, "k", OPTIMIZER))["value"]) == repr(value)


def test_an_enqueued_number_is_taken_though_it_is_out_of_range(study: Study) -> None:
    enqueue(study, params={"x": 7.5, "depth": 5000})
    trial = study.trial()
    assert suggested(suggest(study, trial, "x", {"type": "float", "low": 0.0, "high": 1.0}))["value"] == 7.5
    assert suggested(suggest(study, trial, "depth", DEPTH))["value"] == 5000
    study.tell(trial, values=[1.0], used=["x", "depth"])
    assert study.get("/trials/0")["params"] == {"x": 7.5, "depth": 5000}


def test_an_enqueued_value_without_meaning_for_the_parameter_is_refused(study: Study) -> None:
    enqueue(study, params={"k": "rmsprop", "depth": 2.5})
    trial = study.trial()
    assert refused(suggest(study, trial, "k", OPTIMIZER)) == (422, "invalid_value")
    assert refused(suggest(study, trial, "depth", DEPTH)) == (422, "invalid_value")


def test_an_enqueued_trial_draws_what_it_does_not_fix(study: Study) -> None:
    study.finish(1.0)
    enqueue(study, params={"depth": 7})
    trial = study.trial()
    found = suggested(suggest(study, trial, "x", {"type": "float", "low": 0.0, "high": 1.0}))
    assert 0.0 <= found["value"] <= 1.0
    assert suggested(suggest(study, trial, "depth", DEPTH))["value"] == 7


def test_a_late_value_follows_from_seed_number_and_name(make_study: MakeStudy) -> None:
    values = []
    for replica in (0, 1):
        study = make_study(seed=5)
        trials = study.ask(count=3, replica=replica)
        values.append([suggested(suggest(study, trial, "y", DEPTH, replica=replica))["value"] for trial in trials])
    assert values[0] == values[1]
    assert len(set(values[0])) > 1


def test_a_late_value_is_drawn_for_what_the_trial_has_already(make_study: MakeStudy) -> None:
    """`good` follows `side` in all that is complete; a trial's late `good` is to be near what its own side earned."""
    study = make_study(seed=3, sampler={"name": "tpe", "n_startup_trials": 0})
    unit, side = {"type": "float", "low": 0.0, "high": 1.0}, {"type": "categorical", "choices": ["left", "right"]}
    done = [
        {
            "state": "complete",
            "values": [abs(good - (0.1 if where == "left" else 0.9))],
            "params": {"side": where, "good": good},
            "distributions": {"side": side, "good": unit},
        }
        for where in ("left", "right")
        for good in [(n + 0.5) / 40 for n in range(40)]
    ]
    study.post("trials", {"request_id": study.service.key(), "trials": done})
    found: dict[str, list[float]] = {"left": [], "right": []}
    for where in ("left", "right") * 20:
        enqueue(study, params={"side": where}, distributions={"side": side})
        trial = study.trial(distributions={})
        found[where].append(suggested(suggest(study, trial, "good", unit))["value"])
        study.tell(trial, "failed")
    assert sum(value < 0.5 for value in found["left"]) >= 18
    assert sum(value > 0.5 for value in found["right"]) >= 18


def test_who_has_lost_the_trial_gets_no_value(study: Study) -> None:
    trial = study.trial()
    suggest(study, trial, "depth", DEPTH)
    study.of(trial, "release", {})
    for name in ("depth", "y"):
        assert refused(suggest(study, trial, name, DEPTH, replica=1)) == (409, "lease_lost")
    done = study.finish(1.0)
    assert refused(suggest(study, done, "y", DEPTH)) == (409, "lease_lost")


def test_a_distribution_that_contradicts_itself_is_refused(study: Study) -> None:
    reply = suggest(study, study.trial(), "depth", {**DEPTH, "low": 9999})
    assert (*refused(reply), reply.json()["where"]) == (422, "invalid_distribution", "/distribution/low")


def test_later_asks_propose_what_was_asked_for_late(study: Study) -> None:
    suggest(study, study.trial(), "depth", DEPTH)
    assert sorted(study.trial(replica=1)["params"]) == ["depth", "x"]
