"""Constraints, from an objective to the database and back, and what they are to who asks for the best."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import tpeak

Study = Any
MakeStudy = Callable[..., Any]


def told(study: Study, *trials: tuple[float, list[Any] | None]) -> None:
    """Tells complete trials of these values and constraints."""
    for value, constraints in trials:
        study.tell(study.trial(), values=[value], constraints=constraints)


def test_constraints_are_kept_with_their_names(study: Study) -> None:
    trial = study.trial()
    body = {"state": "complete", "values": [0.5], "constraints": [1.5, "-Infinity"], "constraint_names": ["b", "a"]}
    first = study.of(trial, "tell", body)
    stored = study.get("/trials/0", replica=1)
    assert (stored["constraints"], stored["constraint_names"]) == ([1.5, "-Infinity"], ["b", "a"])
    for replica in (0, 1):
        assert study.of(trial, "tell", body, replica=replica).json() == first.json()


@pytest.mark.parametrize("names", [["a", "c"], ["b", "a"], None])
def test_other_names_are_another_result(study: Study, names: list[str] | None) -> None:
    trial = study.trial()
    body = {"state": "complete", "values": [0.5], "constraints": [1.0, 2.0], "constraint_names": ["a", "b"]}
    study.of(trial, "tell", body)
    refused = study.of(trial, "tell", body | {"constraint_names": names})
    assert (refused.status_code, refused.json()["code"]) == (409, "already_finished")
    assert study.get("/trials/0")["constraint_names"] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        {"constraints": [1.0], "constraint_names": ["a", "b"]},
        {"constraints": [1.0, 2.0], "constraint_names": ["a", "a"]},
        {"constraint_names": ["a"]},
        {"constraint_names": []},
    ],
)
def test_names_are_one_for_each_constraint(study: Study, body: dict[str, Any]) -> None:
    for where, refused in [
        ("/constraint_names", study.of(study.trial(), "tell", {"state": "failed", **body})),
        (
            "/trials/0/constraint_names",
            study.post("trials", {"request_id": "added", "trials": [{"state": "failed", **body}]}),
        ),
    ]:
        assert (refused.status_code, refused.json()["code"], refused.json()["where"]) == (422, "invalid_request", where)


def test_added_and_moved_trials_keep_their_constraints(study: Study, make_study: MakeStudy) -> None:
    added = {"state": "complete", "values": [1.0], "constraints": [0.5, "NaN"], "constraint_names": ["a", "b"]}
    study.post("trials", {"request_id": "added", "trials": [added, {"state": "complete", "values": [2.0]}]})
    assert study.get("/trials/0")["constraint_names"] == ["a", "b"]
    lines = study.service.send("GET", f"{study.path}/export").text.splitlines()
    other = make_study()
    reply = other.post("import", {"request_id": "moved", "lines": [json.loads(line) for line in lines[1:]]})
    assert reply.status_code == 200, reply.text
    moved = other.get("/trials/0")
    assert (moved["constraints"], moved["constraint_names"]) == ([0.5, "NaN"], ["a", "b"])
    assert "constraint_names" not in other.get("/trials/1")


def test_a_trial_that_is_tried_again_forgets_them(study: Study) -> None:
    trial = study.trial()
    study.of(trial, "tell", {"state": "failed", "constraints": [1.0], "constraint_names": ["a"]})
    study.service.send("PATCH", f"{study.path}/trials/0", {"request_id": "again", "action": "retry"})
    waiting = study.get("/trials/0")
    assert (waiting["state"], waiting["constraints"]) == ("waiting", None)
    assert "constraint_names" not in waiting


def test_the_best_meets_its_constraints(study: Study) -> None:
    told(study, (0.1, [1.0]), (0.2, ["Infinity"]), (0.5, [-1.0, 0.0]), (0.4, ["-Infinity"]), (0.3, [-1.0, 1e-9]))
    assert study.get("/best")["number"] == 3


def test_a_constraint_that_is_nan_is_no_violation(study: Study) -> None:
    told(study, (0.1, ["NaN", 1.0]), (0.2, ["NaN"]), (0.3, None))
    assert study.get("/best", replica=1)["number"] == 1


def test_where_none_is_feasible_there_is_no_best(study: Study) -> None:
    told(study, (0.1, [1.0]))
    refused = study.service.send("GET", f"{study.path}/best")
    assert (refused.status_code, refused.json()["code"]) == (404, "no_complete_trial")


def test_an_objectives_constraints_come_back_by_name(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def objective(trial: tpeak.Trial) -> float:
        x = trial.suggest_float("x", -5.0, 5.0)
        trial.set_constraint("right", 1.0 - x)
        trial.set_constraint("left", x - 4.0)
        return x * x

    monkeypatch.setenv("TPEAK_TOKEN", server.token)
    study = tpeak.create_study(storage=server.url, sampler=tpeak.samplers.TPESampler(seed=3))
    study.optimize(objective, n_trials=60)
    best = study.best_trial
    assert best.constraints == {"right": 1.0 - best.params["x"], "left": best.params["x"] - 4.0}
    assert 1.0 <= best.params["x"] < 1.2


def test_the_front_of_two_objectives_is_of_feasible_trials(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def objective(trial: tpeak.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        trial.set_constraint("apart", 0.25 - abs(x - 0.5))
        return x + y, 1.0 - x + y

    monkeypatch.setenv("TPEAK_TOKEN", server.token)
    study = tpeak.create_study(
        storage=server.url, directions=["minimize", "minimize"], sampler=tpeak.samplers.TPESampler(seed=3),
    )  # fmt: skip
    study.optimize(objective, n_trials=40)
    front = study.best_trials
    assert front
    assert all(abs(trial.params["x"] - 0.5) >= 0.25 for trial in front)
